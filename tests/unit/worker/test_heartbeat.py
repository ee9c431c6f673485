"""Leases are renewed in time; lost ones and cancel requests reach their runs."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.job import Return, ReturnKind
from queuekit.lifecycle import Event, Succeeded
from queuekit.loops import background
from queuekit.worker.run import Interruption, Run
from tests.unit.worker.conftest import Bench, Calls, Make, turns
from tests.waiting import eventually
from tests.worker.faults import Fault


async def running(bench: Bench, **options: Any) -> Run:
    """A run that has its slot."""
    run = await bench.run(**options)
    bench.board.deliver([run])
    return await bench.board.take()


async def leased_until(bench: Bench, run: Run) -> int:
    until = (await bench.record(run.claim.token)).times.leased_until
    assert until is not None
    return until


async def test_all_that_a_worker_holds_is_renewed(bench: Bench) -> None:
    runs = await running(bench), await bench.run()
    bench.board.deliver([runs[1]])
    ended = await bench.run()
    bench.outbox.settle(ended, Succeeded("1"))
    for run in runs:
        run.renewed_at -= 19
    before = [await leased_until(bench, run) for run in (*runs, ended)]
    await bench.heartbeat.beat(everything=False)
    after = [await leased_until(bench, run) for run in (*runs, ended)]
    assert all(new > old for old, new in zip(before, after, strict=True))


async def test_what_is_not_due_is_left_alone(bench: Bench) -> None:
    run, calls = await running(bench, lease=60), Calls(bench.backend, "heartbeat")
    run.renewed_at -= 10  # of 20 seconds
    await bench.heartbeat.beat(everything=False)
    assert len(calls) == 0
    run.renewed_at -= 9
    await bench.heartbeat.beat(everything=False)
    assert len(calls) == 1
    await bench.heartbeat.beat(everything=False)
    assert len(calls) == 1, "it was renewed a moment ago"


async def test_after_a_ring_a_cancel_request_is_found_at_once(bench: Bench) -> None:
    run, other = await running(bench), await running(bench)
    await bench.backend.inspector.steer(Event.CANCEL, [run.claim.token.ref])
    await bench.heartbeat.beat(everything=False)
    assert run.interruption is None, "it is not due"
    await bench.heartbeat.beat(everything=True)
    assert run.interruption is Interruption.CANCELLED
    assert not run.lease_lost
    assert other.interruption is None


async def test_a_lost_lease_interrupts_its_run(bench: Bench) -> None:
    run, other = await running(bench), await running(bench)
    await bench.backend.retry([Return(run.claim.token, ReturnKind.RELEASE)])
    await bench.heartbeat.beat(everything=True)
    assert (run.interruption, run.lease_lost) == (Interruption.LEASE_LOST, True)
    assert (other.interruption, other.lease_lost) == (None, False)


async def test_jobs_of_one_id_in_two_queues_are_told_apart(make_bench: Make) -> None:
    bench = await make_bench(concurrency=3)
    run = await running(bench)
    token = run.claim.token
    elsewhere = Run(bench.board, run.claim._replace(token=token._replace(queue="other")), 0.0)
    bench.board.deliver([elsewhere])
    await bench.board.take()
    await bench.heartbeat.beat(everything=True)
    assert elsewhere.interruption is Interruption.LEASE_LOST
    assert run.interruption is None


@pytest.mark.parametrize("error", [BackendUnavailable, BackendRefused])
async def test_a_task_is_told_when_no_heartbeat_has_come_through_for_a_lease(
    bench: Bench, error: type[BackendUnavailable | BackendRefused]
) -> None:
    run, young = await running(bench, lease=60), await running(bench, lease=60)
    fault = Fault(bench.backend, "heartbeat", error)
    run.renewed_at -= 40
    await bench.heartbeat.beat(everything=True)
    assert not run.lease_lost
    run.renewed_at -= 21
    await bench.heartbeat.beat(everything=True)
    assert (run.lease_lost, run.interruption) == (True, None)
    assert not young.lease_lost
    fault.over()
    await bench.heartbeat.beat(everything=True)
    assert not run.lease_lost


async def test_a_server_that_is_away_means_an_outage_and_a_refusal_does_not(bench: Bench) -> None:
    await running(bench)
    with capture_logs() as lines:
        for _ in range(2):
            fault = Fault(bench.backend, "heartbeat", BackendRefused, times=2)
            while fault.happened < 2:
                await bench.heartbeat.beat(everything=True)
            assert bench.outage.over.is_set()
            await bench.heartbeat.beat(everything=True)
    assert [line["event"] for line in lines] == ["the server refuses heartbeats"] * 2
    Fault(bench.backend, "heartbeat", BackendUnavailable, times=1)
    await bench.heartbeat.beat(everything=True)
    assert not bench.outage.over.is_set()


async def test_it_beats_three_times_a_lease_and_goes_on(make_bench: Make) -> None:
    bench = await make_bench(lease=0.15)
    run = await running(bench, lease=0.15)
    calls = Calls(bench.backend, "heartbeat")
    async with background(bench.heartbeat.run):
        await eventually(lambda: len(calls) >= 5)
    assert run.interruption is None


async def test_a_ring_or_a_shorter_lease_is_one_beat(bench: Bench) -> None:
    beats = Calls(bench.heartbeat, "beat")
    async with background(bench.heartbeat.run):
        await turns()
        for number, why in enumerate([bench.board.shortened, bench.doorbell.rung]):
            assert len(beats) == number
            why.set()
            await turns()
    assert [named["everything"] for _, named in beats.asked] == [False, True]


async def test_it_beats_at_once_when_the_doorbell_rings(bench: Bench) -> None:
    run = await running(bench)
    async with background(bench.heartbeat.run):
        await asyncio.sleep(0)
        await bench.backend.inspector.steer(Event.CANCEL, [run.claim.token.ref])
        bench.doorbell.rung.set()
        await eventually(lambda: run.interruption is Interruption.CANCELLED)
    assert not bench.doorbell.rung.is_set()


async def test_a_shorter_lease_counts_from_its_claim_on(bench: Bench) -> None:
    async with background(bench.heartbeat.run):
        await asyncio.sleep(0)
        calls = Calls(bench.backend, "heartbeat")
        await running(bench, lease=0.15)
        # By the lease of the worker the next beat would be in 20 seconds.
        await eventually(lambda: len(calls) >= 2, within=15)
