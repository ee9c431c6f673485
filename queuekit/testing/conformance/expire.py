"""Jobs that are of no use after a while."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

from queuekit.backend import Ask, Backend, Change
from queuekit.job import Job, Keep, Micros, Reason, State
from queuekit.lifecycle import Event
from queuekit.record import JobRecord
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    ack,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    eventually,
    give_back,
    job,
    lapse,
    numbered,
    put,
    record,
    released,
    retried,
    state_of,
    succeeded,
)

SOON: Micros = MILLISECOND


class ExpireCases:
    """`JobOptions.expires`."""

    async def test_an_expired_job_is_not_claimed_but_failed(self, backend: Backend) -> None:
        one = job(expires=SOON)
        await put(backend, one)
        await asyncio.sleep(0.01)
        await claims_nothing(backend)
        await self._has_expired(backend, one.id)

    async def test_maintain_fails_an_expired_job(self, backend: Backend) -> None:
        one = job(expires=SOON)
        await put(backend, one)
        found = await self._has_expired(backend, one.id)
        assert (found.state, found.life.reason) == (State.FAILED, Reason.EXPIRED)
        assert found.times.finished_at is not None

    async def test_maintain_says_when_the_first_job_expires_or_its_lease_runs_out(
        self, backend: Backend
    ) -> None:
        assert (await backend.maintain(["default", "other"])).again_in is None
        await put(backend, job(), job(delay=LONG), job(queue="other", expires=2 * LONG))
        assert (await backend.maintain(["default"])).again_in is None
        await self._again_within(backend, 2 * LONG)
        await put(backend, job(queue="other", expires=LONG))
        await self._again_within(backend, LONG)
        await claim_one(backend, lease=LONG // 2)
        await self._again_within(backend, LONG // 2)
        again_in = (await backend.maintain(["other"])).again_in
        assert again_in is not None
        assert again_in > LONG // 2

    async def _again_within(self, backend: Backend, longest: Micros) -> None:
        again_in = (await backend.maintain(["default", "other"])).again_in
        assert again_in is not None
        assert longest - LONG // 4 < again_in <= longest

    async def test_maintain_tells_what_expired(self, backend: Backend) -> None:
        jobs = [job(expires=SOON, queue=queue, task=f"of.{queue}") for queue in ("left", "right")]
        await put(backend, *jobs)
        told: list[Change] = []

        async def both() -> bool:
            told.extend((await backend.maintain(["left", "right"])).expired)
            return len(told) >= 2

        await eventually(both)
        assert set(told) == {self._told(one) for one in jobs}
        assert not (await backend.maintain(["left", "right"])).expired

    async def test_a_fetch_tells_what_expired(self, backend: Backend) -> None:
        jobs = [job(expires=SOON, queue=queue, task=f"of.{queue}") for queue in ("left", "right")]
        await put(backend, *jobs)
        await asyncio.sleep(0.01)
        told: list[Change] = []

        async def both() -> bool:
            found = await backend.fetch(Ask(["left", "right"], 5, claimant(), LONG))
            told.extend(found.expired)
            return len(told) >= 2

        await eventually(both)
        assert set(told) == {self._told(one) for one in jobs}
        assert not (await backend.fetch(Ask(["left", "right"], 5, claimant(), LONG))).expired

    async def test_what_expired_without_a_record_is_told(self, backend: Backend) -> None:
        one = job(expires=SOON, keep=Keep(0))
        await put(backend, one)

        async def told() -> list[Change]:
            return [*(await backend.maintain(["default"])).expired]

        assert await eventually(told) == [self._told(one)]
        assert await state_of(backend, one.id) is None

    async def test_what_expired_is_told_once_whoever_meets_it(
        self, backend: Backend, other: Backend
    ) -> None:
        jobs = [job(expires=SOON) for _ in range(300)]
        await put(backend, *jobs)
        await asyncio.sleep(0.01)
        told: Counter[UUID] = Counter()

        async def meet(store: Backend) -> None:
            async def all_told() -> bool:
                found = await store.fetch(Ask(["default"], 10, claimant(), LONG))
                done = await store.maintain(["default"])
                told.update(one.ref.id for one in (*found.expired, *done.expired))
                return len(told) == len(jobs)

            await eventually(all_told)

        await asyncio.gather(*(meet(store) for store in (backend, other) for _ in range(3)))
        assert told == Counter(one.id for one in jobs)

    async def test_nothing_is_told_of_jobs_that_did_not_fail(self, backend: Backend) -> None:
        await put(backend, job(expires=LONG), job(), *numbered(2, expires=LONG, delay=LONG))
        (begun,) = await claim(backend, 1)
        found = await backend.fetch(
            Ask(["default"], 5, claimant(), LONG), settle=[succeeded(begun)]
        )
        assert (len(found.claims), list(found.expired)) == (1, [])
        assert not (await backend.maintain(["default"])).expired

    async def test_one_call_ends_a_bounded_number(self, backend: Backend) -> None:
        await put(backend, *numbered(4500, expires=SOON), job("late"))
        await asyncio.sleep(0.01)
        assert 0 < len((await backend.maintain(["default"])).expired) <= 1000
        found = await backend.fetch(Ask(["default"], 1, claimant(), LONG))
        assert 0 < len(found.expired) <= 2000
        claims = found.claims or [await claim_one(backend)]
        assert [one.payload for one in claims] == ["late"]

    def _told(self, one: Job[Any]) -> Change:
        return Change(one.ref, State.READY, State.FAILED, task=one.task, reason=Reason.EXPIRED)

    async def test_a_scheduled_job_expires_as_well(self, backend: Backend) -> None:
        one = job(expires=SOON, delay=LONG)
        await put(backend, one)
        await self._has_expired(backend, one.id)

    async def test_the_time_counts_from_the_enqueue(self, backend: Backend) -> None:
        one = job(expires=LONG, delay=MILLISECOND)
        await put(backend, one)
        found = await record(backend, one.id)
        assert found.times.expires_at == found.times.enqueued_at + LONG

    async def test_a_claim_says_how_long_it_may_be_begun(self, backend: Backend) -> None:
        await put(backend, job(expires=LONG))
        found = await claim_one(backend)
        assert found.expires_in is not None
        assert 0 < found.expires_in <= LONG

    async def test_a_job_that_runs_does_not_expire(self, backend: Backend) -> None:
        one = job(expires=500 * MILLISECOND)
        await put(backend, one)
        found = await claim_one(backend)
        await asyncio.sleep(0.55)
        await backend.maintain(["default"])
        assert await state_of(backend, one.id) is State.RUNNING
        await ack(backend, succeeded(found))

    async def test_a_job_that_has_begun_does_not_expire_between_its_attempts(
        self, backend: Backend
    ) -> None:
        one = job(expires=500 * MILLISECOND)
        await put(backend, one)
        await give_back(backend, retried(await claim_one(backend)))
        await asyncio.sleep(0.55)
        await backend.maintain(["default"])
        again = await claim_one(backend)
        assert (again.token.id, again.attempt) == (one.id, 2)

    async def test_a_job_that_was_released_unbegun_still_expires(self, backend: Backend) -> None:
        one = job(expires=500 * MILLISECOND)
        await put(backend, one)
        await give_back(backend, released(await claim_one(backend)))
        await asyncio.sleep(0.55)
        await claims_nothing(backend)
        await self._has_expired(backend, one.id)

    async def test_a_job_that_expires_right_after_a_fetch_is_not_claimed(
        self, backend: Backend
    ) -> None:
        for _ in range(3):
            await backend.fetch(Ask(["default"], 1, claimant(), LONG))
            await put(backend, job(expires=SOON))
            await asyncio.sleep(0.002)
            assert not (await backend.fetch(Ask(["default"], 1, claimant(), LONG))).claims

    async def test_expired_jobs_stand_in_nobodys_way(self, backend: Backend) -> None:
        await put(backend, *(job(expires=SOON) for _ in range(50)), *numbered(5))
        await asyncio.sleep(0.01)
        assert [one.payload for one in await claim(backend, 5)] == ["0", "1", "2", "3", "4"]

    async def test_expired_jobs_of_a_paused_queue_expire(self, backend: Backend) -> None:
        one = job(expires=SOON)
        await put(backend, one)
        await backend.inspector.pause(["default"], paused=True)
        await self._has_expired(backend, one.id)

    async def test_an_expired_job_can_be_run_by_a_person(self, backend: Backend) -> None:
        one = job(expires=SOON)
        await put(backend, one)
        await self._has_expired(backend, one.id)
        (change,) = await backend.inspector.steer(Event.RERUN, [one.ref])
        assert (change.found, change.done) == (State.FAILED, True)
        await backend.maintain(["default"])
        assert (await claim_one(backend)).token.id == one.id

    async def test_a_job_that_a_person_ran_does_not_expire_when_it_comes_back(
        self, backend: Backend
    ) -> None:
        one = job(expires=SOON)
        await put(backend, one)
        await self._has_expired(backend, one.id)
        await backend.inspector.steer(Event.RERUN, [one.ref])
        await give_back(backend, released(await claim_one(backend)))
        await backend.maintain(["default"])
        assert await state_of(backend, one.id) is State.READY
        await lapse(backend, await claim_one(backend, lease=BRIEF))
        await backend.maintain(["default"])
        assert await state_of(backend, one.id) is State.READY

    async def test_a_job_that_was_cancelled_does_not_expire(self, backend: Backend) -> None:
        one = job(expires=20 * MILLISECOND)
        await put(backend, one)
        await backend.inspector.steer(Event.CANCEL, [one.ref])
        await asyncio.sleep(0.03)
        for _ in range(2):
            await backend.maintain(["default"])
        assert await state_of(backend, one.id) is State.CANCELLED

    async def _has_expired(self, backend: Backend, job_id: UUID) -> JobRecord:
        async def failed() -> JobRecord | None:
            await backend.maintain(["default"])
            found = await record(backend, job_id)
            return found if found.state is State.FAILED else None

        found = await eventually(failed)
        assert found is not None
        assert found.life.reason == Reason.EXPIRED
        return found
