"""Claiming jobs."""

import asyncio
from collections import Counter

from queuekit.backend import Ask, Backend, Refusal
from queuekit.job import Claim, State
from queuekit.testing.conformance._make import (
    DONE,
    LONG,
    SECOND,
    ack,
    answers_of,
    claim,
    claim_one,
    claimant,
    eventually,
    give_back,
    job,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    state_of,
    succeeded,
)


class FetchCases:
    """`Backend.fetch`."""

    async def test_a_claim_holds_all_that_a_worker_needs(self, backend: Backend) -> None:
        one = job('{"v":1,"a":{"x":1}}', task="mails.send", max_attempts=3, extra='{"timeout":5}')
        await put(backend, one)
        found = await claim_one(backend)
        assert (found.token.queue, found.token.id) == ("default", one.id)
        assert (found.task, found.payload, found.extra) == (one.task, one.payload, '{"timeout":5}')
        assert (found.attempt, found.max_attempts) == (1, 3)
        assert (found.lapses, found.crashes, found.expires_in) == (0, 0, None)

    async def test_a_claimed_job_is_running(self, backend: Backend) -> None:
        one = await running(backend)
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt) == (State.RUNNING, 1)
        assert found.life.delivery == one.token.delivery
        assert found.times.started_at is not None
        assert found.times.started_at >= found.times.enqueued_at

    async def test_an_empty_queue_gives_nothing(self, backend: Backend) -> None:
        fetched = await backend.fetch(Ask(["default"], 10, claimant(), LONG))
        assert (list(fetched.claims), answers_of(fetched.settled)) == ([], [])

    async def test_first_in_first_out(self, backend: Backend) -> None:
        for one in numbered(10):
            await put(backend, one)
        claims = await claim(backend, 10)
        assert [one.payload for one in claims] == [str(number) for number in range(10)]

    async def test_a_smaller_number_is_more_urgent(self, backend: Backend) -> None:
        await put(backend, *(job(str(p), priority=p) for p in (0, 100, -100, 7, -7)))
        claims = await claim(backend, 5)
        assert [one.payload for one in claims] == ["-100", "-7", "0", "7", "100"]

    async def test_an_urgent_latecomer_goes_first(self, backend: Backend) -> None:
        await put(backend, *numbered(5))
        await claim(backend, 2)
        await put(backend, job("urgent", priority=-1))
        assert (await claim_one(backend)).payload == "urgent"
        assert (await claim_one(backend)).payload == "2"

    async def test_a_fetch_keeps_to_its_limit(self, backend: Backend) -> None:
        await put(backend, *numbered(10))
        fetched = await backend.fetch(Ask(["default"], 3, claimant(), LONG))
        assert len(fetched.claims) == 3

    async def test_the_limit_is_for_all_queues_together(self, backend: Backend) -> None:
        await put(backend, *numbered(5, queue="left"), *numbered(5, queue="right"))
        fetched = await backend.fetch(Ask(["left", "right"], 4, claimant(), LONG))
        assert len(fetched.claims) == 4

    async def test_queues_are_served_in_turn(self, backend: Backend) -> None:
        await put(backend, *numbered(50, queue="full"))
        await put(backend, job(queue="a"), job(queue="b"))
        claims = [await self._one_of(backend, "full", "a", "b") for _ in range(6)]
        assert {one.token.queue for one in claims} == {"full", "a", "b"}

    async def test_a_full_queue_does_not_fill_a_whole_fetch_every_time(
        self, backend: Backend
    ) -> None:
        await put(backend, *numbered(100, queue="full"), *numbered(10, queue="small"))
        served: Counter[str] = Counter()
        for _ in range(4):
            fetched = await backend.fetch(Ask(["full", "small"], 10, claimant(), LONG))
            served.update(one.token.queue for one in fetched.claims)
        assert served["small"] > 0
        assert served["full"] > 0

    async def test_priority_counts_within_a_queue(self, backend: Backend) -> None:
        await put(backend, *numbered(20, queue="urgent", priority=-100), job(queue="other"))
        claims = [await self._one_of(backend, "urgent", "other") for _ in range(4)]
        assert "other" in {one.token.queue for one in claims}

    async def _one_of(self, backend: Backend, *queues: str) -> Claim:
        (only,) = await claim(backend, 1, queues=queues)
        return only

    async def test_a_claim_gets_the_workers_lease(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        found = await claim_one(backend, lease=77 * SECOND)
        assert found.lease == 77 * SECOND
        stored = await record(backend, one.id)
        assert stored.times.started_at is not None
        assert stored.times.leased_until is not None
        assert abs(stored.times.leased_until - stored.times.started_at - 77 * SECOND) < SECOND

    async def test_a_jobs_own_lease_goes_before_the_workers(self, backend: Backend) -> None:
        one = job(lease=5 * LONG)
        await put(backend, one)
        found = await claim_one(backend, lease=LONG)
        assert found.lease == 5 * LONG
        stored = await record(backend, one.id)
        assert stored.times.started_at is not None
        assert stored.times.leased_until is not None
        assert stored.times.leased_until - stored.times.started_at > 4 * LONG

    async def test_a_delivery_is_at_least_the_servers_clock(self, backend: Backend) -> None:
        one = await running(backend)
        stored = await record(backend, one.token.id)
        assert one.token.delivery >= stored.times.enqueued_at // 1000 - 1

    async def test_deliveries_grow_with_every_claim(self, backend: Backend) -> None:
        await put(backend, job())
        deliveries: list[int] = []
        for _ in range(10):
            one = await claim_one(backend)
            deliveries.append(one.token.delivery)
            await give_back(backend, released(one))
        assert deliveries == sorted(set(deliveries))

    async def test_attempts_are_counted(self, backend: Backend) -> None:
        await put(backend, job(max_attempts=10))
        for attempt in range(1, 6):
            one = await claim_one(backend)
            assert one.attempt == attempt
            await give_back(backend, retried(one))

    async def test_a_fetch_settles_on_the_way(self, backend: Backend) -> None:
        first = await running(backend)
        await put(backend, job("next"))
        fetched = await backend.fetch(
            Ask(["default"], 1, claimant(), LONG), settle=[succeeded(first, '"done"')]
        )
        assert answers_of(fetched.settled) == [DONE]
        assert (await record(backend, first.token.id)).notes.result == '"done"'
        assert len(fetched.claims) == 1 or (await claim_one(backend)).payload == "next"

    async def test_a_fetch_settles_returns_as_well(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first, second, third = await claim(backend, 3)
        fetched = await backend.fetch(
            Ask(["elsewhere"], 5, claimant(), LONG),
            settle=[retried(first, LONG), succeeded(second), released(third)],
        )
        assert answers_of(fetched.settled) == [DONE] * 3
        assert await state_of(backend, first.token.id) is State.SCHEDULED
        assert await state_of(backend, second.token.id) is State.SUCCEEDED
        assert await state_of(backend, third.token.id) is State.READY

    async def test_a_fetch_of_none_only_settles(self, backend: Backend) -> None:
        one = await running(backend)
        await put(backend, job())
        fetched = await backend.fetch(
            Ask(["default"], 0, claimant(), LONG), settle=[succeeded(one)]
        )
        assert (list(fetched.claims), answers_of(fetched.settled)) == ([], [DONE])
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_a_fetch_names_what_it_could_not_settle(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first, second, third = await claim(backend, 3)
        await ack(backend, succeeded(second))
        fetched = await backend.fetch(
            Ask(["default"], 10, claimant(), LONG),
            settle=[succeeded(first), retried(second), succeeded(third)],
        )
        assert answers_of(fetched.settled) == [DONE, Refusal.LOST, DONE]

    async def test_two_fetchers_share_without_overlap(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(100))
        left, right = await asyncio.gather(claim(backend, 50), claim(other, 50))
        assert len({one.token.id for one in (*left, *right)}) == 100

    async def test_twenty_fetchers_claim_a_thousand_jobs_once_each(
        self, backend: Backend, other: Backend
    ) -> None:
        jobs = numbered(1000)
        await put(backend, *jobs)
        claimed: list[Claim] = []

        async def fetcher(store: Backend) -> None:
            async def all_claimed() -> bool:
                fetched = await store.fetch(Ask(["default"], 7, claimant(), LONG))
                claimed.extend(fetched.claims)
                return len(claimed) >= len(jobs)

            await eventually(all_claimed)

        await asyncio.gather(*(fetcher(store) for store in (backend, other) for _ in range(10)))
        assert Counter(one.token.id for one in claimed) == Counter(one.id for one in jobs)

    async def test_a_job_stored_behind_the_last_claim_is_found(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(20))
        claims = await claim(backend, 10)
        await give_back(other, *(released(one) for one in claims))
        again = await claim(backend, 20)
        assert len({one.token.id for one in again}) == 20
