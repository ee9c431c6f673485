"""Acts of people: promote, retry, delete, drain, clean, pause."""

import asyncio

import pytest

from queuekit.backend import STEERING, Backend, Change, Refusal
from queuekit.job import SUSPECT_AFTER, JobRef, KeyPolicy, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    Settling,
    ack,
    answer_of,
    cancelled,
    claim,
    claim_one,
    claims_nothing,
    events,
    failed,
    give_back,
    job,
    lapse,
    lapse_times,
    numbered,
    put,
    record,
    retried,
    running,
    state_of,
    succeeded,
)


class PromoteCases:
    """Steering with `Event.PROMOTE`."""

    async def test_a_scheduled_job_is_made_ready(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        (change,) = await backend.inspector.steer(Event.PROMOTE, [one.ref])
        assert change == Change(one.ref, State.SCHEDULED, State.READY)
        assert (await claim_one(backend)).token.id == one.id

    async def test_a_promoted_retry_keeps_its_attempts(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one, LONG))
        await backend.inspector.steer(Event.PROMOTE, [one.token.ref])
        assert (await claim_one(backend)).attempt == 2

    async def test_promoted_jobs_stand_at_the_end_of_the_line(self, backend: Backend) -> None:
        later = job("later", delay=LONG)
        await put(backend, later, job("first"))
        await backend.inspector.steer(Event.PROMOTE, [later.ref])
        assert [one.payload for one in await claim(backend, 2)] == ["first", "later"]

    async def test_only_scheduled_jobs_are_promoted(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend)
        (change,) = await backend.inspector.steer(Event.PROMOTE, [one.token.ref])
        assert (change.found, change.done) == (State.RUNNING, False)
        (change,) = await backend.inspector.steer(Event.PROMOTE, [JobRef("default", new_id())])
        assert (change.found, change.done) == (None, False)
        await claims_nothing(backend)
        await ack(backend, succeeded(one))
        await backend.inspector.steer(Event.PROMOTE, [one.token.ref])
        await claims_nothing(backend)

    async def test_a_ready_job_that_is_promoted_keeps_its_place(self, backend: Backend) -> None:
        first = job("first")
        await put(backend, first, job("second"))
        await backend.inspector.steer(Event.PROMOTE, [first.ref])
        assert [one.payload for one in await claim(backend, 2)] == ["first", "second"]


class RerunCases:
    """Steering with `Event.RERUN`."""

    @pytest.mark.parametrize("end", [failed, cancelled])
    async def test_a_finished_job_is_run_again_from_the_start(
        self, backend: Backend, end: Settling
    ) -> None:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend)))
        one = await claim_one(backend)
        settled = end(one)
        await ack(backend, settled)
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert change == Change(one.token.ref, settled.state, State.READY, 1)
        found = await record(backend, one.token.id)
        assert (found.state, found.life.generation) == (State.READY, 1)
        assert (found.life.attempt, found.life.lapses, found.life.crashes) == (0, 0, 0)

    async def test_a_rerun_keeps_its_errors(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one, message="first life"))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert "first life" in (await record(backend, one.token.id)).notes.errors[0]
        again = await claim_one(backend)
        await ack(backend, failed(again, message="second life"))
        first, second = (await record(backend, one.token.id)).notes.errors
        assert "first life" in first
        assert "second life" in second

    async def test_a_rerun_has_no_reason_and_no_end(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        found = await record(backend, one.token.id)
        assert (found.life.reason, found.notes.result, found.times.finished_at) == (
            None,
            None,
            None,
        )
        assert not found.life.cancel_requested

    async def test_a_rerun_is_noted(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert events(await record(backend, one.token.id)) == ["rerun"]

    async def test_a_rerun_is_claimed_with_a_greater_delivery(self, backend: Backend) -> None:
        one = await running(backend, "1", priority=3, tags=("a",), extra='{"m":1}')
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        again = await claim_one(backend)
        assert (again.payload, again.extra, again.attempt) == ("1", '{"m":1}', 1)
        assert again.token.delivery > one.token.delivery

    async def test_an_ack_of_an_earlier_life_is_lost(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        await backend.ack([succeeded(one)])
        assert await state_of(backend, one.token.id) is State.READY

    async def test_a_crashed_job_starts_without_lapses(self, backend: Backend) -> None:
        one = job(max_lapses=3)
        await put(backend, one)
        await lapse_times(backend, 3, one)
        await backend.inspector.steer(Event.RERUN, [one.ref])
        assert (await claim_one(backend, suspects=0)).lapses == 0

    async def test_a_job_cancelled_before_it_ran_can_be_run(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        await backend.inspector.steer(Event.CANCEL, [one.ref])
        await backend.inspector.steer(Event.RERUN, [one.ref])
        assert (await claim_one(backend)).token.id == one.id

    async def test_a_rerun_of_a_cancelled_job_is_not_cancelled_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await ack(backend, cancelled(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        again = await claim_one(backend)
        assert not (await backend.heartbeat([again.token])).cancels
        await give_back(backend, retried(again, LONG))
        assert await state_of(backend, one.token.id) is State.SCHEDULED

    async def test_a_success_is_not_run_again(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert (change.found, change.done) == (State.SUCCEEDED, False)
        await claims_nothing(backend)

    async def test_two_people_run_a_job_again_once(self, backend: Backend, other: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        stores = (backend, other) * 3
        changes = await asyncio.gather(
            *(b.inspector.steer(Event.RERUN, [one.token.ref]) for b in stores)
        )
        assert [change.done for (change,) in changes].count(True) == 1
        assert (await record(backend, one.token.id)).life.generation == 1

    async def test_many_jobs_are_run_again_at_once(self, backend: Backend) -> None:
        await put(backend, *numbered(200))
        claims = await claim(backend, 200)
        await ack(backend, *(failed(one) for one in claims))
        changes = await backend.inspector.steer(Event.RERUN, [one.token.ref for one in claims])
        refs = [one.token.ref for one in claims]
        assert changes == [Change(ref, State.FAILED, State.READY, 1) for ref in refs]
        assert len(await claim(backend, 200)) == 200


class DeleteCases:
    """Steering with `Event.DELETE`."""

    async def test_an_unstarted_job_is_deleted(self, backend: Backend) -> None:
        ready, later = job(), job(delay=LONG)
        await put(backend, ready, later)
        changes = await backend.inspector.steer(Event.DELETE, [ready.ref, later.ref])
        assert changes == [
            Change(ready.ref, State.READY, None),
            Change(later.ref, State.SCHEDULED, None),
        ]
        assert await backend.inspector.get([ready.ref, later.ref]) == [None, None]
        await claims_nothing(backend)

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_a_finished_job_is_deleted(self, backend: Backend, end: Settling) -> None:
        one = await running(backend)
        await ack(backend, end(one))
        (change,) = await backend.inspector.steer(Event.DELETE, [one.token.ref])
        assert change.done
        assert await state_of(backend, one.token.id) is None

    async def test_a_running_job_is_not_deleted(self, backend: Backend) -> None:
        one = await running(backend)
        (change,) = await backend.inspector.steer(Event.DELETE, [one.token.ref])
        assert (change.found, change.done) == (State.RUNNING, False)
        await ack(backend, succeeded(one))

    async def test_a_deleted_job_is_gone_for_the_second_one_to_ask(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await backend.inspector.steer(Event.DELETE, [one.ref])
        (change,) = await backend.inspector.steer(Event.DELETE, [one.ref])
        assert (change.found, change.done) == (None, False)

    @pytest.mark.parametrize("event", STEERING)
    async def test_no_act_finds_a_deleted_job(self, backend: Backend, event: Event) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        ref = one.token.ref
        await backend.inspector.steer(Event.DELETE, [ref])
        changes = await backend.inspector.steer(event, [ref])
        assert changes == [Change(ref, None, None, 0, Refusal.GONE)]

    async def test_the_id_of_a_deleted_finished_job_stays_remembered(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.DELETE, [one.token.ref])
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert answer_of(answer) is Refusal.KNOWN


class DrainCases:
    """Steering with `Event.DRAIN`."""

    async def test_unstarted_jobs_are_cancelled(self, backend: Backend) -> None:
        held = await running(backend)
        ready, later = job(), job(delay=LONG)
        await put(backend, ready, later)
        changes = await backend.inspector.steer(Event.DRAIN, [ready.ref, held.token.ref, later.ref])
        assert changes == [
            Change(ready.ref, State.READY, State.CANCELLED),
            Change(held.token.ref, State.RUNNING, State.RUNNING, 0, Refusal.STATE),
            Change(later.ref, State.SCHEDULED, State.CANCELLED),
        ]
        assert not (await record(backend, held.token.ref)).life.cancel_requested
        await claims_nothing(backend)

    async def test_a_waiting_job_is_left_alone(self, backend: Backend) -> None:
        await running(backend, key="k")
        one = job(key="k", key_policy=KeyPolicy.REPLACE)
        await put(backend, one)
        (change,) = await backend.inspector.steer(Event.DRAIN, [one.ref])
        assert change == Change(one.ref, State.WAITING, State.WAITING, 0, Refusal.STATE)
        assert await state_of(backend, one.ref) is State.WAITING


class CleanCases:
    """Steering with `Event.CLEAN`."""

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_finished_records_are_removed(self, backend: Backend, end: Settling) -> None:
        one = await running(backend)
        settled = end(one)
        await ack(backend, settled)
        (change,) = await backend.inspector.steer(Event.CLEAN, [one.token.ref])
        assert change == Change(one.token.ref, settled.state, None)
        assert await state_of(backend, one.token.ref) is None

    async def test_live_jobs_are_never_removed(self, backend: Backend) -> None:
        one, other = job(), job(delay=LONG)
        await put(backend, one, other)
        held = await claim_one(backend)
        refs = [held.token.ref, other.ref]
        changes = await backend.inspector.steer(Event.CLEAN, refs)
        assert [change.refused for change in changes] == [Refusal.STATE] * 2
        assert await state_of(backend, other.ref) is State.SCHEDULED

    async def test_the_id_of_a_cleaned_job_stays_remembered(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        await backend.inspector.steer(Event.CLEAN, [one.token.ref])
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert answer_of(answer) is Refusal.KNOWN


class PauseCases:
    """`Inspector.pause`."""

    async def test_a_paused_queue_gives_nothing(self, backend: Backend, other: Backend) -> None:
        await put(backend, job())
        await backend.inspector.pause(["default"], paused=True)
        await claims_nothing(backend)
        await claims_nothing(other)

    async def test_a_resumed_queue_gives_jobs_again(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        await backend.inspector.pause(["default"], paused=True)
        await backend.inspector.pause(["default"], paused=False)
        assert [one.payload for one in await claim(backend, 3)] == ["0", "1", "2"]

    async def test_other_queues_go_on(self, backend: Backend) -> None:
        await put(backend, job(queue="left"), job(queue="right"))
        await backend.inspector.pause(["left"], paused=True)
        (one,) = await claim(backend, 1, queues=["left", "right"])
        assert one.token.queue == "right"
        await claims_nothing(backend, "left")

    async def test_a_paused_queue_takes_jobs(self, backend: Backend) -> None:
        await backend.inspector.pause(["default"], paused=True)
        await put(backend, job())
        await claims_nothing(backend)
        await backend.inspector.pause(["default"], paused=False)
        await claim_one(backend)

    async def test_running_jobs_of_a_paused_queue_end(self, backend: Backend) -> None:
        await put(backend, *numbered(2))
        first, second = await claim(backend, 2)
        await backend.inspector.pause(["default"], paused=True)
        assert not (await backend.heartbeat([first.token])).lost
        await ack(backend, succeeded(first))
        await give_back(backend, retried(second))

    async def test_a_lapsed_job_of_a_paused_queue_stays_in_it(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await backend.inspector.pause(["default"], paused=True)
        await lapse(backend, one)
        await claims_nothing(backend)

    async def test_a_pause_is_seen(self, backend: Backend, other: Backend) -> None:
        await backend.inspector.pause(["empty"], paused=True)
        (queue,) = await other.inspector.queues()
        assert (queue.name, queue.paused) == ("empty", True)
        await other.inspector.pause(["empty"], paused=False)
        assert not [queue for queue in await backend.inspector.queues() if queue.paused]

    async def test_a_paused_queue_gives_no_suspects(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await backend.inspector.pause(["default"], paused=True)
        await claims_nothing(backend, suspects=1)
        await backend.inspector.pause(["default"], paused=False)
        await backend.inspector.pause(["other"], paused=True)
        assert (await claim_one(backend, suspects=1)).token.id == one.id

    async def test_pausing_and_resuming_twice_is_the_same_as_once(self, backend: Backend) -> None:
        await put(backend, job())
        for _ in range(2):
            await backend.inspector.pause(["default"], paused=True)
        await backend.inspector.pause(["default"], paused=False)
        await claim_one(backend)
        await backend.inspector.pause(["default"], paused=False)

    async def test_several_queues_are_paused_at_once(self, backend: Backend) -> None:
        await put(backend, job(queue="left"), job(queue="right"))
        await backend.inspector.pause(["left", "right"], paused=True)
        await claims_nothing(backend, "left")
        await claims_nothing(backend, "right")
        await backend.inspector.pause(["left"], paused=False)
        await claims_nothing(backend, "right")
        await backend.inspector.pause(["left"], paused=True)
        await backend.inspector.pause(["left", "right"], paused=False)
        assert len(await claim(backend, 2, queues=["left", "right"])) == 2
