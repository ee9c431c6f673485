"""The fetcher's calls: how many there are, and what each of them asks for."""

import asyncio
from time import monotonic
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit.errors import StoreGone
from queuekit.job import Claimant, Return, State
from queuekit.lifecycle import Failed, Outcome, Released, Snoozed, Succeeded
from queuekit.loops import background
from queuekit.worker.run import Run
from tests.unit.worker.conftest import ME, Bench, Calls, Make, turns
from tests.waiting import eventually
from tests.worker.faults import Fault

DONE = Succeeded("1")


class Fetches(Calls):
    """The calls of a fetcher."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.backend, "fetch")

    @property
    def limits(self) -> list[int]:
        return [ask.limit for (ask,), _ in self.asked]

    @property
    def settled(self) -> list[int]:
        return [len(named["settle"]) for _, named in self.asked]


@pytest.fixture
async def fetches(bench: Bench) -> Fetches:
    return Fetches(bench)


async def take(bench: Bench) -> Run:
    """What a slot gets."""
    return await asyncio.wait_for(bench.board.take(), 10)


def end(bench: Bench, run: Run, outcome: Outcome = DONE) -> None:
    """What a slot does at the end."""
    bench.board.end(run)
    bench.outbox.settle(run, outcome)


async def settled_all(bench: Bench) -> None:
    await asyncio.wait_for(bench.outbox.settled_all.wait(), 10)
    await turns()


async def test_an_idle_worker_asks_once_and_again_when_the_doorbell_rings(
    bench: Bench, fetches: Fetches
) -> None:
    async with background(bench.fetcher.run, bench.doorbell.run):
        await eventually(lambda: bench.doorbell.for_work)
        await turns()
        assert len(fetches) == 1
        await bench.enqueue()
        await take(bench)
        await turns()
    assert [ask.claimant for (ask,), _ in fetches.asked] == [Claimant(ME, 1), Claimant(ME, 2)]


async def test_outcomes_travel_with_a_claim(bench: Bench, fetches: Fetches) -> None:
    for _ in range(2):
        bench.outbox.settle(await bench.run(), DONE)
    async with background(bench.fetcher.run):
        await settled_all(bench)
    assert (fetches.limits, fetches.settled) == ([4], [2])


async def test_without_work_outcomes_go_at_once_and_alone(
    bench: Bench, fetches: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.fetcher.GATHER_FOR", 600)
    run = await bench.run()
    async with background(bench.fetcher.run):
        await eventually(lambda: bench.doorbell.for_work)
        bench.outbox.settle(run, DONE)
        await settled_all(bench)
    assert (fetches.limits, fetches.settled) == ([4, 0], [0, 1])
    asked, _ = fetches.asked[1]
    (ask,) = asked
    assert (ask.queues, ask.suspects) == ((), 0)


async def busy(bench: Bench) -> None:
    """So many jobs are claimed that more are claimed only when half of them have begun: 400 begin in a second."""
    bench.board.pace.filled(monotonic() - 100)
    for _ in range(40_000):
        bench.board.pace.begun()
    await bench.enqueue(60)
    await eventually(lambda: len(bench.board.buffer) > 2)
    await turns()


async def test_while_there_is_work_outcomes_wait_for_the_next_claim(
    bench: Bench, fetches: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.fetcher.GATHER_FOR", 600)
    board, ended = bench.board, 0
    async with background(bench.fetcher.run, bench.doorbell.run):
        await busy(bench)
        before = len(fetches)
        while len(board.buffer) > board.refill_at:
            await turns()
            assert len(fetches) == before
            end(bench, await board.take())
            ended += 1
        await settled_all(bench)
    assert ended > 2
    assert fetches.settled[before:] == [ended]
    assert fetches.limits[before] > 0


async def test_outcomes_wait_for_a_moment_only(
    bench: Bench, fetches: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.fetcher.GATHER_FOR", 0.01)
    async with background(bench.fetcher.run, bench.doorbell.run):
        await busy(bench)
        before = len(fetches)
        end(bench, await take(bench))
        await settled_all(bench)
    assert (fetches.limits[before:], fetches.settled[before:]) == ([0], [1])


@pytest.mark.parametrize(
    ("outcome", "calls"),
    [(DONE, 1), (Snoozed(60_000_000), 1), (Released(), 2), (Failed(None), 2)],
)
async def test_a_job_that_goes_back_may_be_had_at_once(
    bench: Bench, fetches: Fetches, outcome: Outcome, calls: int
) -> None:
    bench.outbox.settle(await bench.run(), outcome)
    async with background(bench.fetcher.run):
        await settled_all(bench)
        await eventually(lambda: bench.doorbell.for_work)
        await turns()
    assert len(fetches) == calls


async def test_no_more_suspects_are_asked_for_than_children_are_free(make_bench: Make) -> None:
    bench = await make_bench(children=1, concurrency=5)
    fetches = Fetches(bench)
    async with background(bench.fetcher.run):
        await eventually(lambda: bench.doorbell.for_work)
    assert (fetches.limits, fetches.asked[0][0][0].suspects) == ([10], 1)


async def test_claims_that_come_after_the_stop_are_given_back(
    bench: Bench, fetches: Fetches
) -> None:
    (job,) = await bench.enqueue()
    fetch = bench.backend.fetch

    async def meanwhile(*args: Any, **named: Any) -> Any:
        fetched = await fetch(*args, **named)
        bench.board.stopping.set()
        return fetched

    bench.backend.fetch = meanwhile  # type: ignore[method-assign]
    async with background(bench.fetcher.run):
        await eventually(lambda: len(fetches) == 2)
        await settled_all(bench)
    record = await bench.record(job.ref)
    assert (record.state, record.life.attempt) == (State.READY, 0)
    assert (fetches.limits[1], fetches.settled) == (0, [0, 1])


async def test_a_burst_looks_again_after_each_end(make_bench: Make) -> None:
    bench = await make_bench(burst=True)
    fetches = Fetches(bench)
    await bench.enqueue()
    async with background(bench.fetcher.run):
        run = await take(bench)
        await turns()
        assert len(fetches) == 1
        assert not bench.fetcher.found_nothing.is_set()
        end(bench, run)
        await asyncio.wait_for(bench.fetcher.found_nothing.wait(), 10)
    assert fetches.settled == [0, 1, 0]
    assert [limit > 0 for limit in fetches.limits] == [True, False, True]


async def test_only_what_was_not_received_is_given_back(bench: Bench) -> None:
    claimed, running, ended, unreceived = [await bench.run() for _ in range(4)]
    bench.board.deliver([running, claimed])
    await take(bench)
    bench.outbox.settle(ended, DONE)
    await bench.fetcher.give_back_unreceived()
    _, released = bench.outbox.waiting
    assert isinstance(released, Return)
    assert released.token.ref == unreceived.claim.token.ref


async def test_what_was_claimed_by_a_call_without_an_answer_yet_is_not_given_back(
    bench: Bench,
) -> None:
    await bench.enqueue()
    fetch = bench.backend.fetch

    async def late(*args: Any, **named: Any) -> Any:
        fetched = await fetch(*args, **named)
        await bench.fetcher.give_back_unreceived()
        return fetched

    bench.backend.fetch = late  # type: ignore[method-assign]
    async with background(bench.fetcher.run):
        run = await take(bench)
        await eventually(lambda: bench.doorbell.for_work)
    assert not list(bench.outbox.tokens())
    assert (await bench.record(run.claim.token)).state is State.RUNNING


async def test_a_job_that_has_expired_is_told_and_not_begun(bench: Bench) -> None:
    (job,) = await bench.enqueue(expires=1e-6)
    with capture_logs() as lines:
        async with background(bench.fetcher.run):
            await eventually(lambda: bench.doorbell.for_work)
    assert [(line["job_id"], line["reason"]) for line in lines] == [(str(job.id), "expired")]
    assert not bench.board.buffer


async def test_a_store_that_is_gone_ends_it(bench: Bench) -> None:
    Fault(bench.backend, "fetch", StoreGone)
    with pytest.raises(StoreGone):
        await asyncio.wait_for(bench.fetcher.run(), 10)
