"""Scheduled jobs that come due."""

import time
from typing import Any

import pytest

from queuekit.backend import Ask, Backend
from queuekit.job import LAST_MOMENT, Ack, Keep, Micros, Return, ReturnKind, State
from queuekit.testing.conformance._make import (
    ALICE,
    DONE,
    LONG,
    MILLISECOND,
    SECOND,
    ack,
    answers_of,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    eventually,
    failed,
    find_all,
    job,
    numbered,
    punctual,
    put,
    record,
    state_of,
    succeeded,
    wakes,
)

FAR = [
    10 * 366 * 86_400 * SECOND,
    2**53 + 1_000_001,
    LAST_MOMENT,
    LAST_MOMENT + SECOND,
    2**62,
    2**63 - 1,
    2**64,
    10**30,
    -(2**62),
    -(10**30),
]
"""Times and durations, up to where sums overflow, and beyond."""
each_far = pytest.mark.parametrize("far", FAR)


class DueCases:
    """Due times."""

    @each_far
    @pytest.mark.parametrize("option", ["delay", "due"])
    async def test_a_far_time_stands_in_nobodys_way(
        self, backend: Backend, option: str, far: Micros
    ) -> None:
        options: dict[str, Any] = {option: far}
        batch = [job("before"), job(str(far), **options), job("behind")]
        keyed = job(key="k", **options)
        await put(backend, *batch, keyed)
        await self._all_can_be_seen(backend, 4)
        later = far > 2**52 or (far > 0 and option == "delay")
        claims = await claim(backend, 2 if later else 4)
        assert {"before", "behind"} <= {one.payload for one in claims}
        await backend.maintain(["default"])
        await self._all_can_be_seen(backend, 4)

    @each_far
    @pytest.mark.parametrize("option", ["expires", "lease", "key_until", "keep"])
    async def test_a_far_end_stands_in_nobodys_way(
        self, backend: Backend, option: str, far: Micros
    ) -> None:
        options: dict[str, Any] = {option: Keep(far, far) if option == "keep" else far}
        odd = job("odd", key="k", **options)
        await put(backend, job(), odd, job())
        fetched = await backend.fetch(Ask(["default"], 3, claimant(), LONG))
        assert len(fetched.claims) == (3 if far > 0 or option != "expires" else 2)
        assert not (await backend.heartbeat([one.token for one in fetched.claims])).lost
        await self._all_can_be_seen(backend, 3)
        await ack(backend, *(succeeded(one) for one in fetched.claims))
        await backend.maintain(["default"])
        await find_all(backend)

    @each_far
    @pytest.mark.parametrize("kind", [ReturnKind.RETRY, ReturnKind.SNOOZE])
    async def test_a_far_return_stands_in_nobodys_way(
        self, backend: Backend, kind: ReturnKind, far: Micros
    ) -> None:
        await put(backend, *numbered(3))
        first, odd, last = await claim(backend, 3)
        settle: list[Ack | Return] = [
            succeeded(first),
            Return(odd.token, kind, far),
            succeeded(last),
        ]
        fetched = await backend.fetch(Ask(["other"], 1, claimant(), LONG), settle=settle)
        assert answers_of(fetched.settled) == [DONE] * 3
        wanted = State.SCHEDULED if far > 0 else State.READY
        assert await state_of(backend, odd.token.id) is wanted
        await backend.maintain(["default"])
        await self._all_can_be_seen(backend, 3)

    @each_far
    async def test_a_far_retention_of_an_ack_stands_in_nobodys_way(
        self, backend: Backend, far: Micros
    ) -> None:
        await put(backend, *numbered(4))
        first, odd, bad, last = await claim(backend, 4)
        keep = Keep(far, far)
        acks = [succeeded(first), succeeded(odd, keep=keep), failed(bad, keep=keep)]
        await ack(backend, *acks, succeeded(last))
        await self._all_can_be_seen(backend, 4 if far > 0 else 2)

    async def _all_can_be_seen(self, backend: Backend, count: int) -> None:
        found = await find_all(backend)
        assert len(found) == count
        for one in found:
            for at in (
                one.times.scheduled_at,
                one.times.expires_at,
                one.times.leased_until,
                one.times.finished_at,
            ):
                assert at is None or 0 <= at <= LAST_MOMENT

    async def test_a_fetch_takes_due_jobs_without_maintain(self, backend: Backend) -> None:
        one = job(delay=20 * MILLISECOND)
        await put(backend, one)
        assert (await claim_one(backend)).token.id == one.id

    async def test_no_job_is_claimed_before_it_is_due(self, backend: Backend) -> None:
        one = job(delay=50 * MILLISECOND)
        await put(backend, one)
        await claim_one(backend)
        found = await record(backend, one.id)
        assert found.times.started_at is not None
        assert found.times.scheduled_at is not None
        assert found.times.started_at >= found.times.scheduled_at - MILLISECOND

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
