"""Where jobs are between their claim and their outcome, and who is told of what."""

import asyncio
from contextlib import AsyncExitStack
from time import monotonic

import pytest

from queuekit.loops import current_task
from queuekit.worker.run import Interruption, NotBegun, Run
from tests.unit.worker.conftest import Bench, Make
from tests.waiting import eventually


async def claimed(bench: Bench, number: int) -> list[Run]:
    await bench.enqueue(number)
    return await bench.claim(number)


async def test_jobs_go_to_idle_slots_first_and_the_rest_waits(bench: Bench) -> None:
    board = bench.board
    slots = [asyncio.ensure_future(board.take()) for _ in range(2)]
    await asyncio.sleep(0)
    runs = await claimed(bench, 5)
    board.deliver(runs)
    got = [await slot for slot in slots]
    assert board.running == set(got)
    assert len(board.buffer) == 3
    assert set(board.held()) == set(runs)
    assert [await board.take() for _ in range(3)] == [run for run in runs if run not in got]
    assert set(board.held()) == set(runs) == board.running


async def test_a_slot_that_waits_no_more_gets_nothing(bench: Bench) -> None:
    board = bench.board
    gone, waits = (asyncio.ensure_future(board.take()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    runs = await claimed(bench, 2)
    board.deliver(runs)
    assert await waits is runs[0]
    assert list(board.buffer) == [runs[1]]


async def test_free_slots_are_those_without_a_run(make_bench: Make) -> None:
    bench = await make_bench(concurrency=2)
    board = bench.board
    board.deliver(await claimed(bench, 2))
    assert (board.free, board.crowded) == (2, False)
    first, _ = [await board.take() for _ in range(2)]
    assert (board.free, board.crowded) == (0, True)
    board.end(first)
    assert (board.free, board.crowded, board.done) == (1, False, 1)
    assert repr(board) == "<Board: 0 claimed, 1 running, 1 done>"


async def test_the_fetcher_is_told_when_few_claimed_jobs_are_left(bench: Bench) -> None:
    board = bench.board
    board.deliver(await claimed(bench, 4))
    board.refill_at = 2
    told = []
    for _ in range(4):
        board.changed.clear()
        board.refill.clear()
        await board.take()
        told.append((board.changed.is_set(), board.refill.is_set()))
    assert told == [(False, False), (True, True), (True, True), (True, True)]


async def test_the_fetcher_is_told_of_an_idle_slot(bench: Bench) -> None:
    assert not bench.board.changed.is_set()
    idle = asyncio.ensure_future(bench.board.take())
    await eventually(bench.board.changed.is_set)
    idle.cancel()


async def test_a_change_is_one_from_now_on(bench: Bench) -> None:
    board = bench.board
    board.changed.set()
    waiting = asyncio.ensure_future(board.next_change())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    board.changed.set()
    await asyncio.wait_for(waiting, 10)


async def test_the_shortest_lease_sets_the_beat(make_bench: Make) -> None:
    bench = await make_bench(lease=60)
    board = bench.board
    board.deliver([await bench.run(lease=60)])
    assert (board.beat, board.shortened.is_set()) == (20, False)
    board.deliver([await bench.run(lease=3)])
    assert (board.beat, board.shortened.is_set()) == (1, True)
    board.shortened.clear()
    board.deliver([await bench.run(lease=30)])
    assert (board.beat, board.shortened.is_set()) == (1, False)


async def test_the_pace_is_that_of_claimed_jobs_that_begin(bench: Bench) -> None:
    board = bench.board
    assert board.pace.per_second(0.0, 0) is None
    board.deliver(await claimed(bench, 2))
    for _ in range(2):
        await board.take()
    # As none is left, it stays what it was.
    pace = board.pace.per_second(monotonic() + 1_000, 0)
    assert pace is not None
    assert pace > 0.1


async def test_what_a_run_reports_goes_where_the_board_says(bench: Bench) -> None:
    run = await bench.run()
    run.report('{"value":1}', ("one",))
    assert run.reported
    await bench.reporter.flush()
    record = await bench.record(run.claim.token)
    assert (record.notes.progress, list(record.notes.logs)) == ('{"value":1}', ["one"])


# Threads and children


class Places:
    """A single thread or child, which is taken, and a run that waits for it."""

    def __init__(self, bench: Bench, run: Run) -> None:
        self.board, self.run = bench.board, run
        self.places = asyncio.Semaphore(1)
        self.entered = False

    async def wait(self) -> None:
        async with self.board.place(self.places, self.run):
            self.entered = True

    async def none_is_missing(self) -> None:
        """There is one, and not more."""
        await asyncio.wait_for(self.places.acquire(), 10)
        assert self.places.locked()
        self.places.release()

    async def started(self) -> "asyncio.Task[None]":
        waiting = asyncio.ensure_future(self.wait())
        self.run.slot = waiting
        await eventually(lambda: self.board.queued_inside == 1)
        return waiting


@pytest.fixture
async def places(bench: Bench) -> Places:
    return Places(bench, await bench.run())


async def test_a_free_place_is_held_and_given_back(places: Places) -> None:
    board = places.board
    board.changed.clear()
    places.run.slot = current_task()
    async with board.place(places.places, places.run):
        assert places.places.locked()
        assert board.queued_inside == 0
        # Who has a place is told, but not cancelled.
        places.run.interrupt(Interruption.CANCELLED)
        await asyncio.sleep(0)
    assert board.changed.is_set()
    await places.none_is_missing()


async def test_runs_that_wait_for_a_place_are_counted(places: Places) -> None:
    async with AsyncExitStack() as taken:
        await taken.enter_async_context(places.places)
        waiting = await places.started()
        assert not places.entered
    await asyncio.wait_for(waiting, 10)
    assert places.entered
    assert places.board.queued_inside == 0


async def test_a_run_that_is_interrupted_while_it_waits_never_begins(places: Places) -> None:
    async with places.places:
        waiting = await places.started()
        places.run.interrupt(Interruption.CANCELLED)
        with pytest.raises(NotBegun):
            await waiting
        assert places.board.queued_inside == 0
        assert not waiting.cancelling()
    await places.none_is_missing()


async def test_a_slot_that_is_cancelled_while_its_run_waits_is_cancelled(places: Places) -> None:
    async with places.places:
        waiting = await places.started()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert places.board.queued_inside == 0
    await places.none_is_missing()


async def test_a_run_that_waited_never_begins_once_the_worker_stops(places: Places) -> None:
    async with places.places:
        waiting = await places.started()
        places.board.stopping.set()
    with pytest.raises(NotBegun):
        await waiting
    await places.none_is_missing()
    # One that need not wait goes on.
    await places.wait()
    assert places.entered


async def test_a_run_whose_lease_is_over_never_begins(places: Places) -> None:
    async with places.places:
        waiting = await places.started()
        places.run.renewed_at -= 61
    with pytest.raises(NotBegun):
        await waiting
    await places.none_is_missing()
