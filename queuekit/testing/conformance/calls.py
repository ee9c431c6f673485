"""What holds for every call: calls may overlap, and one that is cancelled does no harm."""

import asyncio

import pytest

from queuekit.backend import Ask, Backend, Refusal
from queuekit.errors import BackendRefused, InvalidOption
from queuekit.job import State
from queuekit.testing.conformance._make import (
    ALICE,
    DONE,
    LONG,
    UNSTORABLE,
    ack,
    answer_of,
    answers_of,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    job,
    numbered,
    put,
    running,
    state_of,
    succeeded,
)


class CallCases:
    """One object and many callers."""

    async def test_a_hundred_calls_of_all_kinds_overlap(self, backend: Backend) -> None:
        held = await running(backend, queue="held")
        jobs = numbered(50)
        await asyncio.gather(
            *(put(backend, one) for one in jobs),
            *(backend.heartbeat([held.token]) for _ in range(10)),
            *(backend.maintain(["held"]) for _ in range(10)),
            *(backend.leases(ALICE) for _ in range(10)),
            *(backend.inspector.queues() for _ in range(10)),
            *(backend.wait(["held"], 0.01, f"sleeper-{n}") for n in range(5)),
            *(backend.results([held.token.ref], 0.01) for _ in range(5)),
        )
        claims = await claim(backend, 50)
        assert {one.token.id for one in claims} == {one.id for one in jobs}

    async def test_a_waiting_call_holds_up_no_other(self, backend: Backend) -> None:
        waiting = [
            asyncio.create_task(backend.wait(["empty"], 30, f"sleeper-{n}")) for n in range(20)
        ]
        held = await running(backend)
        results = asyncio.create_task(backend.results([held.token.ref], 30))
        for _ in range(20):
            await ack(backend, succeeded(await running(backend)))
        for task in (*waiting, results):
            task.cancel()
        await asyncio.wait([*waiting, results])

    async def test_cancelled_enqueues_leave_the_object_usable(self, backend: Backend) -> None:
        for delay in range(20):
            task = asyncio.create_task(backend.enqueue(numbered(20, queue="cancelled")))
            await asyncio.sleep(delay / 5000)
            task.cancel()
            await asyncio.wait([task])
        await put(backend, job())
        await ack(backend, succeeded(await claim_one(backend)))

    async def test_cancelled_fetches_lose_no_job(self, backend: Backend) -> None:
        await put(backend, *numbered(20))
        for delay in range(20):
            fetching = backend.fetch(Ask(["default"], 1, claimant("erin-1"), LONG))
            task = asyncio.create_task(fetching)
            await asyncio.sleep(delay / 5000)
            task.cancel()
            await asyncio.wait([task])
        held = await backend.leases("erin-1")
        rest = await claim(backend, 20 - len(held))
        assert len({one.token.id for one in held} | {one.token.id for one in rest}) == 20

    async def test_a_cancelled_ack_can_be_repeated(self, backend: Backend) -> None:
        for delay in range(10):
            one = await running(backend)
            task = asyncio.create_task(backend.ack([succeeded(one)]))
            await asyncio.sleep(delay / 5000)
            task.cancel()
            await asyncio.wait([task])
            assert answers_of(await backend.ack([succeeded(one)])) == [DONE]
            assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_an_object_may_be_closed_twice(self, backend: Backend, other: Backend) -> None:
        one = job()
        await put(other, one)
        await other.close()
        await other.close()
        assert (await claim_one(backend)).token.id == one.id

    async def test_closing_one_object_leaves_the_other_open(
        self, backend: Backend, other: Backend
    ) -> None:
        one = await running(other)
        await other.close()
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert (answer_of(answer), answer.now) == (Refusal.KNOWN, State.SUCCEEDED)

    async def test_an_atomic_batch_over_queues_is_stored_whole_or_refused(
        self, backend: Backend
    ) -> None:
        batch = [*numbered(3, queue="left"), job(UNSTORABLE, queue="right")]
        with pytest.raises((BackendRefused, InvalidOption)):
            await backend.enqueue(batch, atomic=True)
        await claims_nothing(backend, "left")
