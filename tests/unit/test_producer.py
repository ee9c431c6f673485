"""Group commit, and what becomes of an enqueue whose reply is lost."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from queuekit.backend import Backend, Changes, Refusal
from queuekit.errors import BackendUnavailable, OutcomeUnknown, ReplyLost
from queuekit.job import Job, JobOptions, new_id
from queuekit.producer import Producer
from queuekit.testing.conformance import LosingReplies
from queuekit.testing.conformance._make import STORED, answer_of


class Counting:
    """Passes enqueues on, counts them, and can hold them back or fail them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.batches: list[list[Job[Any]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.errors: list[Exception] = []

    async def enqueue(self, jobs: Sequence[Job[Any]], *, atomic: bool = False) -> Changes:
        self.batches.append(list(jobs))
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return await self._backend.enqueue(jobs, atomic=atomic)

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@pytest.fixture
async def counting(make_backend: Any, tmp_path: Path) -> Counting:
    return Counting(await make_backend(f"sqlite:///{tmp_path}/queue.db"))


def job() -> Job[Any]:
    return Job(new_id(), "task", "{}", JobOptions())


async def test_a_lone_caller_pays_one_round_trip(counting: Counting) -> None:
    answer = await Producer(counting).enqueue(job())  # type: ignore[arg-type]  # only enqueue is used

    assert answer_of(answer) is STORED
    assert counting.sizes == [1]


async def test_callers_gather_while_one_is_under_way(counting: Counting) -> None:
    producer = Producer(counting)  # type: ignore[arg-type]
    counting.gate.clear()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(producer.enqueue(job()))]
        while not counting.batches:
            await asyncio.sleep(0)
        calls += [group.create_task(producer.enqueue(job())) for _ in range(50)]
        await asyncio.sleep(0)
        counting.gate.set()

    assert counting.sizes == [1, 50]
    assert {answer_of(call.result()) for call in calls} == {STORED}


async def test_a_batch_is_bounded(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.producer.MOST_JOBS", 20)
    producer = Producer(counting)  # type: ignore[arg-type]
    await asyncio.gather(*(producer.enqueue(job()) for _ in range(50)))
    assert max(counting.sizes) == 20

    counting.batches.clear()
    monkeypatch.setattr("queuekit.producer.MOST_BYTES", 10)
    await asyncio.gather(*(producer.enqueue(job()) for _ in range(12)))
    assert max(counting.sizes) == 5


async def test_cancelled_before_it_was_sent_it_is_withdrawn(counting: Counting) -> None:
    producer = Producer(counting)  # type: ignore[arg-type]
    counting.gate.clear()
    first = asyncio.ensure_future(producer.enqueue(job()))
    while not counting.batches:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(producer.enqueue(job()))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    counting.gate.set()
    await first

    assert counting.sizes == [1]


async def test_cancelled_after_it_was_sent_the_id_is_on_the_exception(counting: Counting) -> None:
    producer = Producer(counting)  # type: ignore[arg-type]
    counting.gate.clear()
    mine = job()
    call = asyncio.ensure_future(producer.enqueue(mine))
    while not counting.batches:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await call
    counting.gate.set()
    await producer.close()

    assert cancelled.value.job_id == mine.id  # type: ignore[attr-defined]
    (answer,) = await counting._backend.enqueue([mine._replace(fresh=False)])
    assert answer_of(answer) is Refusal.KNOWN


async def test_a_lost_reply_is_asked_for_again_with_the_same_id(
    make_backend: Any, tmp_path: Path
) -> None:
    lossy = LosingReplies(await make_backend(f"sqlite:///{tmp_path}/queue.db"))
    lossy.lose_reply()

    answer = await Producer(lossy.backend).enqueue(job())
    assert answer_of(answer) is Refusal.KNOWN


async def test_an_unreachable_server_stores_nothing_and_says_so_at_once(counting: Counting) -> None:
    counting.errors = [BackendUnavailable("down")]

    with pytest.raises(BackendUnavailable, match="down"):
        await Producer(counting).enqueue(job())  # type: ignore[arg-type]
    assert counting.sizes == [1]


async def test_without_an_answer_in_time_the_outcome_is_unknown(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.producer.RESEND_FOR", 0.2)
    counting.errors = [ReplyLost("lost"), *[BackendUnavailable("down")] * 50]
    mine = [job(), job()]

    results = await asyncio.gather(
        *(Producer(counting).enqueue(one) for one in mine[:1]),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    (error,) = results
    assert isinstance(error, OutcomeUnknown)
    assert error.job_id == mine[0].id
    assert f"Enqueue again with id={mine[0].id}" in str(error)
    assert all(not sent.fresh for batch in counting.batches[1:] for sent in batch)


async def test_close_sends_what_waits(counting: Counting) -> None:
    producer = Producer(counting)  # type: ignore[arg-type]
    calls = [asyncio.ensure_future(producer.enqueue(job())) for _ in range(5)]
    await asyncio.sleep(0)
    await producer.close()

    assert all(call.done() for call in calls)
