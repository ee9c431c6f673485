"""Handles: a job's result, its state, and how it is cancelled."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from queuekit import (
    Cancel,
    GiveUp,
    Handle,
    InvalidOption,
    InvalidPayload,
    InvalidTransition,
    JobCancelled,
    JobFailed,
    JobNotFound,
    Queuekit,
    State,
)
from queuekit.handle import failures_of, info_of
from queuekit.job import Job, JobOptions
from queuekit.record import JobRecord, Life, Notes, Times


@pytest.fixture
def qk() -> Queuekit:
    return Queuekit("sqlite://")


def add_task(qk: Queuekit) -> Any:
    @qk.task(queue="mail")
    async def send(to: str) -> str:
        if to == "nobody":
            raise GiveUp("no such address")
        return f"sent to {to}"

    return send


# The end of a job


async def test_a_result_is_there_as_often_as_it_is_asked_for(qk: Queuekit) -> None:
    send = add_task(qk)
    async with qk, qk.worker():
        job = await send.enqueue("ada")
        assert [await job.result(timeout=50) for _ in range(2)] == ["sent to ada"] * 2
        assert await job.status() is State.SUCCEEDED
        info = await job.info()
    assert (info.id, info.queue, info.arguments, info.result) == (
        job.id,
        "mail",
        {"to": "ada"},
        "sent to ada",
    )


async def test_a_failed_job_tells_its_reason_and_its_errors(qk: Queuekit) -> None:
    send = add_task(qk)
    async with qk, qk.worker():
        job = await send.enqueue("nobody")
        with pytest.raises(
            JobFailed, match=r"failed \(gave_up\): GiveUp: no such address"
        ) as error:
            await job.result(timeout=50)
    (failure,) = error.value.errors
    assert (error.value.reason, failure.attempt, failure.message) == (
        "gave_up",
        1,
        "no such address",
    )
    assert (datetime.now(UTC) - failure.at).total_seconds() < 60


async def test_a_cancelled_job_says_so_and_is_cancelled_once(qk: Queuekit) -> None:
    send = add_task(qk)
    async with qk:
        job = await send.enqueue("ada")
        await job.cancel()
        with pytest.raises(JobCancelled, match=str(job.id)):
            await job.result(timeout=50)
        with pytest.raises(
            InvalidTransition, match=r"Can't cancel job .*: it is cancelled"
        ) as error:
            await job.cancel()
    assert error.value.state is State.CANCELLED


async def test_a_task_that_cancels_its_job_says_why(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None:
        raise Cancel("too late")

    async with qk, qk.worker():
        job = await task.enqueue()
        with pytest.raises(JobCancelled, match=f"Job {job.id} was cancelled: too late"):
            await job.result(timeout=50)


async def test_result_times_out(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None: ...

    async with qk:
        with pytest.raises(TimeoutError, match="is a worker running"):
            await (await task.enqueue()).result(timeout=0.05)


@pytest.mark.parametrize("timeout", [-1, math.nan, "5", 10**12])
async def test_a_wait_that_can_not_be(qk: Queuekit, timeout: Any) -> None:
    async with qk:
        with pytest.raises(InvalidOption, match="result: timeout: pass seconds or a timedelta, at"):
            await qk.handle(uuid4()).result(timeout=timeout)


async def test_a_result_that_fits_no_more_is_shown_as_it_is_stored(qk: Queuekit) -> None:
    @qk.task(name="report")
    async def of_yesterday() -> dict[str, str]:
        return {"a": "b"}

    @Queuekit("sqlite://").task(name="report")
    async def of_today() -> int: ...  # type: ignore[empty-body]

    async with qk:
        job = await of_yesterday.enqueue()
        await qk.run_worker(burst=True, signals=False)
        handle = qk.handle(job.id, task=of_today)
        assert (await handle.info()).result == {"a": "b"}
        with pytest.raises(
            InvalidPayload,
            match=r"its stored result can't be read: .*valid integer.* Stored is "
            r'\{"a":"b"\}\. Annotate .* or read it as it is: \(await handle.info\(\)\).result',
        ):
            await handle.result(timeout=5)


def test_a_result_comes_without_an_event_loop(qk: Queuekit) -> None:
    send = add_task(qk)
    try:
        job = send.enqueue_sync("ada")
        with pytest.raises(TimeoutError, match="not ended within 0 s"):
            job.result_sync(timeout=0)
    finally:
        qk.close_sync()


# Which job


@pytest.mark.parametrize("queue", [None, "mail"])
async def test_a_job_that_never_was(qk: Queuekit, queue: str | None) -> None:
    async with qk:
        handle = qk.handle(uuid4(), queue=queue)
        for ask in (handle.info, handle.status, handle.result, handle.cancel):
            with pytest.raises(JobNotFound, match=str(handle.id)):
                await ask()


async def test_a_handle_of_an_id_as_text(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk, qk.worker():
        job = await double.enqueue(4)
        assert await qk.handle(str(job.id), task=double).result(timeout=50) == 8
    others: list[Any] = ["", "email", 5, None, job]
    for other in others:
        with pytest.raises(InvalidOption, match="is no job's id; pass a UUID, or its text"):
            qk.handle(other)


async def test_where_a_job_is_is_asked_once(qk: Queuekit) -> None:
    send = add_task(qk)
    async with qk:
        job = await send.enqueue("ada")
        assert (job.queue, qk.handle(job.id).queue) == ("mail", None)
        handle: Handle[Any] = qk.handle(job.id)
        asked = list[Any]()
        inspector = (await qk.backend()).inspector
        locate = inspector.locate

        async def count(ids: Any) -> Any:
            asked.append(ids)
            return await locate(ids)

        inspector.locate = count  # type: ignore[method-assign]
        for _ in range(2):
            assert await handle.status() is State.READY
    assert (handle.queue, len(asked)) == ("mail", 1)
    assert repr(handle) == f"<Handle of job {job.id} on queue 'mail'>"


async def test_a_handle_of_another_tasks_job_says_so(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    @qk.task(name="shout", aliases=["whisper"])
    async def shout(text: str) -> str:
        return text

    async with qk, qk.worker():
        job = await double.enqueue(4)
        assert await job.result(timeout=50) == 8
        for wrong in (
            qk.handle(job.id, task=shout),
            qk.handle(job.id, task=shout, queue="default"),
        ):
            for look in (wrong.info, wrong.result):
                with pytest.raises(
                    JobNotFound, match=f"{job.id} is one of task 'double', not of 'shout'"
                ):
                    await look()
            assert await wrong.status() is State.SUCCEEDED
        for right in (qk.handle(job.id, task=double), qk.handle(job.id)):
            assert await right.result() == (await right.info()).result == 8


async def test_who_has_another_tasks_handle_does_not_wait_for_its_job(qk: Queuekit) -> None:
    send = add_task(qk)

    @qk.task
    async def other() -> None: ...

    async with qk:
        job = await send.enqueue("ada")
        with pytest.raises(JobNotFound, match="is one of task 'send', not of 'other'"):
            await qk.handle(job.id, task=other).result(timeout=10)


async def test_the_job_that_holds_a_key_may_be_another_tasks(qk: Queuekit) -> None:
    @qk.task(key="one")
    async def double(n: int) -> int:
        return 2 * n

    @qk.task(key="one")
    async def shout(text: str) -> str:
        return text

    async with qk:
        first = await double.enqueue(4)
        second = await shout.enqueue("a")
        assert second.deduplicated
        assert second.id == first.id
        assert await second.status() is State.READY
        with pytest.raises(JobNotFound, match="is one of task 'double', not of 'shout'"):
            await second.info()


async def test_a_handle_of_a_task_that_was_renamed(qk: Queuekit) -> None:
    @qk.task(name="shout", aliases=["whisper"])
    async def shout(text: str) -> str:
        return text

    async with qk, qk.worker():
        job = await qk.enqueue(shout.job("a")._replace(task="whisper"))
        assert await qk.handle(job.id, task=shout).result(timeout=50) == "a"


# What is shown of a record


def record(**fields: Any) -> JobRecord:
    job = Job(uuid4(), "send", '{"v":1,"a":{"to":"ada"}}', JobOptions(queue="mail"))
    made = JobRecord(job=job, life=Life(State.SUCCEEDED, 1, 7), times=Times(0))
    return replace(made, **fields)


def test_times_are_aware_datetimes_and_those_that_are_not_known_are_none() -> None:
    info = info_of(record(times=Times(1_500_000, finished_at=2_000_000)))
    assert info.enqueued_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)
    assert info.finished_at == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert (info.scheduled_at, info.started_at) == (None, None)


def test_values_have_the_types_of_their_task_where_that_is_known(qk: Queuekit) -> None:
    @qk.task(name="send")
    async def send(to: complex) -> complex: ...  # type: ignore[empty-body]

    job = Job(uuid4(), "send", '{"v":1,"a":{"to":"1+2j"}}', JobOptions())
    stored = record(job=job, notes=Notes('"3+4j"'))
    assert (info_of(stored, send).arguments, info_of(stored, send).result) == (
        {"to": 1 + 2j},
        3 + 4j,
    )
    assert (info_of(stored).arguments, info_of(stored).result) == ({"to": "1+2j"}, "3+4j")


def test_extras_progress_and_logs_are_shown() -> None:
    job = Job(uuid4(), "send", "{}", JobOptions(extra='{"meta":{"a":1}}', tags=("t",)))
    info = info_of(record(job=job, notes=Notes(progress='{"value":1}', logs=["x"])))
    assert (info.meta, info.progress, info.logs, info.tags) == (
        {"a": 1},
        {"value": 1},
        ("x",),
        ("t",),
    )
    bare = info_of(record())
    assert (bare.meta, bare.progress, bare.logs, bare.result) == ({}, None, (), None)


@pytest.mark.parametrize(
    ("text", "attempt", "kind", "message"),
    [
        ('{"attempt":2,"type":"T","message":"m","traceback":"t","at":5}', 2, "T", "m"),
        ("no json", 0, "unreadable", "no json"),
        ("[1]", 0, "unreadable", "[1]"),
        ('{"attempt":"x","message":[1],"at":"x"}', 0, "unreadable", "[1]"),
    ],
)
def test_an_error_is_shown_whatever_is_stored(
    text: str, attempt: int, kind: str, message: str
) -> None:
    (failure,) = failures_of([text])
    assert (failure.attempt, failure.type, failure.message) == (attempt, kind, message)
