"""An outage must not look like a thousand dead workers."""

import asyncio
import time
from typing import Any

import pytest

from queuekit.backend import HEARD_WITHIN, Backend, Upkeep
from queuekit.job import Claim, Job, Micros, State
from queuekit.testing.conformance._make import (
    BOB,
    LONG,
    MILLISECOND,
    claim_one,
    give_back,
    job,
    put,
    record,
    released,
    state_of,
)

LEASE: Micros = 200 * MILLISECOND


class OutageCases:
    """`Backend.maintain` after a gap: nobody ticked, as nobody could."""

    @pytest.mark.parametrize("leases", [0.5, 0.65, 0.9, 1.1, 3])
    async def test_an_outage_costs_no_lease(self, backend: Backend, leases: float) -> None:
        one = await self._claimed(backend, job())
        before = (await record(backend, one.token.id)).times.leased_until
        upkeep = await self._outage(backend, leases)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (1, [])
        found = await record(backend, one.token.id)
        assert found.state is State.RUNNING
        assert before is not None
        assert found.times.leased_until is not None
        assert found.times.leased_until > before

    async def test_a_worker_goes_on_after_an_outage(self, backend: Backend) -> None:
        one = await self._claimed(backend, job())
        await self._outage(backend, 2)
        assert not (await backend.heartbeat([one.token])).lost

    async def test_a_job_whose_worker_stays_silent_is_renewed_once(self, backend: Backend) -> None:
        one = await self._claimed(backend, job())
        await self._outage(backend, 2)
        upkeep = await self._outage(backend, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (0, [one.token.ref])
        assert await state_of(backend, one.token.id) is State.READY

    async def test_a_silent_worker_is_not_spared_because_another_is_heard(
        self, backend: Backend
    ) -> None:
        await put(backend, job(lease=LONG))
        heard = await claim_one(backend, process=BOB)
        silent = await self._claimed(backend, job())
        assert (await self._outage(backend, 2)).renewed == 1
        assert not (await backend.heartbeat([heard.token])).lost
        await put(backend, job())
        await claim_one(backend, process=BOB)
        upkeep = await self._outage(backend, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (0, [silent.token.ref])

    async def test_an_outage_gives_no_lease_to_what_does_not_run(self, backend: Backend) -> None:
        one = await self._claimed(backend, job())
        await give_back(backend, released(one))
        await self._outage(backend, 0.5)
        assert (await self._outage(backend, 2)).renewed == 0
        assert (await record(backend, one.token.id)).times.leased_until is None

    async def test_a_worker_that_is_heard_is_spared_again(self, backend: Backend) -> None:
        one = await self._claimed(backend, job())
        for _ in range(3):
            upkeep = await self._outage(backend, 2)
            assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (1, [])
            assert not (await backend.heartbeat([one.token])).lost

    async def test_a_worker_that_claims_is_heard(self, backend: Backend) -> None:
        await self._claimed(backend, job())
        await self._outage(backend, 2)
        await put(backend, job())
        await claim_one(backend, lease=LEASE)
        upkeep = await self._outage(backend, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (2, [])

    async def test_a_worker_that_renews_one_lease_is_heard(self, backend: Backend) -> None:
        await self._claimed(backend, job())
        other = await self._claimed(backend, job())
        assert (await self._outage(backend, 2)).renewed == 2
        assert not (await backend.heartbeat([other.token])).lost
        upkeep = await self._outage(backend, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (2, [])

    async def test_a_new_claim_is_spared_again(self, backend: Backend) -> None:
        await self._claimed(backend, job())
        await self._outage(backend, 2)
        await self._outage(backend, 2)
        await claim_one(backend, lease=LEASE)
        assert (await self._outage(backend, 2)).renewed == 1

    async def test_a_jobs_own_short_lease_is_spared(self, backend: Backend) -> None:
        await self._claimed(backend, job(lease=LEASE), lease=LONG)
        upkeep = await self._outage(backend, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (1, [])

    async def test_an_outage_prolongs_no_lease_much_beyond_half_of_it(
        self, backend: Backend
    ) -> None:
        """So the lease of a worker that is gone ends in time though nobody ticked for a while."""
        begun, lease = time.monotonic(), 30 * LEASE
        one = await self._claimed(backend, job(), lease)
        before = (await record(backend, one.token.id)).times.leased_until
        upkeep = await self._outage(backend, 10)  # a third of the lease
        assert upkeep.renewed == 1
        after = (await record(backend, one.token.id)).times.leased_until
        assert before is not None
        assert after is not None
        claimed_at, passed = before - lease, round((time.monotonic() - begun) * 1_000_000)
        assert before <= after <= claimed_at + passed + lease // 2 + HEARD_WITHIN

    async def test_a_long_lease_needs_no_renewal(self, backend: Backend) -> None:
        await self._claimed(backend, job(lease=10 * LONG))
        upkeep = await self._outage(backend, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (0, [])

    async def test_an_outage_seen_by_another_object_costs_no_lease(
        self, backend: Backend, other: Backend
    ) -> None:
        await self._claimed(backend, job())
        upkeep = await self._outage(other, 2)
        assert (upkeep.renewed, [one.ref for one in upkeep.rescued]) == (1, [])

    async def _claimed(self, backend: Backend, one: Job[Any], lease: Micros = LEASE) -> Claim:
        await put(backend, one)
        await backend.maintain(["default"])
        return await claim_one(backend, lease=lease)

    async def _outage(self, backend: Backend, leases: float) -> Upkeep:
        """Nobody ticks for so many leases; the first tick afterwards."""
        await asyncio.sleep(leases * LEASE / 1_000_000)
        return await backend.maintain(["default"])
