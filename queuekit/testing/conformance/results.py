"""Waiting for the end of jobs."""

import asyncio
import time

import pytest

from queuekit.backend import Backend
from queuekit.errors import JobNotFound
from queuekit.job import JobRef, Keep, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    Settling,
    ack,
    cancelled,
    claim,
    claim_one,
    failed,
    give_back,
    job,
    lapse,
    numbered,
    punctual,
    put,
    record,
    retried,
    running,
    succeeded,
)


class ResultsCases:
    """`Backend.results`."""

    async def test_the_record_of_a_finished_job_comes_at_once(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one, '"sent"'))
        found = await backend.results([one.token.ref], 30)
        assert found == {one.token.ref: await record(backend, one.token.id)}
        assert found[one.token.ref].notes.result == '"sent"'

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_every_end_ends_the_wait(
        self, backend: Backend, other: Backend, end: Settling
    ) -> None:
        one = await running(backend)
        waiting = asyncio.create_task(backend.results([one.token.ref], 30))
        await asyncio.sleep(0.03)
        settled = end(one)
        await ack(other, settled)
        found = await asyncio.wait_for(waiting, 5)
        assert found[one.token.ref].state is settled.state

    async def test_an_unfinished_job_has_no_record_yet(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        assert await backend.results([one.ref], 0.05) == {}

    async def test_no_time_to_wait_is_no_wait(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        assert await backend.results([one.ref], 0) == {}

    async def test_an_attempt_that_failed_is_no_end(self, backend: Backend) -> None:
        one = await running(backend)
        waiting = asyncio.create_task(backend.results([one.token.ref], 30))
        await asyncio.sleep(0.03)
        await give_back(backend, retried(one))
        last = await claim_one(backend)
        assert not waiting.done()
        await ack(backend, succeeded(last))
        assert (await asyncio.wait_for(waiting, 5))[one.token.ref].life.attempt == 2

    async def test_the_first_end_ends_a_wait_for_many(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(10))
        claims = await claim(backend, 10)
        waiting = asyncio.create_task(backend.results([one.token.ref for one in claims], 30))
        await asyncio.sleep(0.03)
        await ack(other, succeeded(claims[7]))
        assert set(await asyncio.wait_for(waiting, 5)) == {claims[7].token.ref}

    async def test_all_finished_ones_come_together(self, backend: Backend) -> None:
        await put(backend, *numbered(10))
        claims = await claim(backend, 10)
        await ack(backend, *(succeeded(one) for one in claims[:6]))
        found = await backend.results([one.token.ref for one in claims], 0)
        assert set(found) == {one.token.ref for one in claims[:6]}

    async def test_nothing_asked_is_nothing_found(self, backend: Backend) -> None:
        assert await backend.results([], 0) == {}

    async def test_an_unknown_job_is_not_found(self, backend: Backend) -> None:
        with pytest.raises(JobNotFound):
            await backend.results([JobRef("default", new_id())], 30)

    async def test_one_unknown_job_among_others_is_not_found(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        with pytest.raises(JobNotFound):
            await backend.results([one.ref, JobRef("default", new_id())], 30)

    async def test_a_job_of_another_queue_is_not_found(self, backend: Backend) -> None:
        one = job(queue="left")
        await put(backend, one)
        with pytest.raises(JobNotFound):
            await backend.results([JobRef("right", one.id)], 30)

    async def test_the_record_of_another_queue_is_not_found(self, backend: Backend) -> None:
        one = await running(backend, queue="left")
        await ack(backend, succeeded(one))
        with pytest.raises(JobNotFound):
            await backend.results([JobRef("right", one.token.id)], 30)

    async def test_a_finished_job_without_record_is_not_found(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(0))
        await ack(backend, succeeded(one))
        with pytest.raises(JobNotFound):
            await backend.results([one.token.ref], 30)

    async def test_a_waiter_gets_the_record_of_a_job_that_keeps_none(
        self, backend: Backend, other: Backend
    ) -> None:
        one = await running(backend, keep=Keep(0))
        # A wait that timed out has registered for certain, and its owner may come again.
        assert await backend.results([one.token.ref], 0.05) == {}
        await ack(other, succeeded(one, '"kept for you"'))
        found = await backend.results([one.token.ref], 5)
        assert found[one.token.ref].notes.result == '"kept for you"'

    async def test_every_waiter_gets_the_record(self, backend: Backend, other: Backend) -> None:
        one = await running(backend)
        waiting = [
            asyncio.create_task(store.results([one.token.ref], 30))
            for store in (backend, other) * 5
        ]
        await asyncio.sleep(0.03)
        await ack(backend, succeeded(one, "7"))
        for found in await asyncio.wait_for(asyncio.gather(*waiting), 5):
            assert found[one.token.ref].notes.result == "7"

    async def test_every_waiter_is_told_at_once(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            one = await running(backend)
            waiting = [
                asyncio.create_task(store.results([one.token.ref], 30))
                for store in (backend, other, backend)
            ]
            await asyncio.sleep(0.1)
            begun = time.monotonic()
            await ack(backend, succeeded(one))
            await asyncio.wait(waiting)
            return time.monotonic() - begun

        await punctual(lateness)

    async def test_a_cancel_ends_the_wait(self, backend: Backend, other: Backend) -> None:
        one = job()
        await put(backend, one)
        waiting = asyncio.create_task(backend.results([one.ref], 30))
        await asyncio.sleep(0.03)
        await other.inspector.steer(Event.CANCEL, [one.ref])
        assert (await asyncio.wait_for(waiting, 5))[one.ref].state is State.CANCELLED

    async def test_a_crash_ends_the_wait(self, backend: Backend, other: Backend) -> None:
        await put(backend, job(max_lapses=1))
        one = await claim_one(backend, lease=BRIEF)
        waiting = asyncio.create_task(backend.results([one.token.ref], 30))
        await lapse(other, one)
        assert (await asyncio.wait_for(waiting, 5))[one.token.ref].state is State.FAILED

    async def test_an_expiry_ends_the_wait(self, backend: Backend, other: Backend) -> None:
        one = job(expires=1)
        await put(backend, one)
        waiting = asyncio.create_task(backend.results([one.ref], 30))
        await asyncio.sleep(0.03)
        await other.maintain(["default"])
        assert (await asyncio.wait_for(waiting, 5))[one.ref].state is State.FAILED

    async def test_a_cancelled_wait_leaves_the_object_usable_for_results(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        waiting = asyncio.create_task(backend.results([one.token.ref], 30))
        await asyncio.sleep(0.03)
        waiting.cancel()
        await asyncio.wait([waiting])
        await ack(backend, succeeded(one))
        assert one.token.ref in await backend.results([one.token.ref], 5)

    async def test_a_thousand_jobs_can_be_asked_for(self, backend: Backend) -> None:
        await put(backend, *numbered(1000, delay=LONG), *numbered(1000))
        claims = await claim(backend, 1000)
        await ack(backend, *(succeeded(one) for one in claims))
        found = await backend.results([one.token.ref for one in claims], 0)
        assert len(found) == 1000
