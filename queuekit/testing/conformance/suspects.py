"""Jobs whose leases lapsed more than once: they may be what kills the workers."""

import asyncio

import pytest

from queuekit.backend import Ask, Backend
from queuekit.job import SOLITARY_AFTER, SUSPECT_AFTER, Claim, State
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    ack,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    eventually,
    give_back,
    job,
    lapse,
    lapse_times,
    numbered,
    put,
    released,
    retried,
    running,
    state_of,
    succeeded,
)


class SuspectCases:
    """`suspects` in `Backend.fetch`."""

    async def test_one_lapse_makes_no_suspect(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER - 1, one)
        assert (await claim_one(backend, suspects=0)).lapses == SUSPECT_AFTER - 1

    async def test_a_suspect_is_claimed_only_by_who_takes_suspects(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await claims_nothing(backend, suspects=0)
        assert (await claim_one(backend, suspects=1)).lapses == SUSPECT_AFTER

    async def test_a_suspect_stands_in_nobodys_way(self, backend: Backend) -> None:
        one = job("suspect")
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await put(backend, *numbered(3))
        claims = await claim(backend, 3, suspects=0)
        assert [one.payload for one in claims] == ["0", "1", "2"]

    async def test_no_more_suspects_are_claimed_than_asked_for(self, backend: Backend) -> None:
        jobs = numbered(4)
        await put(backend, *jobs)
        await lapse_times(backend, SUSPECT_AFTER, *jobs)
        fetched = await backend.fetch(Ask(["default"], 10, claimant(), LONG, 2))
        assert len(fetched.claims) == 2
        assert len(await claim(backend, 2, suspects=2)) == 2

    async def test_suspects_count_within_the_limit(self, backend: Backend) -> None:
        jobs = numbered(3)
        await put(backend, *jobs)
        await lapse_times(backend, SUSPECT_AFTER, *jobs)
        await put(backend, *numbered(3))
        fetched = await backend.fetch(Ask(["default"], 2, claimant(), LONG, 3))
        assert len(fetched.claims) == 2

    async def test_suspects_go_before_others_of_their_queue(self, backend: Backend) -> None:
        one = job("suspect", priority=50)
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await put(backend, *numbered(3))
        claims = await claim(backend, 2, suspects=1)
        assert "suspect" in [one.payload for one in claims]

    async def test_a_released_suspect_stays_one(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await give_back(backend, released(await claim_one(backend, suspects=1)))
        await claims_nothing(backend, suspects=0)
        await claim_one(backend, suspects=1)

    async def test_a_suspect_that_succeeds_is_done(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await ack(backend, succeeded(await claim_one(backend, suspects=1)))
        await claims_nothing(backend, suspects=1)

    async def test_of_solitary_suspects_one_a_queue_is_out(self, backend: Backend) -> None:
        first, second = jobs = numbered(2)
        await put(backend, first)
        await lapse_times(backend, SOLITARY_AFTER, first)
        held = await self._next(backend)
        await put(backend, second)
        await lapse_times(backend, SOLITARY_AFTER, second)
        await claims_nothing(backend, suspects=5)
        await give_back(backend, released(held))
        out = await self._next(backend)
        await claims_nothing(backend, suspects=5)
        await ack(backend, succeeded(out))
        last = await self._next(backend)
        assert {out.token.id, last.token.id} == {one.id for one in jobs}

    async def test_solitary_suspects_go_one_by_one_in_their_order(self, backend: Backend) -> None:
        jobs = numbered(3)
        await put(backend, *jobs)
        await lapse_times(backend, SOLITARY_AFTER, *jobs)
        for one in jobs:
            out = await self._next(backend)
            assert out.token.id == one.id
            await backend.maintain(["default"])
            await claims_nothing(backend, suspects=5)
            await ack(backend, succeeded(out))

    async def _next(self, backend: Backend) -> Claim:
        """A tick may have to hand the next one out."""
        claims: list[Claim] = []

        async def came() -> bool:
            await backend.maintain(["default"])
            fetched = await backend.fetch(Ask(["default"], 5, claimant(), LONG, 5))
            claims.extend(fetched.claims)
            return bool(claims)

        await eventually(came)
        (only,) = claims
        return only

    async def test_a_solitary_suspect_does_not_hold_up_others(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SOLITARY_AFTER, one)
        await claim_one(backend, suspects=1)
        await put(backend, *numbered(3))
        assert len(await claim(backend, 3, suspects=1)) == 3

    async def test_a_solitary_suspect_is_not_held_up_by_others(self, backend: Backend) -> None:
        one = job("solitary")
        await put(backend, one)
        await lapse_times(backend, SOLITARY_AFTER - 1, one)
        late = await claim_one(backend, lease=BRIEF, suspects=1)
        await running(backend)
        await lapse(backend, late)
        assert (await self._next(backend)).token.id == one.id

    @pytest.mark.parametrize("order", ["left right", "right left"])
    async def test_queues_have_solitary_suspects_of_their_own(
        self, backend: Backend, order: str
    ) -> None:
        left, right = job(queue="left"), job(queue="right")
        await put(backend, left, right)
        for one in (left, right):
            await lapse_times(backend, SOLITARY_AFTER, one)
        for queue in order.split():
            assert (await claim_one(backend, queue=queue, suspects=5)).lapses == SOLITARY_AFTER

    async def test_queues_have_solitary_suspects_of_their_own_while_others_run(
        self, backend: Backend
    ) -> None:
        left, right = job(queue="left"), job(queue="right")
        await put(backend, left, right)
        for one in (left, right):
            await lapse_times(backend, SOLITARY_AFTER, one)
            assert (await claim_one(backend, queue=one.options.queue, suspects=5)).lapses

    async def test_one_tick_hands_out_a_solitary_suspect_in_each_queue(
        self, backend: Backend
    ) -> None:
        queues = ["left", "right"]
        jobs = [job(queue=queue) for queue in queues]
        await put(backend, *jobs)
        for one in jobs:
            await lapse_times(backend, SOLITARY_AFTER - 1, one)
        claims = await claim(backend, 2, queues=queues, suspects=5, lease=BRIEF)
        await asyncio.sleep(0.05)
        await backend.maintain(queues)  # renews, because there was no tick for longer than a lease
        await asyncio.sleep(0.05)
        rescued = (await backend.maintain(queues)).rescued
        assert {lapsed.ref for lapsed in rescued} == {one.token.ref for one in claims}
        assert len(await claim(backend, 2, queues=queues, suspects=5)) == 2

    async def test_a_solitary_suspect_is_handed_out_beside_jobs_that_are_not_ready(
        self, backend: Backend
    ) -> None:
        scheduled, mild, one = job(delay=LONG), job(), job(priority=50)
        await put(backend, mild)
        await lapse_times(backend, SUSPECT_AFTER, mild)
        held = await claim_one(backend, suspects=5)
        await put(backend, scheduled, one)
        await lapse_times(backend, SOLITARY_AFTER - 1, one)
        late = await claim_one(backend, lease=BRIEF, suspects=5)
        await give_back(backend, released(held))
        await lapse(backend, late)
        claims = await claim(backend, 2, suspects=5)
        assert {claim.token.id for claim in claims} == {mild.id, one.id}

    async def test_a_solitary_suspect_that_waits_for_its_time_is_not_handed_out(
        self, backend: Backend
    ) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SOLITARY_AFTER, one)
        await give_back(backend, retried(await self._next(backend), LONG))
        for _ in range(2):
            await backend.maintain(["default"])
        assert await state_of(backend, one.id) is State.SCHEDULED
        await claims_nothing(backend, suspects=5)

    async def test_a_queue_without_solitary_suspects_hands_out_none_of_another(
        self, backend: Backend
    ) -> None:
        jobs = numbered(2, queue="left")
        await put(backend, *jobs)
        await lapse_times(backend, SOLITARY_AFTER, *jobs)
        for _ in range(3):
            await backend.maintain(["left", "right"])
        fetched = await backend.fetch(Ask(["left"], 5, claimant(), LONG, 5))
        assert len(fetched.claims) == 1

    @pytest.mark.parametrize("queue", ["left", "middle", "right"])
    async def test_a_suspect_of_one_of_several_queues_is_claimed(
        self, backend: Backend, queue: str
    ) -> None:
        one = job(queue=queue)
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        queues = ["left", "middle", "right"]
        fetched = await backend.fetch(Ask(queues, 5, claimant(), LONG, 1))
        assert [found.token.id for found in fetched.claims] == [one.id]

    async def test_suspects_of_several_queues_share_the_bound(self, backend: Backend) -> None:
        left, right = job(queue="left"), job(queue="right")
        await put(backend, left, right)
        await lapse_times(backend, SUSPECT_AFTER, left)
        await lapse_times(backend, SUSPECT_AFTER, right)
        fetched = await backend.fetch(Ask(["left", "right"], 5, claimant(), LONG, 1))
        assert len(fetched.claims) == 1
