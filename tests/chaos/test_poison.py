"""A job that kills whoever runs it, among innocent ones."""

import random
from typing import Any

import pytest

from queuekit.job import DEATHS_ALLOWED, SUSPECT_AFTER, Job
from tests.chaos.app import POISONS, poison, work, work_in_thread
from tests.chaos.books import assert_balanced
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.store import Store

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


@pytest.mark.parametrize("kind", POISONS)
async def test_a_poison_job_ends_and_its_neighbours_never_do_for_it(
    store: Store, ledger: Ledger, dice: random.Random, kind: str
) -> None:
    bad = poison.job(kind)
    innocents = [dice.choice([work, work_in_thread]).job(dice.uniform(5, 50)) for _ in range(200)]
    jobs: list[Job[Any]] = list(innocents)
    jobs.insert(dice.randrange(100), bad)
    await store.enqueue(jobs)
    async with Fleet(store, ledger, 1, concurrency=50) as workers:
        await store.all_ended()
    assert (
        len([run for run in ledger.of("start") if run.job == bad.id])
        == SUSPECT_AFTER + DEATHS_ALLOWED
    )
    assert len(workers.members) == 1 + SUSPECT_AFTER
    records = await store.records([job.id for job in jobs])
    assert {
        record.life.attempt for record in records.values() if record and record.job.task != "poison"
    } == {1}
    await assert_balanced(store, ledger, workers, jobs=[job.id for job in jobs], poisons=[bad.id])
