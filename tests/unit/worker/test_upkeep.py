"""What every worker does now and then, whether it has jobs or not."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit.backend.model import claimed, enqueued, spared_until
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.job import Claimant, Job, JobOptions, State, new_id
from queuekit.loops import background
from queuekit.worker.upkeep import pauses
from tests.unit.worker.conftest import ME, Bench, Calls, Make, turns
from tests.waiting import eventually
from tests.worker.faults import Fault


async def test_time_is_moved_on_in_the_queues_that_it_serves(bench: Bench) -> None:
    (due,) = await bench.enqueue(delay=0.01)
    maintain = Calls(bench.backend, "maintain")

    async def ready() -> bool:
        await bench.upkeep.tick()
        return (await bench.record(due.ref)).state is State.READY

    await eventually(ready)
    assert {tuple(queues) for (queues,), _ in maintain.asked} == {("default",)}


async def test_queues_that_nobody_serves_are_looked_after(bench: Bench) -> None:
    abandoned = Job(new_id(), "task", "{}", JobOptions(queue="abandoned", expires=1))
    await bench.backend.enqueue([abandoned])
    await asyncio.sleep(0.01)
    with capture_logs() as lines:
        await bench.upkeep.tick()
    assert (await bench.record(abandoned.ref)).state is State.FAILED
    assert [line["queue"] for line in lines] == ["abandoned"]


async def test_what_the_store_did_is_logged(bench: Bench) -> None:
    (job,) = await bench.enqueue(max_lapses=2)
    lines = list[Any]()

    async def told(event: str) -> bool:
        with capture_logs() as captured:
            await bench.upkeep.tick()
        lines.extend(captured)
        return any(line["event"] == event for line in lines)

    for state, event in (
        (State.READY, "rescued jobs whose worker was not heard of"),
        (State.FAILED, "job failed"),
    ):
        await bench.claim(process="dead", lease=0.05)
        await eventually(lambda event=event: told(event))  # type: ignore[misc]
        assert (await bench.record(job.ref)).state is state
    found = {line["event"]: line for line in lines}
    rescued, failed = found.values()
    assert (rescued["log_level"], rescued["count"]) == ("warning", 1)
    assert (failed["log_level"], failed["job_id"], failed["reason"]) == (
        "error",
        str(job.id),
        "crashed",
    )


async def test_a_quiet_tick_says_nothing(bench: Bench) -> None:
    with capture_logs() as lines:
        await bench.upkeep.tick()
    assert lines == []


async def test_the_worker_is_present_from_the_first_tick_on(bench: Bench) -> None:
    present = Calls(bench.backend, "present")
    await bench.upkeep.tick()
    (worker,) = await bench.backend.inspector.workers()
    assert (worker.presence.process, list(worker.presence.queues)) == (ME, ["default"])
    await bench.upkeep.tick()
    assert len(present) == 1, "it was said a moment ago"


async def test_presence_is_said_again_in_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.upkeep.PRESENT_EVERY", 0.01)
    present = Calls(bench.backend, "present")

    async def said_again() -> bool:
        await bench.upkeep.tick()
        return len(present) >= 3

    await eventually(said_again)


async def test_claimed_jobs_that_find_no_slot_are_given_back(bench: Bench) -> None:
    old, young = await bench.run(), await bench.run()
    old.claimed_at -= 1
    young.claimed_at += 60
    bench.board.deliver([old, young])
    await bench.upkeep.tick()
    assert list(bench.board.buffer) == [young]
    assert [token.id for token in bench.outbox.tokens()] == [old.claim.token.id]


async def test_after_an_outage_claims_that_come_late_are_given_back(bench: Bench) -> None:
    leases = Calls(bench.backend, "leases")
    unreceived = await bench.run()
    await bench.upkeep.tick()
    assert len(leases) == 0, "there was no outage"
    now = asyncio.get_running_loop().time()
    bench.outage.ended_at = now - 31
    await bench.upkeep.tick()
    assert len(leases) == 0, "it is long over"
    bench.outage.ended_at = now
    await bench.upkeep.tick()
    assert list(bench.outbox.tokens()) == [unreceived.claim.token]


@pytest.mark.parametrize("verb", ["maintain", "present"])
async def test_a_refusal_is_logged_once_and_upkeep_goes_on(make_bench: Make, verb: str) -> None:
    bench = await make_bench(lease=0.05)
    maintain = Calls(bench.backend, "maintain")
    with capture_logs() as lines:
        async with background(bench.upkeep.run):
            for _ in range(2):
                bench.upkeep._present_at = 0  # both verbs are due
                refused = Fault(bench.backend, verb, BackendRefused, times=3)
                await eventually(lambda refused=refused: refused.happened == 3)  # type: ignore[misc]
                before = len(maintain)
                await eventually(lambda before=before: len(maintain) >= before + 2)  # type: ignore[misc]
    assert [line["event"] for line in lines] == ["the server refuses upkeep"] * 2


async def test_in_an_outage_it_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.worker.upkeep.TICK", 0.0)
    fault = Fault(bench.backend, "maintain", BackendUnavailable)
    maintain = Calls(bench.backend, "maintain")
    async with background(bench.upkeep.run):
        await eventually(lambda: not bench.outage.over.is_set())
        await turns()
        assert len(maintain) == 1
        fault.over()
        bench.outage.over.set()
        await eventually(lambda: len(maintain) >= 2)


async def test_a_store_that_is_gone_ends_it(bench: Bench) -> None:
    Fault(bench.backend, "maintain", StoreGone)
    with pytest.raises(StoreGone):
        await asyncio.wait_for(bench.upkeep.run(), 10)


@pytest.mark.parametrize(
    ("lease", "of_tasks", "busy", "idle"),
    [
        (120, 120, 1.0, 20.0),
        (30, 30, 1.0, 13.5),
        (0.6, 30, 0.15, 0.15),
        (30, 3, 1.0, 1.0),
        (30, 8, 1.0, 2.5),
    ],
)
def test_it_ticks_each_second_or_if_idle_twice_a_lease(
    lease: float, of_tasks: float, busy: float, idle: float
) -> None:
    found = pauses(lease / 3, of_tasks)
    assert found == pytest.approx((busy, idle))
    assert found[0] < lease / 3, "the store would take the pause for an outage"


def test_a_tick_of_an_idle_worker_prolongs_no_lease() -> None:
    lease = 30_000_000
    _, idle = pauses(lease / 3_000_000, lease / 1_000_000)
    job = Job(new_id(), "task", "{}", JobOptions())
    one = claimed(enqueued(job, 0), Claimant("killed", 1), lease, 0)
    assert spared_until(one, round(idle * 1_000_000)) == one.times.leased_until


async def test_an_idle_worker_rests(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    maintain = await _resting(bench, monkeypatch)
    async with background(bench.upkeep.run):
        await eventually(lambda: len(maintain) == 1)
        await asyncio.sleep(0.1)
        assert len(maintain) == 1


async def test_a_ring_ends_the_rest_of_an_idle_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintain = await _resting(bench, monkeypatch)
    bench.doorbell.listen(for_work=True)
    async with background(bench.upkeep.run, bench.doorbell.run):
        await eventually(lambda: len(maintain) == 1)
        await bench.enqueue()
        await eventually(lambda: len(maintain) >= 2)


async def test_claims_end_the_rest_and_a_worker_that_holds_jobs_ticks_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintain = await _resting(bench, monkeypatch)
    async with background(bench.upkeep.run):
        await eventually(lambda: len(maintain) == 1)
        bench.board.deliver([await bench.run()])
        await eventually(lambda: len(maintain) >= 5)


async def test_an_idle_worker_ticks_when_the_lease_of_another_runs_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await bench.run(process="dead", lease=0.5)
    maintain = await _resting(bench, monkeypatch)

    async def rescued() -> bool:
        return (await bench.record(run.claim.token)).state is State.READY

    async with background(bench.upkeep.run):
        await eventually(rescued)
    assert len(maintain) < 10


async def test_an_idle_worker_ticks_when_a_job_expires(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = await bench.enqueue(expires=0.3)
    maintain = await _resting(bench, monkeypatch)

    async def expired() -> bool:
        return (await bench.record(job.ref)).state is State.FAILED

    async with background(bench.upkeep.run):
        await eventually(expired)
    assert len(maintain) < 10


async def test_what_a_job_that_has_ended_makes_due_is_seen_before_the_worker_rests(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next solitary job is handed out when the one that was out has ended."""
    maintain = await _resting(bench, monkeypatch)
    bench.board.deliver([await bench.run()])
    async with background(bench.upkeep.run):
        await eventually(lambda: len(maintain) >= 3)
        bench.board.buffer.clear()
        seen = len(maintain)
        await eventually(lambda: len(maintain) > seen)


async def test_an_idle_worker_ticks_on_while_late_claims_may_come(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintain = await _resting(bench, monkeypatch)
    bench.outage.ended_at = asyncio.get_running_loop().time()
    async with background(bench.upkeep.run):
        await eventually(lambda: len(maintain) >= 5)


async def _resting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Calls of `maintain` of a worker that ticks without a pause, but when idle each minute."""
    await bench.backend.present(bench.presence)  # nobody looks after its queues in its place
    monkeypatch.setattr("queuekit.worker.upkeep.pauses", lambda *_: (0.001, 60))
    return Calls(bench.backend, "maintain")


async def test_it_ticks_on(make_bench: Make) -> None:
    bench = await make_bench(lease=0.05)
    maintain = Calls(bench.backend, "maintain")
    async with background(bench.upkeep.run):
        await eventually(lambda: len(maintain) >= 3)
