"""Processes that are killed, stopped, and cut off while they work."""

import asyncio
import random

import pytest

from queuekit.job import Job
from tests.chaos.app import fail_once, hold, snooze_once, work, work_in_thread
from tests.chaos.books import assert_balanced, lapses
from tests.chaos.conftest import FULL
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.store import Store
from tests.chaos.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

JOBS, KILLS, STOPS = (2000, 40, 5) if FULL else (300, 8, 1)
LEASE = 1.0
OUTAGES = [(leases, hanging) for leases in (0.5, 0.9, 1.1, 3) for hanging in (False, True)]
if not FULL:
    OUTAGES = [outage for outage in OUTAGES if outage[0] == 3 or not outage[1]]


def mixed(dice: random.Random, count: int) -> list[Job[int]]:
    """Jobs of 5 to 50 ms; some fail or snooze once."""
    tasks = [work] * 8 + [work_in_thread] * 2 + [fail_once, snooze_once]
    return [dice.choice(tasks).job(dice.uniform(5, 50)) for _ in range(count)]


async def happened(ledger: Ledger, event: str, count: int) -> None:
    """Wait until it has happened to so many jobs."""
    await until(lambda: len(ledger.jobs(event)) >= count)


@pytest.mark.usefixtures("round_number")
async def test_kill_9_loses_nothing_and_spends_no_attempt(
    store: Store, ledger: Ledger, dice: random.Random
) -> None:
    jobs = mixed(dice, JOBS)
    await store.enqueue(jobs)
    async with Fleet(store, ledger, 3, LEASE) as workers:
        for moment in sorted(dice.sample(range(int(JOBS * 0.9)), KILLS)):
            await happened(ledger, "end", moment)
            await workers.one_is_busy()
            await asyncio.sleep(dice.uniform(0, 0.05))
            await workers.kill(dice.choice(workers.busy))
        await store.all_ended()
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])


async def test_stopped_workers_begin_nothing_whose_lease_has_lapsed(
    store: Store, ledger: Ledger, dice: random.Random
) -> None:
    jobs = [work.job(dice.uniform(5, 50)) for _ in range(JOBS)]
    await store.enqueue(jobs)
    async with Fleet(store, ledger, 3, LEASE) as workers:
        for moment in sorted(dice.sample(range(int(JOBS * 0.7)), STOPS)):
            await happened(ledger, "end", moment)
            await workers.stop(dice.choice(workers.busy), LEASE * 2)
        await store.all_ended()
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])
    lapsed = lapses((await store.records(ledger.jobs("start"))).values())
    too_late = [
        run for run in ledger.of("start") if run.at > lapsed.get((run.job, run.token), run.at)
    ]
    # One a stop may have been about to begin.
    assert len(too_late) <= STOPS


async def test_a_stopped_worker_can_settle_nothing_and_learns_of_it(
    store: Store, ledger: Ledger
) -> None:
    short, long = jobs = [work.job(LEASE * 1000), hold.job()]
    async with Fleet(store, ledger, 2, LEASE) as workers:
        await workers.all_listen()
        await store.enqueue(jobs)
        await happened(ledger, "start", 2)
        (zombie,) = workers.busy  # jobs that are stored together are claimed together
        await workers.stop(zombie, LEASE * 2)
        await happened(ledger, "lost", 1)
        await until(lambda: f'{short.id}", "event": "the lease was lost' in zombie.said())
        await store.all_ended()
    assert ledger.jobs("lost") == {long.id}
    assert len(ledger.of("start")) == 4
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])


async def test_a_restart_of_the_server_loses_nothing(
    store: Store, ledger: Ledger, dice: random.Random
) -> None:
    jobs = mixed(dice, JOBS)
    kills = dice.sample(range(JOBS * 3 // 4), 3)
    restart = dice.randrange(JOBS * 3 // 4)
    await store.enqueue(jobs)
    async with Fleet(store, ledger, 3, LEASE) as workers:
        for moment in sorted([*kills, restart]):
            await happened(ledger, "end", moment)
            if moment == restart:
                async with store.gone():
                    await asyncio.sleep(dice.uniform(0, 0.5))
            else:
                await workers.one_is_busy()
                await workers.kill(dice.choice(workers.busy))
        await store.all_ended()
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])


@pytest.mark.parametrize(("leases", "hanging"), OUTAGES)
async def test_an_outage_makes_no_second_run(
    store: Store, ledger: Ledger, dice: random.Random, leases: float, hanging: bool
) -> None:
    jobs = [work.job((leases + dice.uniform(0.2, 1)) * LEASE * 1000) for _ in range(20)]
    async with Fleet(store, ledger, 2, LEASE, concurrency=20) as workers:
        await workers.all_listen()
        await store.enqueue(jobs)
        await happened(ledger, "start", len(jobs))
        await asyncio.sleep(dice.uniform(0, LEASE / 3))
        async with store.gone(hanging=hanging):
            await asyncio.sleep(leases * LEASE)
        await store.all_ended()
    assert len(ledger.of("start")) == len(jobs)
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])


async def test_what_was_acknowledged_to_a_killed_producer_ends_and_runs_once(
    store: Store, ledger: Ledger, dice: random.Random
) -> None:
    async with Fleet(store, ledger, 1, LEASE) as workers:
        async with Fleet(store, ledger, 3, kind="producer") as producers:
            for moment in sorted(dice.sample(range(JOBS), KILLS)):
                await happened(ledger, "acknowledged", moment)
                await producers.one_is_busy()
                await asyncio.sleep(dice.uniform(0, 0.05))
                await producers.kill(dice.choice(producers.busy))
        await store.all_ended()
    acknowledged, stored = ledger.jobs("acknowledged"), await store.ids()
    assert acknowledged <= set(stored)
    assert len(ledger.of("start")) == len(stored)
    await assert_balanced(store, ledger, workers, jobs=stored)
