"""Cancelling jobs."""

import asyncio

import pytest

from queuekit.backend import Ask, Backend, Change, Refusal
from queuekit.job import JobRef, KeyPolicy, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    ALICE,
    BOB,
    BRIEF,
    LONG,
    PATIENCE,
    Settling,
    ack,
    cancelled,
    claim_one,
    claimant,
    claims_nothing,
    events,
    eventually,
    failed,
    job,
    lapse,
    numbered,
    put,
    record,
    running,
    state_of,
    succeeded,
)


class CancelCases:
    """Steering with `Event.CANCEL`."""

    async def test_a_ready_job_ends_as_cancelled(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        (change,) = await backend.inspector.steer(Event.CANCEL, [one.ref])
        assert change == Change(one.ref, State.READY, State.CANCELLED)
        found = await record(backend, one.id)
        assert found.state is State.CANCELLED
        assert found.times.finished_at is not None
        await claims_nothing(backend)

    async def test_a_scheduled_job_ends_as_cancelled(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        (change,) = await backend.inspector.steer(Event.CANCEL, [one.ref])
        assert change == Change(one.ref, State.SCHEDULED, State.CANCELLED)
        assert await state_of(backend, one.id) is State.CANCELLED

    async def test_a_waiting_job_ends_as_cancelled(self, backend: Backend) -> None:
        await running(backend, key="k")
        one = job(key="k", key_policy=KeyPolicy.REPLACE)
        await put(backend, one)
        (change,) = await backend.inspector.steer(Event.CANCEL, [one.ref])
        assert change == Change(one.ref, State.WAITING, State.CANCELLED)
        assert await state_of(backend, one.id) is State.CANCELLED

    async def test_a_running_job_is_asked(self, backend: Backend) -> None:
        one = await running(backend)
        (change,) = await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        assert change == Change(one.token.ref, State.RUNNING, State.RUNNING)
        found = await record(backend, one.token.id)
        assert (found.state, found.life.cancel_requested) == (State.RUNNING, True)

    async def test_a_request_is_noted(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        assert events(await record(backend, one.token.id)) == ["cancel"]

    async def test_a_running_job_may_be_asked_twice(self, backend: Backend) -> None:
        one = await running(backend)
        for _ in range(2):
            (change,) = await backend.inspector.steer(Event.CANCEL, [one.token.ref])
            assert change.found is State.RUNNING
        assert list((await backend.heartbeat([one.token])).cancels) == [one.token]

    async def test_a_worker_that_was_asked_acks_cancelled(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await ack(backend, cancelled(one, "asked to"))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.reason) == (State.CANCELLED, "asked to")

    async def test_a_job_that_succeeds_all_the_same_has_succeeded(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await ack(backend, succeeded(one))
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_a_finished_job_stays_what_it_is(self, backend: Backend, end: Settling) -> None:
        one = await running(backend)
        settled = end(one)
        await ack(backend, settled)
        (change,) = await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        assert change == Change(one.token.ref, settled.state, settled.state, 0, Refusal.STATE)
        assert await state_of(backend, one.token.id) is settled.state

    async def test_an_unknown_job_is_answered(self, backend: Backend) -> None:
        nowhere = JobRef("default", new_id())
        (change,) = await backend.inspector.steer(Event.CANCEL, [nowhere])
        assert change == Change(nowhere, None, None, 0, Refusal.GONE)

    async def test_answers_to_cancels_come_in_order(self, backend: Backend) -> None:
        one = await running(backend)
        ready, later = job(), job(delay=LONG)
        await put(backend, ready, later)
        changes = await backend.inspector.steer(
            Event.CANCEL, [later.ref, JobRef("default", new_id()), one.token.ref, ready.ref]
        )
        assert [change.found for change in changes] == [
            State.SCHEDULED,
            None,
            State.RUNNING,
            State.READY,
        ]

    async def test_a_cancel_is_of_the_job_of_its_queue(self, backend: Backend) -> None:
        left = job(queue="left")
        await put(backend, left, job(queue="right", id=left.id))
        await backend.inspector.steer(Event.CANCEL, [JobRef("right", left.id)])
        assert await state_of(backend, JobRef("left", left.id)) is State.READY
        assert await state_of(backend, JobRef("right", left.id)) is State.CANCELLED

    async def test_a_cancel_in_another_queue_finds_nothing(self, backend: Backend) -> None:
        one = job(queue="left")
        await put(backend, one)
        (change,) = await backend.inspector.steer(Event.CANCEL, [JobRef("right", one.id)])
        assert change.refused is Refusal.GONE
        assert await state_of(backend, one.ref) is State.READY

    async def test_five_hundred_jobs_are_cancelled_at_once(self, backend: Backend) -> None:
        jobs = numbered(500)
        await put(backend, *jobs)
        changes = await backend.inspector.steer(Event.CANCEL, [one.ref for one in jobs])
        assert changes == [Change(one.ref, State.READY, State.CANCELLED) for one in jobs]
        await claims_nothing(backend)

    async def test_a_run_that_has_ended_on_request_is_lost_and_not_asked_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await ack(backend, cancelled(one))
        pulse = await backend.heartbeat([one.token])
        assert (list(pulse.lost), list(pulse.cancels)) == ([one.token], [])

    async def test_of_two_that_were_asked_only_the_lapsed_one_ends(self, backend: Backend) -> None:
        await put(backend, *numbered(2))
        lapsing = await claim_one(backend, lease=BRIEF)
        held = await claim_one(backend)
        await backend.inspector.steer(Event.CANCEL, [lapsing.token.ref, held.token.ref])
        await lapse(backend, lapsing)
        assert await state_of(backend, lapsing.token.id) is State.CANCELLED
        assert list((await backend.heartbeat([held.token])).cancels) == [held.token]

    async def test_a_second_request_is_no_second_event(self, backend: Backend) -> None:
        one = await running(backend)
        for _ in range(2):
            (change,) = await backend.inspector.steer(Event.CANCEL, [one.token.ref])
            assert change == Change(one.token.ref, State.RUNNING, State.RUNNING)
        assert events(await record(backend, one.token.id)) == ["cancel"]

    async def test_a_request_between_two_waits_wakes(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, job())
        one = await claim_one(backend, process=BOB)
        await backend.wait(["default"], 0.02, BOB)
        await other.inspector.steer(Event.CANCEL, [one.token.ref])
        await asyncio.wait_for(backend.wait(["default"], 30, BOB), 5)

    async def test_a_request_wakes_the_process_that_runs_the_job(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, job())
        one = await claim_one(backend, process=BOB)
        waiting = asyncio.create_task(backend.wait(["default"], 10 * PATIENCE, BOB))

        async def woken() -> bool:
            await other.inspector.steer(Event.CANCEL, [one.token.ref])
            await asyncio.wait([waiting], timeout=0.05)
            return waiting.done()

        await eventually(woken)

    async def test_cancelling_and_claiming_at_once_never_loses_the_cancel(
        self, backend: Backend, other: Backend
    ) -> None:
        jobs = numbered(40)
        await put(backend, *jobs)
        fetched, changes = await asyncio.gather(
            backend.fetch(Ask(["default"], 40, claimant(ALICE), LONG)),
            other.inspector.steer(Event.CANCEL, [one.ref for one in jobs]),
        )
        assert all(change.done for change in changes)
        pulse = await backend.heartbeat([one.token for one in fetched.claims])
        asked = {token.id for token in pulse.cancels}
        for one in jobs:
            assert one.id in asked or await state_of(backend, one.id) is State.CANCELLED

    async def test_every_cancel_is_noted_once(self, backend: Backend) -> None:
        ready, later = job(), job(delay=LONG)
        await put(backend, ready, later)
        await backend.inspector.steer(Event.CANCEL, [ready.ref])
        await backend.inspector.steer(Event.DRAIN, [later.ref])
        for one in (ready, later):
            assert events(await record(backend, one.ref)) == ["cancel"]
