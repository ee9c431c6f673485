"""What a task may be, raise and return, and what becomes of its job."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, field_validator
from structlog.testing import capture_logs

from queuekit import (
    Cancel,
    Context,
    GiveUp,
    InvalidTransition,
    JobCancelled,
    JobFailed,
    Queuekit,
    Retry,
    Snooze,
    State,
    current,
    fixed,
)
from queuekit.backend import Changes, Fetched, Refusal
from queuekit.worker.threads import Threads


async def test_async_and_sync_tasks_give_results(qk: Queuekit) -> None:
    threads = set()

    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    @qk.task
    def triple(n: int) -> int:
        threads.add(threading.current_thread().name)
        return 3 * n

    async with qk, qk.worker():
        jobs = [await double.enqueue(2), await triple.enqueue(2)]
        assert [await job.result(timeout=50) for job in jobs] == [4, 6]
        assert [await job.status() for job in jobs] == [State.SUCCEEDED] * 2
    assert threads == {"queuekit-task"}


async def test_a_failure_is_tried_again_and_each_error_kept(qk: Queuekit) -> None:
    seen = []

    @qk.task(max_attempts=3, backoff=fixed(0))
    async def flaky() -> str:
        seen.append(current().attempt)
        if len(seen) < 3:
            raise ValueError(f"number {len(seen)}")
        return "done"

    async with qk, qk.worker():
        job = await flaky.enqueue()
        assert await job.result(timeout=50) == "done"
        info = await job.info()
    assert seen == [1, 2, 3]
    assert [(e.attempt, e.type, e.message) for e in info.errors] == [
        (1, "ValueError", "number 1"),
        (2, "ValueError", "number 2"),
    ]
    assert "raise ValueError" in info.errors[0].traceback
    assert info.attempt == 3


async def test_attempts_exhausted_fails_with_all_errors(qk: Queuekit) -> None:
    @qk.task(max_attempts=2, backoff=fixed(0))
    async def broken() -> None:
        raise KeyError("k")

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"failed \(exhausted\): KeyError") as failed:
            await (await broken.enqueue()).result(timeout=50)
    assert failed.value.reason == "exhausted"
    assert [error.attempt for error in failed.value.errors] == [1, 2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(GiveUp("no use"), "gave_up"), (KeyError("x"), "gave_up"), (SystemExit(3), "exhausted")],
)
async def test_errors_that_end_it(qk: Queuekit, error: BaseException, reason: str) -> None:
    @qk.task(give_up_on=[LookupError], max_attempts=2, backoff=fixed(0))
    async def broken() -> None:
        raise error

    async with qk, qk.worker():
        with pytest.raises(JobFailed) as failed:
            await (await broken.enqueue()).result(timeout=50)
    assert failed.value.reason == reason


async def test_retry_on_names_what_is_worth_another_attempt(qk: Queuekit) -> None:
    runs = []

    @qk.task(retry_on=[OSError], backoff=fixed(0))
    async def broken() -> None:
        runs.append(1)
        raise ConnectionResetError if len(runs) == 1 else ValueError

    async with qk, qk.worker():
        with pytest.raises(JobFailed):
            await (await broken.enqueue()).result(timeout=50)
    assert len(runs) == 2


async def test_retry_overrides_the_backoff(qk: Queuekit) -> None:
    @qk.task(backoff=fixed(3600))
    async def impatient() -> int:
        if current().attempt == 1:
            raise Retry(delay=0)
        return current().attempt

    async with qk, qk.worker():
        assert await (await impatient.enqueue()).result(timeout=50) == 2


async def test_snooze_is_not_counted(qk: Queuekit) -> None:
    runs = []

    @qk.task(max_attempts=1)
    async def sleepy(ctx: Context) -> int:
        runs.append(ctx.attempt_token)
        if len(runs) < 3:
            raise Snooze(0.01)
        return ctx.attempt

    async with qk, qk.worker():
        assert await (await sleepy.enqueue()).result(timeout=50) == 1
    assert sorted(set(runs)) == runs
    assert len(runs) == 3


async def test_cancel_raised_by_the_task(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None:
        raise Cancel("not needed")

    async with qk, qk.worker():
        job = await task.enqueue()
        with pytest.raises(JobCancelled, match="not needed"):
            await job.result(timeout=50)


async def test_a_running_job_is_cancelled_from_another_process(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    started, interrupted = asyncio.Event(), asyncio.Event()

    @qk.task
    async def long() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            interrupted.set()
            raise

    async with qk, qk.worker(), another() as elsewhere:
        job = await long.enqueue()
        await started.wait()
        await elsewhere.handle(job.id).cancel()
        # Well before the next heartbeat, which is due after 3.3 s.
        await asyncio.wait_for(interrupted.wait(), 3)
        with pytest.raises(JobCancelled, match="cancelled on request"):
            await job.result(timeout=50)
        with pytest.raises(InvalidTransition, match="it is cancelled"):
            await job.cancel()


async def test_a_thread_is_told_of_its_cancellation(qk: Queuekit) -> None:
    started = threading.Event()

    @qk.task
    def long(ctx: Context) -> str:
        started.set()
        while not ctx.cancelled:
            threading.Event().wait(0.01)
        return "stopped in good order"

    async with qk, qk.worker():
        job = await long.enqueue()
        await asyncio.to_thread(started.wait)
        await job.cancel()
        assert await job.result(timeout=50) == "stopped in good order"


async def test_an_async_timeout(qk: Queuekit) -> None:
    @qk.task(timeout=0.05, max_attempts=1)
    async def slow(ctx: Context) -> None:
        assert ctx.deadline is not None
        assert ctx.deadline - datetime.now(UTC) < timedelta(seconds=0.06)
        await asyncio.Event().wait()

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(timeout\): TimeoutError: .*timeout of 0.05 s"):
            await (await slow.enqueue()).result(timeout=50)


async def test_a_thread_past_its_timeout_keeps_its_slot_until_it_returns(qk: Queuekit) -> None:
    overlap = []
    running = threading.Semaphore(1)

    @qk.task(timeout=0.05, max_attempts=2, backoff=fixed(0))
    def slow(ctx: Context) -> None:
        overlap.append(not running.acquire(blocking=False))
        while not ctx.cancelled:
            threading.Event().wait(0.005)
        threading.Event().wait(0.05)
        running.release()

    async with qk, qk.worker():
        with pytest.raises(JobFailed) as failed:
            await (await slow.enqueue()).result(timeout=50)
    assert failed.value.reason == "timeout"
    assert overlap == [False, False]


async def test_a_timeout_error_of_the_task_itself_is_an_ordinary_error(qk: Queuekit) -> None:
    @qk.task(timeout=30, max_attempts=1)
    async def task() -> None:
        raise TimeoutError("of its own")

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): TimeoutError: of its own"):
            await (await task.enqueue()).result(timeout=50)


async def test_an_unserialisable_result_fails_without_a_second_run(qk: Queuekit) -> None:
    runs = []

    @qk.task
    async def task() -> Any:
        runs.append(1)
        return object()

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(invalid_result\)"):
            await (await task.enqueue()).result(timeout=50)
    assert runs == [1]


async def test_a_payload_that_fits_no_longer_is_invalid(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    old = another()

    @old.task(name="task")
    async def before(n: str) -> None: ...

    @qk.task(name="task")
    async def now(n: int) -> None: ...

    async with old:
        job = await before.enqueue("five")
        async with qk, qk.worker():
            with pytest.raises(
                JobFailed, match=r"\(invalid\): InvalidPayload: task 'task': n: Input should be"
            ):
                await qk.handle(job.id, queue="default").result(timeout=50)


async def test_aliases_and_upgrade_take_old_jobs(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    old = another()

    @old.task
    async def mail(to: str) -> None: ...

    @qk.task(aliases=["mail"], upgrade=lambda a: {"address": a["to"], "subject": "hi"})
    async def send(address: str, subject: str) -> str:
        return f"{subject} {address}"

    async with old:
        job = await mail.enqueue("ada")
        async with qk, qk.worker():
            assert await qk.handle(job.id, task=send).result(timeout=50) == "hi ada"


async def test_an_unknown_task_waits_for_a_worker_that_knows_it(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    other = another()

    @other.task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> None: ...

    async with other:
        job = await elsewhere.enqueue()
        await qk.run_worker(burst=True)
        info = await job.info()
    assert (info.state, info.attempt) == (State.SCHEDULED, 0)


async def test_after_a_day_an_unknown_task_is_invalid(
    qk: Queuekit, another: Callable[[], Queuekit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.executor.UNKNOWN_TASK_PATIENCE", -1)
    other = another()

    @other.task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> None: ...

    async with other:
        job = await elsewhere.enqueue()
        async with qk, qk.worker():
            with pytest.raises(JobFailed, match=r"\(invalid\): UnknownTask: No task 'elsewhere'"):
                await job.result(timeout=50)


async def test_a_backoff_function_that_fails_means_a_minute(qk: Queuekit) -> None:
    def backoff(attempt: int, error: BaseException) -> float:
        raise ZeroDivisionError

    @qk.task(backoff=backoff)
    async def broken() -> None:
        raise ValueError("the task's own")

    async with qk:
        job = await broken.enqueue()
        await qk.run_worker(burst=True)
        info = await job.info()
    assert info.state is State.SCHEDULED
    assert info.errors[0].message == "the task's own"
    assert info.scheduled_at is not None
    assert timedelta(seconds=50) < info.scheduled_at - info.errors[0].at <= timedelta(seconds=61)


async def test_a_stop_iteration_of_a_sync_task_is_an_error_like_any_other(qk: Queuekit) -> None:
    @qk.task(max_attempts=1)
    def task() -> object:
        return next(iter(()))

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): RuntimeError: .*StopIteration"):
            await (await task.enqueue()).result(timeout=50)


async def test_a_cancelled_error_of_the_tasks_own_is_an_error_like_any_other(qk: Queuekit) -> None:
    @qk.task(max_attempts=1)
    async def task() -> None:
        work = asyncio.ensure_future(asyncio.Event().wait())
        work.cancel()
        await work

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): CancelledError"):
            await (await task.enqueue()).result(timeout=50)


async def test_a_task_that_finishes_though_it_was_cancelled_has_finished(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task(ctx: Context) -> bool:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return ctx.cancelled
        return False

    async with qk, qk.worker(concurrency=1):
        for _ in range(2):
            job = await task.enqueue()
            await started.wait()
            started.clear()
            await job.cancel()
            assert await job.result(timeout=50) is True


class Strict(BaseModel):
    """Its validator is wrong itself."""

    n: int

    @field_validator("n")
    @classmethod
    def check(cls, n: int) -> int:
        raise KeyError(n)


async def test_results_that_can_not_be_checked_or_written_end_no_worker(qk: Queuekit) -> None:
    @qk.task
    async def huge() -> int:
        return 10**5_000

    @qk.task
    async def strict() -> Strict:
        return {"n": 5}  # type: ignore[return-value]  # read as one

    @qk.task
    async def good() -> int:
        return 5

    async with qk, qk.worker():
        for task in (huge, strict):
            with pytest.raises(JobFailed, match=r"\(invalid_result\)"):
                await (await task.enqueue()).result(timeout=50)
        assert await (await good.enqueue()).result(timeout=50) == 5


async def test_a_result_that_the_server_refuses_is_an_error_in_the_log(qk: Queuekit) -> None:
    @qk.task
    async def task() -> str:
        return "unstorable"

    async with qk:
        backend = await qk.backend()
        fetch = backend.fetch

        async def refuse(*args: Any, **asked: Any) -> Fetched:
            fetched = await fetch(*args, **asked)
            refused = {
                place: change._replace(refused=Refusal.UNSTORABLE)
                for place, change in enumerate(fetched.settled)
            }
            return fetched._replace(settled=Changes(fetched.settled.asked, refused))

        backend.fetch = refuse  # type: ignore[method-assign]  # as a server might
        await task.enqueue()
        with capture_logs() as lines:
            await qk.run_worker(burst=True)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "the server would not store the result; the job has failed (invalid_result)"
    ]


async def test_a_sync_task_within_its_timeout(qk: Queuekit) -> None:
    @qk.task(timeout=30)
    def task(ctx: Context) -> bool:
        return ctx.deadline is not None

    async with qk, qk.worker():
        assert await (await task.enqueue()).result(timeout=50) is True


async def test_a_job_whose_thread_comes_after_its_timeout_runs_again(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, late = Threads.submit, threading.Event()

    def slowly(threads: Threads, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        return submit(threads, lambda: (late.is_set() or late.wait(0.3) or late.set(), work())[1])  # type: ignore[func-returns-value]

    monkeypatch.setattr(Threads, "submit", slowly)

    @qk.task(timeout=0.2, max_attempts=1)
    def task() -> str:
        return "done"

    async with qk, qk.worker():
        job = await task.enqueue()
        assert await job.result(timeout=5) == "done"
        assert (await job.info()).attempt == 1


async def test_unknown_tasks_are_named_once(qk: Queuekit, another: Callable[[], Queuekit]) -> None:
    other = another()

    @other.task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> None: ...

    async with other:
        for _ in range(3):
            await elsewhere.enqueue()
        with capture_logs() as lines:
            await qk.run_worker(burst=True)
    unknown = [line["task"] for line in lines if "unknown task" in line["event"]]
    assert unknown == ["elsewhere"]
