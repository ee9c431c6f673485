"""Outages: who tries whether the server is back, and who is told."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice

import pytest
from structlog.testing import capture_logs

from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.loops import background
from queuekit.worker.outage import delays
from tests.unit.worker.conftest import ME, Bench, Calls
from tests.waiting import eventually
from tests.worker.faults import Fault


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.worker.outage.PROBE_FIRST", 0.01)
    monkeypatch.setattr("queuekit.worker.outage.PROBE_LAST", 0.02)


@pytest.fixture
async def fault(bench: Bench) -> AsyncIterator[Fault]:
    """The server is away."""
    fault = Fault(bench.backend, "present", BackendUnavailable)
    yield fault
    fault.over()


async def test_it_is_over_until_a_call_fails(bench: Bench) -> None:
    outage = bench.outage
    assert outage.over.is_set()
    assert outage.ended_at < 0, "there was none yet"
    assert repr(outage) == "<Outage: over>"
    with capture_logs() as lines:
        for _ in range(3):
            outage.begin(BackendUnavailable("gone"))
    assert not outage.over.is_set()
    assert repr(outage) == "<Outage: now>"
    assert [(line["log_level"], line["error"]) for line in lines] == [("warning", "gone")]


def test_probes_come_at_once_and_then_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.worker.outage.PROBE_FIRST", 1.0)
    monkeypatch.setattr("queuekit.worker.outage.PROBE_LAST", 5.0)
    workers = [list(islice(delays(), 5)) for _ in range(100)]
    for number, longest in enumerate([1, 2, 4, 5, 5]):
        seconds = [worker[number] for worker in workers]
        assert longest / 2 <= min(seconds) < max(seconds) <= longest


async def test_one_prober_tries_until_the_server_is_back(bench: Bench, fault: Fault) -> None:
    outage, loop = bench.outage, asyncio.get_running_loop()
    began = loop.time()
    async with background(outage.run):
        outage.begin(BackendUnavailable("gone"))
        await eventually(lambda: fault.happened >= 3)
        assert not outage.over.is_set()
        with capture_logs() as lines:
            fault.over()
            await asyncio.wait_for(outage.over.wait(), 10)
    assert [line["event"] for line in lines] == ["the server is back"]
    assert began < outage.ended_at <= loop.time()
    (worker,) = await bench.backend.inspector.workers()
    assert worker.presence.process == ME


async def test_nobody_tries_while_there_is_none(bench: Bench) -> None:
    present = Calls(bench.backend, "present")
    async with background(bench.outage.run):
        for outages in (1, 2):
            bench.outage.begin(BackendUnavailable("gone"))
            await asyncio.wait_for(bench.outage.over.wait(), 10)
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(present) == outages


async def test_it_goes_on_while_the_server_refuses_those_who_ask(bench: Bench) -> None:
    refused = Fault(bench.backend, "present", BackendRefused)
    async with background(bench.outage.run):
        bench.outage.begin(BackendUnavailable("gone"))
        await eventually(lambda: refused.happened >= 3)
        assert not bench.outage.over.is_set()
        refused.over()
        await asyncio.wait_for(bench.outage.over.wait(), 10)


async def test_claims_that_were_not_received_go_back_before_it_is_over(bench: Bench) -> None:
    unreceived = await bench.run()
    fault = Fault(bench.backend, "leases", BackendUnavailable)
    async with background(bench.outage.run):
        bench.outage.begin(BackendUnavailable("gone"))
        await eventually(lambda: fault.happened >= 2)
        assert not bench.outage.over.is_set()
        fault.over()
        await asyncio.wait_for(bench.outage.over.wait(), 10)
        assert list(bench.outbox.tokens()) == [unreceived.claim.token]
