"""Scheduled jobs that come due."""

import time

from queuekit.backend import Backend
from queuekit.job import State
from queuekit.testing.conformance._make import (
    ALICE,
    LONG,
    MILLISECOND,
    SECOND,
    ack,
    claim,
    claim_one,
    claims_nothing,
    eventually,
    job,
    numbered,
    punctual,
    put,
    record,
    state_of,
    succeeded,
    wakes,
)


class DueCases:
    """Due times."""

    async def test_a_fetch_takes_due_jobs_without_maintain(self, backend: Backend) -> None:
        one = job(delay=20 * MILLISECOND)
        await put(backend, one)
        assert (await claim_one(backend)).token.id == one.id

    async def test_no_job_is_claimed_before_it_is_due(self, backend: Backend) -> None:
        one = job(delay=50 * MILLISECOND)
        await put(backend, one)
        await claim_one(backend)
        found = await record(backend, one.id)
        assert found.started_at is not None
        assert found.scheduled_at is not None
        assert found.started_at >= found.scheduled_at - MILLISECOND

    async def test_maintain_promotes_due_jobs(self, backend: Backend) -> None:
        one = job(delay=20 * MILLISECOND)
        await put(backend, one)

        async def ready() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, one.id) is State.READY

        await eventually(ready)

    async def test_maintain_counts_what_it_promotes(self, backend: Backend) -> None:
        await put(backend, *numbered(5, delay=MILLISECOND))
        promoted = 0

        async def five() -> bool:
            nonlocal promoted
            promoted += (await backend.maintain(["default"])).promoted
            return promoted == 5

        await eventually(five)

    async def test_maintain_leaves_later_jobs_alone(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        assert (await backend.maintain(["default"])).promoted == 0
        assert await state_of(backend, one.id) is State.SCHEDULED
        await claims_nothing(backend)

    async def test_due_jobs_come_in_the_order_of_their_times(self, backend: Backend) -> None:
        await put(
            backend,
            *(job(str(place), due=SECOND + place) for place in (3, 1, 2)),
        )
        await put(backend, *(job(str(place), delay=place * MILLISECOND) for place in (30, 10, 20)))
        claims = await claim(backend, 6)
        assert [one.payload for one in claims[3:]] == ["10", "20", "30"]

    async def test_due_jobs_keep_their_priority(self, backend: Backend) -> None:
        later = job("urgent", delay=MILLISECOND, priority=-1)
        await put(backend, *numbered(5), later)

        async def ready() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, later.id) is State.READY

        await eventually(ready)
        assert (await claim_one(backend)).payload == "urgent"

    async def test_five_hundred_due_jobs_run_once_each(self, backend: Backend) -> None:
        jobs = numbered(500, delay=5 * MILLISECOND)
        await put(backend, *jobs)
        claims = await claim(backend, 500)
        assert {one.token.id for one in claims} == {one.id for one in jobs}
        await claims_nothing(backend)

    async def test_a_sleeper_wakes_in_time_for_a_due_job(self, backend: Backend) -> None:
        async def lateness() -> float:
            begun = time.monotonic()
            await put(backend, job(delay=50 * MILLISECOND))
            await backend.wait(["default"], 30, ALICE)
            one = await claim_one(backend)
            late = time.monotonic() - begun - 0.05
            await ack(backend, succeeded(one))
            return late

        await punctual(lateness)

    async def test_a_job_due_before_the_sleepers_next_one_wakes_it(
        self, backend: Backend, other: Backend
    ) -> None:
        async def lateness() -> float:
            await put(backend, job(delay=LONG))
            return await wakes(backend, lambda: put(other, job(delay=30 * MILLISECOND)), 0.03)

        await punctual(lateness)
