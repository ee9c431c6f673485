"""Acts of people: promote, retry, delete, drain, clean, pause."""

import asyncio

import pytest

from queuekit.backend import Backend, Change, JobFilter, Stored
from queuekit.job import SUSPECT_AFTER, KeyPolicy, State, new_id
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    Settling,
    ack,
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
    """`Inspector.promote`."""

    async def test_a_scheduled_job_is_made_ready(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        assert await backend.inspector.promote([one.id]) == [Change(State.SCHEDULED, done=True)]
        assert (await claim_one(backend)).token.id == one.id

    async def test_a_promoted_retry_keeps_its_attempts(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one, LONG))
        await backend.inspector.promote([one.token.id])
        assert (await claim_one(backend)).attempt == 2

    async def test_promoted_jobs_stand_at_the_end_of_the_line(self, backend: Backend) -> None:
        later = job("later", delay=LONG)
        await put(backend, later, job("first"))
        await backend.inspector.promote([later.id])
        assert [one.payload for one in await claim(backend, 2)] == ["first", "later"]

    async def test_only_scheduled_jobs_are_promoted(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend)
        (change,) = await backend.inspector.promote([one.token.id])
        assert (change.state, change.done) == (State.RUNNING, False)
        (change,) = await backend.inspector.promote([new_id()])
        assert (change.state, change.done) == (None, False)
        await claims_nothing(backend)
        await ack(backend, succeeded(one))
        await backend.inspector.promote([one.token.id])
        await claims_nothing(backend)

    async def test_a_ready_job_that_is_promoted_keeps_its_place(self, backend: Backend) -> None:
        first = job("first")
        await put(backend, first, job("second"))
        await backend.inspector.promote([first.id])
        assert [one.payload for one in await claim(backend, 2)] == ["first", "second"]


class RerunCases:
    """`Inspector.retry`."""

    @pytest.mark.parametrize("end", [failed, cancelled])
    async def test_a_finished_job_is_run_again_from_the_start(
        self, backend: Backend, end: Settling
    ) -> None:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend)))
        one = await claim_one(backend)
        settled = end(one)
        await ack(backend, settled)
        (change,) = await backend.inspector.retry([one.token.id])
        assert change == Change(settled.state, done=True)
        found = await record(backend, one.token.id)
        assert (found.state, found.generation) == (State.READY, 1)
        assert (found.attempt, found.lapses, found.crashes) == (0, 0, 0)

    async def test_a_rerun_keeps_its_errors(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one, message="first life"))
        await backend.inspector.retry([one.token.id])
        assert "first life" in (await record(backend, one.token.id)).errors[0]
        again = await claim_one(backend)
        await ack(backend, failed(again, message="second life"))
        first, second = (await record(backend, one.token.id)).errors
        assert "first life" in first
        assert "second life" in second

    async def test_a_rerun_has_no_reason_and_no_end(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.retry([one.token.id])
        found = await record(backend, one.token.id)
        assert (found.reason, found.result, found.finished_at) == (None, None, None)
        assert not found.cancel_requested

    async def test_a_rerun_is_noted(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.retry([one.token.id])
        assert events(await record(backend, one.token.id)) == ["rerun"]

    async def test_a_rerun_is_claimed_with_a_greater_delivery(self, backend: Backend) -> None:
        one = await running(backend, "1", priority=3, tags=("a",), extra='{"m":1}')
        await ack(backend, failed(one))
        await backend.inspector.retry([one.token.id])
        again = await claim_one(backend)
        assert (again.payload, again.extra, again.attempt) == ("1", '{"m":1}', 1)
        assert again.token.delivery > one.token.delivery

    async def test_an_ack_of_an_earlier_life_is_lost(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.retry([one.token.id])
        await backend.ack([succeeded(one)])
        assert await state_of(backend, one.token.id) is State.READY

    async def test_a_crashed_job_starts_without_lapses(self, backend: Backend) -> None:
        one = job(max_lapses=3)
        await put(backend, one)
        await lapse_times(backend, 3, one)
        await backend.inspector.retry([one.id])
        assert (await claim_one(backend, suspects=0)).lapses == 0

    async def test_a_job_cancelled_before_it_ran_can_be_run(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        await backend.inspector.cancel([one.id])
        await backend.inspector.retry([one.id])
        assert (await claim_one(backend)).token.id == one.id

    async def test_a_rerun_of_a_cancelled_job_is_not_cancelled_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await backend.inspector.cancel([one.token.id])
        await ack(backend, cancelled(one))
        await backend.inspector.retry([one.token.id])
        again = await claim_one(backend)
        assert not (await backend.heartbeat([again.token])).cancels
        await give_back(backend, retried(again, LONG))
        assert await state_of(backend, one.token.id) is State.SCHEDULED

    async def test_a_success_is_not_run_again(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        (change,) = await backend.inspector.retry([one.token.id])
        assert (change.state, change.done) == (State.SUCCEEDED, False)
        await claims_nothing(backend)

    async def test_two_people_run_a_job_again_once(self, backend: Backend, other: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        stores = (backend, other) * 3
        changes = await asyncio.gather(*(b.inspector.retry([one.token.id]) for b in stores))
        assert [change.done for (change,) in changes].count(True) == 1
        assert (await record(backend, one.token.id)).generation == 1

    async def test_many_jobs_are_run_again_at_once(self, backend: Backend) -> None:
        await put(backend, *numbered(200))
        claims = await claim(backend, 200)
        await ack(backend, *(failed(one) for one in claims))
        changes = await backend.inspector.retry([one.token.id for one in claims])
        assert set(changes) == {Change(State.FAILED, done=True)}
        assert len(await claim(backend, 200)) == 200


class DeleteCases:
    """`Inspector.delete`."""

    async def test_an_unstarted_job_is_deleted(self, backend: Backend) -> None:
        ready, later = job(), job(delay=LONG)
        await put(backend, ready, later)
        changes = await backend.inspector.delete([ready.id, later.id])
        assert changes == [Change(State.READY, done=True), Change(State.SCHEDULED, done=True)]
        assert await backend.inspector.get([ready.id, later.id]) == [None, None]
        await claims_nothing(backend)

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_a_finished_job_is_deleted(self, backend: Backend, end: Settling) -> None:
        one = await running(backend)
        await ack(backend, end(one))
        (change,) = await backend.inspector.delete([one.token.id])
        assert change.done
        assert await state_of(backend, one.token.id) is None

    async def test_a_running_job_is_not_deleted(self, backend: Backend) -> None:
        one = await running(backend)
        (change,) = await backend.inspector.delete([one.token.id])
        assert (change.state, change.done) == (State.RUNNING, False)
        await ack(backend, succeeded(one))

    async def test_a_deleted_job_is_gone_for_the_second_one_to_ask(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await backend.inspector.delete([one.id])
        (change,) = await backend.inspector.delete([one.id])
        assert (change.state, change.done) == (None, False)

    @pytest.mark.parametrize("queue", [None, "default"])
    async def test_no_act_finds_a_deleted_job(self, backend: Backend, queue: str | None) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        inspector = backend.inspector
        await inspector.delete([one.token.id], queue)
        for act in (inspector.cancel, inspector.promote, inspector.retry, inspector.delete):
            assert await act([one.token.id], queue) == [Change(None, done=False)]

    async def test_the_id_of_a_deleted_finished_job_stays_remembered(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.delete([one.token.id])
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert answer.kind is Stored.KNOWN


class DrainCases:
    """`Inspector.drain`."""

    async def test_unstarted_jobs_are_cancelled(self, backend: Backend) -> None:
        held = await running(backend)
        ready, later = job(), job(delay=LONG)
        await put(backend, ready, later)
        assert await backend.inspector.drain("default") == 2
        assert await state_of(backend, ready.id) is State.CANCELLED
        assert await state_of(backend, later.id) is State.CANCELLED
        assert await state_of(backend, held.token.id) is State.RUNNING
        await claims_nothing(backend)

    async def test_other_queues_are_left_alone(self, backend: Backend) -> None:
        ready, later = job(queue="right"), job(queue="right", delay=LONG)
        await put(backend, job(queue="left"), ready, later)
        assert await backend.inspector.drain("left") == 1
        assert await state_of(backend, ready.id) is State.READY
        assert await state_of(backend, later.id) is State.SCHEDULED

    async def test_a_drain_keeps_to_its_limit(self, backend: Backend) -> None:
        await put(backend, *numbered(10))
        assert await backend.inspector.drain("default", limit=4) == 4
        assert len(await claim(backend, 6)) == 6

    async def test_an_empty_queue_has_nothing_to_drain(self, backend: Backend) -> None:
        assert await backend.inspector.drain("default") == 0

    async def test_a_waiting_job_is_left_alone(self, backend: Backend) -> None:
        await running(backend, key="k")
        one = job(key="k", key_policy=KeyPolicy.REPLACE)
        await put(backend, one)
        assert await backend.inspector.drain("default") == 0
        assert await state_of(backend, one.id) is State.WAITING


class CleanCases:
    """`Inspector.clean`."""

    async def test_finished_records_are_removed(self, backend: Backend) -> None:
        await put(backend, *numbered(5))
        first, second, third, *_ = await claim(backend, 4)
        await ack(backend, succeeded(first), failed(second), cancelled(third))
        assert await backend.inspector.clean(JobFilter()) == 3
        (queue,) = await backend.inspector.queues()
        assert queue.counts == {State.READY: 1, State.RUNNING: 1}

    async def test_a_filter_narrows_what_is_removed(self, backend: Backend) -> None:
        left, right = await running(backend, queue="left"), await running(backend, queue="right")
        third = await running(backend, queue="left", task="other")
        await ack(backend, failed(left), failed(right), succeeded(third))
        where = JobFilter(queues=["left"], states=[State.FAILED])
        assert await backend.inspector.clean(where) == 1
        assert await state_of(backend, left.token.id) is None
        assert await state_of(backend, right.token.id) is State.FAILED
        assert await state_of(backend, third.token.id) is State.SUCCEEDED

    @pytest.mark.parametrize(
        "where",
        [
            JobFilter(queues=["left"]),
            JobFilter(tasks=["mails"]),
            JobFilter(states=[State.FAILED]),
            JobFilter(tags=["a"]),
            JobFilter(error="no such address"),
        ],
        ids=["queue", "task", "state", "tag", "error"],
    )
    async def test_each_condition_narrows_what_is_removed(
        self, backend: Backend, where: JobFilter
    ) -> None:
        one = await running(backend, queue="left", task="mails", tags=("a",))
        other = await running(backend)
        await ack(backend, failed(one, message="no such address"), succeeded(other))
        assert await backend.inspector.clean(where) == 1
        assert await state_of(backend, one.token.id) is None
        assert await state_of(backend, other.token.id) is State.SUCCEEDED

    async def test_what_is_older_is_not_removed(self, backend: Backend) -> None:
        old = await running(backend)
        await asyncio.sleep(0.01)
        young = await running(backend)
        await ack(backend, succeeded(old), succeeded(young))
        since = (await record(backend, young.token.id)).enqueued_at
        assert await backend.inspector.clean(JobFilter(since=since)) == 1
        assert await state_of(backend, old.token.id) is State.SUCCEEDED

    async def test_live_jobs_are_never_removed(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        assert await backend.inspector.clean(JobFilter(states=[State.READY])) == 0
        assert await state_of(backend, one.id) is State.READY

    async def test_a_clean_keeps_to_its_limit(self, backend: Backend) -> None:
        await put(backend, *numbered(10))
        await ack(backend, *(succeeded(one) for one in await claim(backend, 10)))
        assert await backend.inspector.clean(JobFilter(), limit=4) == 4
        assert await backend.inspector.clean(JobFilter(), limit=100) == 6

    async def test_the_id_of_a_cleaned_job_stays_remembered(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        await backend.inspector.clean(JobFilter())
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert answer.kind is Stored.KNOWN


class PauseCases:
    """`Inspector.pause` and `Inspector.resume`."""

    async def test_a_paused_queue_gives_nothing(self, backend: Backend, other: Backend) -> None:
        await put(backend, job())
        await backend.inspector.pause(["default"])
        await claims_nothing(backend)
        await claims_nothing(other)

    async def test_a_resumed_queue_gives_jobs_again(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        await backend.inspector.pause(["default"])
        await backend.inspector.resume(["default"])
        assert [one.payload for one in await claim(backend, 3)] == ["0", "1", "2"]

    async def test_other_queues_go_on(self, backend: Backend) -> None:
        await put(backend, job(queue="left"), job(queue="right"))
        await backend.inspector.pause(["left"])
        (one,) = await claim(backend, 1, queues=["left", "right"])
        assert one.token.queue == "right"
        await claims_nothing(backend, "left")

    async def test_a_paused_queue_takes_jobs(self, backend: Backend) -> None:
        await backend.inspector.pause(["default"])
        await put(backend, job())
        await claims_nothing(backend)
        await backend.inspector.resume(["default"])
        await claim_one(backend)

    async def test_running_jobs_of_a_paused_queue_end(self, backend: Backend) -> None:
        await put(backend, *numbered(2))
        first, second = await claim(backend, 2)
        await backend.inspector.pause(["default"])
        assert not (await backend.heartbeat([first.token])).lost
        await ack(backend, succeeded(first))
        await give_back(backend, retried(second))

    async def test_a_lapsed_job_of_a_paused_queue_stays_in_it(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await backend.inspector.pause(["default"])
        await lapse(backend, one)
        await claims_nothing(backend)

    async def test_a_pause_is_seen(self, backend: Backend, other: Backend) -> None:
        await backend.inspector.pause(["empty"])
        (queue,) = await other.inspector.queues()
        assert (queue.name, queue.paused) == ("empty", True)
        await other.inspector.resume(["empty"])
        assert not [queue for queue in await backend.inspector.queues() if queue.paused]

    async def test_a_paused_queue_gives_no_suspects(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await lapse_times(backend, SUSPECT_AFTER, one)
        await backend.inspector.pause(["default"])
        await claims_nothing(backend, suspects=1)
        await backend.inspector.resume(["default"])
        await backend.inspector.pause(["other"])
        assert (await claim_one(backend, suspects=1)).token.id == one.id

    async def test_pausing_and_resuming_twice_is_the_same_as_once(self, backend: Backend) -> None:
        await put(backend, job())
        for _ in range(2):
            await backend.inspector.pause(["default"])
        await backend.inspector.resume(["default"])
        await claim_one(backend)
        await backend.inspector.resume(["default"])

    async def test_several_queues_are_paused_at_once(self, backend: Backend) -> None:
        await put(backend, job(queue="left"), job(queue="right"))
        await backend.inspector.pause(["left", "right"])
        await claims_nothing(backend, "left")
        await claims_nothing(backend, "right")
        await backend.inspector.resume(["left"])
        await claims_nothing(backend, "right")
        await backend.inspector.pause(["left"])
        await backend.inspector.resume(["left", "right"])
        assert len(await claim(backend, 2, queues=["left", "right"])) == 2
