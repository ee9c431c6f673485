"""Any stored job can be looked at, whatever it holds and whatever the code of today expects."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from queuekit import JobFailed, JobInfo, Queuekit, State
from queuekit.backend import Ask, Backend, Report
from queuekit.job import Ack, Claim, Claimant, Job, JobOptions, new_id

LONG = 60_000_000
DEEP = "[" * 100_000
BROKEN = ["", "no JSON", "[1", "null", "5", '"text"', '{"a":', "\\u0000", '"\\ud800"', DEEP]


def job(payload: str = '{"v":1,"a":{}}', task: str = "send", **options: Any) -> Job[Any]:
    return Job(new_id(), task, payload, JobOptions(queue="mail", **options))


async def stored(backend: Backend, *jobs: Job[Any]) -> Sequence[Job[Any]]:
    """Those that the server takes; not each takes any number."""
    answers = await backend.enqueue(jobs)
    return [one for one, answer in zip(jobs, answers, strict=True) if answer.done]


async def claimed(backend: Backend) -> Claim:
    (only,) = (await backend.fetch(Ask(["mail"], 1, Claimant("p", 1), LONG))).claims
    return only


async def ended(backend: Backend, **fields: Any) -> Claim:
    """A job that was run to its end, in a way that no worker would."""
    await backend.enqueue([job()])
    claim = await claimed(backend)
    (change,) = await backend.ack([Ack(claim.token, claim.task, **fields)])
    assert change.done
    return claim


async def looked_at(qk: Queuekit, *jobs: Job[Any] | Claim) -> list[JobInfo]:
    """By handle and one by one; the list must have all of them."""
    ids = [one.id if isinstance(one, Job) else one.token.id for one in jobs]
    infos = [await qk.handle(one, queue="mail").info() for one in ids]
    assert infos == [await qk.inspect.show(one) for one in ids]
    assert {info.id for info in await qk.inspect.list(limit=100)} == set(ids)
    return infos


@dataclass
class Point:
    x: int
    y: int


@pytest.fixture
def send(qk: Queuekit) -> Any:
    @qk.task(queue="mail", name="send")
    async def send(to: str = "", *rest: int, at: Point | None = None, **more: bool) -> int:
        return len(to)

    return send


async def test_arguments_are_shown_as_they_were_given(qk: Queuekit, send: Any) -> None:
    async with qk:
        handle = await send.enqueue("ada", 1, 2, at=Point(1, 2), loud=True)
        (info,) = await qk.inspect.list()
        assert info == await handle.info() == await qk.inspect.show(handle.id)
    assert info.arguments == {
        "to": "ada", "*rest": [1, 2], "at": Point(1, 2), "**more": {"loud": True}
    }  # fmt: skip


async def test_without_the_task_the_stored_values_are_shown(
    qk: Queuekit, send: Any, another: Callable[[], Queuekit]
) -> None:
    stranger = another()
    async with qk, stranger:
        handle = await send.enqueue("ada", at=Point(1, 2))
        await qk.run_worker(burst=True, signals=False)
        info = await stranger.inspect.show(handle.id)
        assert info == await stranger.handle(handle.id).info()
    assert info.arguments == {"to": "ada", "at": {"x": 1, "y": 2}}
    assert info.result == 3


async def test_of_another_apps_task_the_result_has_its_type(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    @qk.task
    async def point() -> Point:
        return Point(1, 2)

    stranger = another()
    async with qk, stranger:
        handle = await point.enqueue()
        await qk.run_worker(burst=True, signals=False)
        assert (await stranger.handle(handle.id, task=point).info()).result == Point(1, 2)
        assert (await stranger.handle(handle.id).info()).result == {"x": 1, "y": 2}


@pytest.mark.parametrize("task", ["send", "of another version"])
async def test_any_payload(qk: Queuekit, send: Any, task: str) -> None:
    payloads = [*BROKEN, '{"v":1,"a":{"to":5}}', '{"v":9,"a":{"to":"ada"}}', '{"v":1,"a":[]}']
    async with qk:
        jobs = await stored(await qk.backend(), *(job(one, task=task) for one in payloads))
        infos = await looked_at(qk, *jobs)
    assert len(jobs) == len(payloads)
    found = {one.payload: info.arguments for one, info in zip(jobs, infos, strict=True)}
    assert found == {one: {} for one in payloads} | {
        '{"v":1,"a":{"to":5}}': {"to": 5},
        '{"v":9,"a":{"to":"ada"}}': {"to": "ada"},
    }


@pytest.mark.parametrize("text", BROKEN)
async def test_any_text_where_json_is_expected(qk: Queuekit, send: Any, text: str) -> None:
    """As result, progress and options of a call."""
    async with qk:
        backend = await qk.backend()
        await backend.enqueue([job(extra=text)])
        claim = await claimed(backend)
        await backend.report([Report(claim.token, text, [text])])
        await backend.ack([Ack(claim.token, claim.task, State.SUCCEEDED, result=text)])
        (info,) = await looked_at(qk, claim)
    assert info.state is State.SUCCEEDED
    assert info.meta == {}
    assert info.logs == (text,)


@pytest.mark.parametrize(
    "error",
    [
        '{"attempt":1}',
        '{"attempt":"x","type":null,"message":[1],"traceback":{},"at":"x"}',
        '{"attempt":1,"type":"T","message":"m","traceback":"t","cause":"of a later version"}',
    ],
)
async def test_any_error(qk: Queuekit, send: Any, error: str) -> None:
    async with qk:
        claim = await ended(
            await qk.backend(), state=State.FAILED, reason="of a later version", error=error
        )
        (info,) = await looked_at(qk, claim)
        with pytest.raises(JobFailed, match="of a later version"):
            await qk.handle(claim.token.id).result(timeout=5)
    assert info.reason == "of a later version"
    (failure,) = info.errors
    assert isinstance(failure.message, str)
    assert failure.at.tzinfo is UTC


@pytest.mark.parametrize("due", [0, -(10**18), 2**53, 10**17, 2**62])
async def test_any_time(qk: Queuekit, send: Any, due: int) -> None:
    async with qk:
        jobs = await stored(
            await qk.backend(),
            job(due=due), job(delay=abs(due)), job(expires=abs(due)), job(),
        )  # fmt: skip
        infos = await looked_at(qk, *jobs)
    assert jobs
    for info in infos:
        for moment in (info.enqueued_at, info.scheduled_at):
            assert moment is None or moment.astimezone() <= datetime.max.replace(tzinfo=UTC)


def test_jsons_of_these_tests_are_no_json_objects() -> None:
    for text in BROKEN:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        assert not isinstance(value, dict)
