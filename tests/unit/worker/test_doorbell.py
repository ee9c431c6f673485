"""For what the doorbell rings, and who hears it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.loops import background
from tests.unit.worker.conftest import ME, Bench, Calls, turns
from tests.waiting import eventually
from tests.worker.faults import Fault


async def rung(bench: Bench) -> None:
    await asyncio.wait_for(bench.doorbell.rung.wait(), 10)
    assert bench.board.changed.is_set()
    assert not bench.doorbell.for_work


async def test_it_rings_for_work_where_that_is_waited_for(bench: Bench) -> None:
    wait = Calls(bench.backend, "wait")
    bench.doorbell.listen(for_work=True)
    async with background(bench.doorbell.run):
        await eventually(lambda: len(wait) == 1)
        assert bench.doorbell.for_work
        assert not bench.doorbell.rung.is_set()
        await bench.enqueue()
        await rung(bench)
        # One ring is enough: whether there is more the next claim tells.
        await eventually(lambda: len(wait) == 2)
    assert [list(asked[0]) for asked, _ in wait.asked] == [["default"], []]


async def test_it_rings_for_cancel_requests_alone_while_there_is_work(bench: Bench) -> None:
    wait = Calls(bench.backend, "wait")
    async with background(bench.doorbell.run):
        await eventually(lambda: len(wait) == 1)
        assert wait.asked[0][0][0] == ()
        bench.doorbell.listen(for_work=False)
        await turns()
        assert len(wait) == 1

        async def woken() -> bool:
            """A wake between two waits is lost."""
            await bench.backend.wake(ME)
            return bench.doorbell.rung.is_set()

        await eventually(woken)
        await rung(bench)


async def test_work_that_came_before_it_listened_is_not_missed(bench: Bench) -> None:
    wait = Calls(bench.backend, "wait")
    async with background(bench.doorbell.run):
        await eventually(lambda: len(wait) == 1)
        await bench.enqueue()
        bench.doorbell.listen(for_work=True)
        await rung(bench)


async def test_it_listens_on_while_it_is_told_the_same(bench: Bench) -> None:
    wait = Calls(bench.backend, "wait")
    bench.doorbell.listen(for_work=True)
    async with background(bench.doorbell.run):
        await eventually(lambda: len(wait) == 1)
        bench.doorbell.listen(for_work=False)
        bench.doorbell.listen(for_work=True)
        await turns()
        assert len(wait) == 1, "it was never away"
        await bench.enqueue()
        await rung(bench)


async def test_the_end_of_a_wait_is_a_ring(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.worker.doorbell.LISTEN_FOR", 0.01)
    bench.doorbell.listen(for_work=True)
    async with background(bench.doorbell.run):
        await rung(bench)


async def test_where_the_server_refuses_to_wait_it_polls(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.doorbell.POLL_EVERY", 0.01)
    refused = Fault(bench.backend, "wait", BackendRefused)
    with capture_logs() as lines:
        async with background(bench.doorbell.run):
            bench.doorbell.listen(for_work=True)
            await rung(bench)
            await eventually(lambda: refused.happened >= 3)
    assert [line["event"] for line in lines] == ["the server refuses to wait for jobs; polling"]


async def test_it_does_not_poll_without_a_pause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.doorbell.POLL_EVERY", 600)
    refused = Fault(bench.backend, "wait", BackendRefused)
    async with background(bench.doorbell.run):
        await eventually(lambda: refused.happened)
        await turns()
    assert refused.happened == 1


async def test_in_an_outage_it_rings_for_nobody_and_waits(bench: Bench) -> None:
    fault = Fault(bench.backend, "wait", BackendUnavailable)
    bench.doorbell.listen(for_work=True)
    async with background(bench.doorbell.run):
        await eventually(lambda: not bench.outage.over.is_set())
        await turns()
        assert fault.happened == 1
        assert not bench.doorbell.rung.is_set()
        fault.over()
        bench.outage.over.set()
        await bench.enqueue()
        await rung(bench)


async def test_a_store_that_is_gone_ends_it(bench: Bench) -> None:
    Fault(bench.backend, "wait", StoreGone)
    with pytest.raises(StoreGone):
        await asyncio.wait_for(bench.doorbell.run(), 10)
