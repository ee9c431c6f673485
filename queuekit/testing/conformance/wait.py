"""Sleeping until there is work, and being woken."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from queuekit.backend import Backend
from queuekit.job import SUSPECT_AFTER, KeyPolicy
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    ALICE,
    BOB,
    BRIEF,
    LONG,
    MILLISECOND,
    ack,
    claim_one,
    drop_all,
    failed,
    give_back,
    job,
    lapse,
    lapse_times,
    numbered,
    one_of_each,
    punctual,
    put,
    released,
    retried,
    running,
    succeeded,
    wakes,
)


class WaitCases:
    """`Backend.wait` and `Backend.wake`. The ringing is done by another object: another process might be it."""

    async def test_a_ready_job_ends_the_wait_at_once(self, backend: Backend) -> None:
        await put(backend, job())
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 5)

    async def test_a_wait_ends_after_its_time(self, backend: Backend) -> None:
        async def lateness() -> float:
            begun = time.monotonic()
            await backend.wait(["default"], 0.05, ALICE)
            return time.monotonic() - begun - 0.05

        await punctual(lateness)

    async def test_a_wait_on_an_empty_queue_lasts(self, backend: Backend) -> None:
        await self._lasts(backend)

    async def test_a_wait_beside_jobs_that_nobody_can_claim_lasts(self, backend: Backend) -> None:
        await one_of_each(backend)
        await claim_one(backend)

        await self._lasts(backend)

    async def test_a_wait_beside_jobs_of_another_queue_lasts(self, backend: Backend) -> None:
        suspect = job(queue="other")
        await put(backend, suspect)
        await lapse_times(backend, SUSPECT_AFTER, suspect)
        await put(backend, *numbered(3, queue="other"))
        await self._lasts(backend)

    async def test_a_wait_beside_a_job_that_was_due_once_lasts(self, backend: Backend) -> None:
        await put(backend, job(delay=MILLISECOND))
        await claim_one(backend)
        await self._lasts(backend)

    async def test_a_suspect_ends_the_wait(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 5)

    async def test_a_pause_of_another_queue_holds_nobody_up(self, backend: Backend) -> None:
        await backend.inspector.pause(["other"], paused=True)
        await put(backend, job())
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 5)

    async def test_a_job_of_a_queue_that_was_resumed_ends_the_wait(self, backend: Backend) -> None:
        await put(backend, job())
        await backend.inspector.pause(["default"], paused=True)
        await backend.inspector.pause(["default"], paused=False)
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 5)

    async def test_a_job_that_comes_due_ends_the_wait(self, backend: Backend) -> None:
        await put(backend, job(delay=100 * MILLISECOND))
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 5)

    async def test_an_enqueue_to_another_queue_lets_sleep(
        self, backend: Backend, other: Backend
    ) -> None:
        async def elsewhere() -> None:
            bob = asyncio.create_task(other.wait(["other"], 30, BOB))
            await asyncio.sleep(0.03)
            await put(other, job(queue="other"))
            await asyncio.wait_for(bob, 5)
            await drop_all(other, "other")

        await self._lasts(backend, elsewhere)

    async def test_a_tick_lets_sleep(self, backend: Backend, other: Backend) -> None:
        async def tick() -> None:
            await other.maintain(["default"])

        await self._lasts(backend, tick)

    async def test_an_enqueue_wakes(self, backend: Backend, other: Backend) -> None:
        await self._in_time(backend, other, lambda: put(other, job()))

    async def test_an_enqueue_to_one_of_several_queues_wakes(
        self, backend: Backend, other: Backend
    ) -> None:
        async def lateness() -> float:
            late = await wakes(backend, lambda: put(other, job(queue="b")), queues=("a", "b", "c"))
            await drop_all(other, "b")
            return late

        await punctual(lateness)

    async def test_a_promotion_wakes(self, backend: Backend, other: Backend) -> None:
        async def promote() -> None:
            later = job(delay=LONG)
            await put(other, later)
            await other.inspector.steer(Event.PROMOTE, [later.ref])

        await self._in_time(backend, other, promote)

    async def test_a_persons_retry_wakes(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            one = await running(other)
            await ack(other, failed(one))

            async def rerun() -> None:
                await other.inspector.steer(Event.RERUN, [one.token.ref])

            late = await wakes(backend, rerun)
            await drop_all(other)
            return late

        await punctual(lateness)

    async def test_a_resume_wakes(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            await other.inspector.pause(["default"], paused=True)
            await put(other, job())
            late = await wakes(backend, lambda: other.inspector.pause(["default"], paused=False))
            await drop_all(other)
            return late

        await punctual(lateness)

    async def test_a_release_wakes(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            one = await running(other)
            late = await wakes(backend, lambda: give_back(other, released(one)))
            await drop_all(other)
            return late

        await punctual(lateness)

    async def test_a_retry_at_once_wakes(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            one = await running(other)
            late = await wakes(backend, lambda: give_back(other, retried(one)))
            await drop_all(other)
            return late

        await punctual(lateness)

    async def test_a_retry_soon_wakes_in_time(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            one = await running(other)
            soon = retried(one, 50 * MILLISECOND)
            late = await wakes(backend, lambda: give_back(other, soon), after=0.05)
            await drop_all(other)
            return late

        await punctual(lateness)

    async def test_a_rescue_wakes(self, backend: Backend, other: Backend) -> None:
        async def lateness() -> float:
            await put(other, job())
            one = await claim_one(other, lease=BRIEF)
            rescued = 0.0

            async def rescue() -> None:
                nonlocal rescued
                begun = time.monotonic()
                await lapse(other, one)
                rescued = time.monotonic() - begun

            late = await wakes(backend, rescue)
            await drop_all(other)
            return late - rescued

        await punctual(lateness)

    async def test_a_successor_that_becomes_ready_wakes(
        self, backend: Backend, other: Backend
    ) -> None:
        async def lateness() -> float:
            holder = await running(other, key="k")
            await put(other, job(key="k", key_policy=KeyPolicy.REPLACE))
            late = await wakes(backend, lambda: ack(other, succeeded(holder)))
            await drop_all(other)
            return late

        await punctual(lateness)

    async def test_wake_ends_the_wait_of_that_process(
        self, backend: Backend, other: Backend
    ) -> None:
        async def lateness() -> float:
            return await wakes(backend, lambda: other.wake(ALICE))

        await punctual(lateness)

    async def test_wake_leaves_other_processes_asleep(
        self, backend: Backend, other: Backend
    ) -> None:
        async def wake_bob() -> None:
            bob = asyncio.create_task(other.wait(["default"], 30, BOB))
            async with asyncio.timeout(5):
                while not bob.done():
                    await backend.wake(BOB)
                    await asyncio.wait([bob], timeout=0.02)

        await self._lasts(backend, wake_bob)

    async def test_a_job_that_was_due_before_ends_the_wait(self, backend: Backend) -> None:
        await put(backend, job(delay=MILLISECOND))
        await asyncio.sleep(0.02)
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 0.5)

    async def test_a_paused_queue_lets_sleep(self, backend: Backend) -> None:
        suspect = job()
        await put(backend, suspect)
        await lapse_times(backend, SUSPECT_AFTER, suspect)
        await put(backend, job(), job(delay=MILLISECOND), job(delay=100 * MILLISECOND))
        await backend.inspector.pause(["default"], paused=True)

        await self._lasts(backend)

    async def test_many_sleepers_and_one_object(self, backend: Backend, other: Backend) -> None:
        sleepers = [
            asyncio.create_task(backend.wait([f"q{n}"], 30, f"sleeper-{n}")) for n in range(10)
        ]
        await put(other, *(job(queue=f"q{n}") for n in range(10)))
        await asyncio.wait_for(asyncio.gather(*sleepers), 10)

    async def test_a_cancelled_wait_leaves_the_object_usable(self, backend: Backend) -> None:
        waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
        await asyncio.sleep(0.03)
        waiting.cancel()
        await asyncio.wait([waiting])
        await put(backend, job())
        await asyncio.wait_for(backend.wait(["default"], 30, ALICE), 5)
        await claim_one(backend)

    async def test_no_enqueue_slips_through(self, backend: Backend, other: Backend) -> None:
        for _ in range(50):
            waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
            await asyncio.sleep(0)
            await put(other, job())
            await asyncio.wait_for(waiting, 5)
            await drop_all(backend)

    async def _lasts(
        self, backend: Backend, meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Alice sleeps on, whatever else happens; a wait may end too early, but not as a rule."""

        async def lasts() -> bool:
            begun = time.monotonic()
            waiting = asyncio.create_task(backend.wait(["default"], 0.3, ALICE))
            await asyncio.sleep(0.03)
            if meanwhile is not None:
                await meanwhile()
            await waiting
            return time.monotonic() - begun > 0.25

        lasted = tries = 0
        while lasted < 3 or lasted < 0.75 * tries:
            lasted, tries = lasted + await lasts(), tries + 1
            assert tries < 20, f"{lasted} of {tries} lasted"

    async def _in_time(
        self, backend: Backend, other: Backend, ring: Callable[[], Awaitable[None]]
    ) -> None:
        async def lateness() -> float:
            late = await wakes(backend, ring)
            await drop_all(other)
            return late

        await punctual(lateness)
