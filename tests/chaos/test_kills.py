"""Processes that are killed, stopped, and cut off while they work."""

import asyncio
import random
from urllib.parse import urlsplit

import pytest

from queuekit.job import Job
from queuekit.testing.proxy import Proxy
from tests.chaos.app import fail_once, hold, snooze_once, work, work_in_thread
from tests.chaos.books import assert_balanced, lapses
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.size import FULL, JOBS, KILLS, STOPS
from tests.chaos.store import MortalStore
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

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
    await eventually(lambda: len(ledger.jobs(event)) >= count)


@pytest.mark.usefixtures("round_number")
async def test_kill_9_loses_nothing_and_spends_no_attempt(
    store: MortalStore, ledger: Ledger, dice: random.Random
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
    store: MortalStore, ledger: Ledger, dice: random.Random
) -> None:
    jobs = mixed(dice, JOBS)
    await store.enqueue(jobs)
    async with Fleet(store, ledger, 3, LEASE) as workers:
        for moment in sorted(dice.sample(range(int(JOBS * 0.7)), STOPS)):
            await happened(ledger, "end", moment)
            await workers.one_is_busy()
            await workers.stop(dice.choice(workers.busy), LEASE * 2)
        await store.all_ended()
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])
    lapsed = lapses((await store.records(ledger.jobs("start"))).values())
    late = {run for run in ledger.of("start") if run.at > lapsed.get((run.job, run.token), run.at)}
    assert late <= about_to_begin(ledger, workers)


def about_to_begin(ledger: Ledger, workers: Fleet) -> set[Entry]:
    """The runs that those stopped began first when they went on.

    No check can help who is stopped behind his last one: it may have passed, and the ledger's line not be written.
    These are microseconds in which a process is hardly ever caught, and never with two runs at once.
    """
    starts = sorted(ledger.of("start"), key=lambda run: run.at)
    return {
        run
        for member, went_on in workers.stops
        for run in [run for run in starts if run.writer == member.name and run.at > went_on][:1]
    }


async def test_a_stopped_worker_can_settle_nothing_and_learns_of_it(
    store: MortalStore, ledger: Ledger
) -> None:
    short, long = jobs = [work.job(LEASE * 1000), hold.job()]
    async with Fleet(store, ledger, 2, LEASE) as workers:
        await workers.all_listen()
        await store.enqueue(jobs)
        await happened(ledger, "start", 2)
        (zombie,) = workers.busy  # jobs that are stored together are claimed together
        await workers.stop(zombie, LEASE * 2)
        await happened(ledger, "lost", 1)
        await eventually(lambda: f'{short.id}", "event": "the lease was lost' in zombie.said())
        await store.all_ended()
    assert ledger.jobs("lost") == {long.id}
    assert len(ledger.of("start")) == 4
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])


async def test_a_restart_of_the_server_loses_nothing(
    store: MortalStore, ledger: Ledger, dice: random.Random
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


@pytest.mark.parametrize("store", ["redis", "postgres"], indirect=True)
async def test_lost_replies_make_no_second_run(
    store: MortalStore, ledger: Ledger, dice: random.Random
) -> None:
    jobs = mixed(dice, JOBS)
    await store.enqueue(jobs)
    server = urlsplit(store.url)
    async with Proxy(str(server.hostname), server.port or 0) as proxy:
        store.url = proxy.url_for(store.url)
        async with Fleet(store, ledger, 3, LEASE * 5) as workers:
            for moment in sorted(dice.sample(range(int(JOBS * 0.9)), KILLS)):
                await happened(ledger, "end", moment)
                proxy.swallow_next_reply(after=dice.randrange(10))
            await store.all_ended()
    assert proxy.swallowed
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs])


@pytest.mark.parametrize(("leases", "hanging"), OUTAGES)
async def test_an_outage_makes_no_second_run(
    store: MortalStore, ledger: Ledger, dice: random.Random, leases: float, hanging: bool
) -> None:
    jobs = [work.job((leases + dice.uniform(0.2, 2)) * LEASE * 1000) for _ in range(20)]
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
    store: MortalStore, ledger: Ledger, dice: random.Random
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
    await assert_balanced(store, ledger, workers, producers, jobs=stored)
