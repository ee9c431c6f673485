"""Leases are renewed for as long as their jobs run, whatever ids these have."""

import asyncio
from uuid import uuid4

from queuekit import JobRef, Queuekit, State
from tests.worker.records import events, record_at


async def test_two_jobs_of_one_id_keep_both_their_leases(qk: Queuekit) -> None:
    one, lease, runs = uuid4(), 0.3, list[str]()

    @qk.task
    async def outlive_the_lease(queue: str) -> None:
        runs.append(queue)
        await asyncio.sleep(4 * lease)

    queues = ["left", "right"]
    async with qk:
        # Claimed in one call, so that they have the same delivery, too.
        for queue in queues:
            await outlive_the_lease.with_options(id=one, queue=queue).enqueue(queue)
        await qk.run_worker(queues, burst=True, lease=lease)
        records = [await record_at(qk, JobRef(queue, one)) for queue in queues]
    assert sorted(runs) == queues
    for record in records:
        assert record is not None
        assert (record.state, record.life.lapses, events(record)) == (State.SUCCEEDED, 0, [])
