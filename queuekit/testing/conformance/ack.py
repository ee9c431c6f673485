"""Ending jobs."""

import asyncio
import json

import pytest

from queuekit.backend import NOTES_KEPT, Ask, Backend, Refusal
from queuekit.job import Ack, Keep, Reason, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    DONE,
    LONG,
    UNSTORABLE,
    ack,
    answer_of,
    answers_of,
    cancelled,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    failed,
    give_back,
    job,
    lapse,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    state_of,
    succeeded,
)


class AckCases:
    """`Backend.ack`."""

    async def test_a_success_keeps_its_result(self, backend: Backend) -> None:
        one = await running(backend)
        assert answers_of(await backend.ack([succeeded(one, '{"sent":3}')])) == [DONE]
        found = await record(backend, one.token.id)
        assert (found.state, found.notes.result, found.life.reason) == (
            State.SUCCEEDED,
            '{"sent":3}',
            None,
        )

    async def test_a_failure_keeps_its_error_and_reason(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one, "gave_up", "no such address"))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.reason, found.notes.result) == (
            State.FAILED,
            "gave_up",
            None,
        )
        (error,) = [json.loads(text) for text in found.notes.errors]
        assert (error["attempt"], error["type"]) == (1, "Oops")
        assert (error["message"], error["traceback"]) == ("no such address", "Oops\n")

    @pytest.mark.parametrize("reason", list(Reason))
    async def test_every_reason_is_kept(self, backend: Backend, reason: Reason) -> None:
        one = await running(backend)
        await ack(backend, failed(one, reason))
        assert (await record(backend, one.token.id)).life.reason == reason

    async def test_a_cancellation_keeps_its_reason(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, cancelled(one, "the customer left"))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.reason) == (State.CANCELLED, "the customer left")

    async def test_an_end_has_its_time_by_the_servers_clock(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        found = await record(backend, one.token.id)
        assert found.times.started_at is not None
        assert found.times.finished_at is not None
        assert found.times.enqueued_at <= found.times.started_at <= found.times.finished_at
        (error,) = [json.loads(text) for text in found.notes.errors]
        assert found.times.started_at <= error["at"] <= found.times.finished_at

    async def test_a_finished_job_still_has_its_payload_and_options(self, backend: Backend) -> None:
        payload = '{"v":1,"a":{"x":1}}'
        one = await running(
            backend, payload, task="mails.send", key="k", priority=3, tags=("a",), extra='{"m":1}'
        )
        await ack(backend, succeeded(one))
        found = await record(backend, one.token.id)
        assert (found.job.payload, found.job.task, found.job.options.queue) == (
            payload,
            "mails.send",
            "default",
        )
        assert (
            found.job.options.priority,
            found.job.options.extra,
            list(found.job.options.tags),
        ) == (3, '{"m":1}', ["a"])
        assert (found.life.attempt, found.life.delivery) == (1, one.token.delivery)

    async def test_a_finished_job_is_not_claimed(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        await claims_nothing(backend)

    async def test_an_ack_by_another_object_counts(self, backend: Backend, other: Backend) -> None:
        one = await running(backend)
        await ack(other, succeeded(one))
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_the_same_ack_again_is_done(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one, "1"))
        first = await record(backend, one.token.id)
        await ack(backend, succeeded(one, "1"))
        assert await record(backend, one.token.id) == first

    async def test_the_same_ack_twice_in_a_batch_is_done_twice(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one), succeeded(one))
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_the_same_ack_at_the_same_moment_is_done(
        self, backend: Backend, other: Backend
    ) -> None:
        one = await running(backend)
        told = await asyncio.gather(*(b.ack([failed(one)]) for b in (backend, other) * 3))
        assert [answers_of(changes) for changes in told] == [[DONE]] * 6
        assert len((await record(backend, one.token.id)).notes.errors) == 1

    async def test_an_ack_of_a_run_before_the_last_one_is_lost(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(LONG))
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        await give_back(backend, retried(await claim_one(backend), LONG))
        assert answers_of(await backend.ack([failed(one)])) == [Refusal.LOST]

    async def test_the_same_ack_of_a_job_that_was_deleted_is_done(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        await backend.inspector.steer(Event.DELETE, [one.token.ref])
        await ack(backend, succeeded(one))

    async def test_the_same_ack_of_a_job_without_record_is_done(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(0))
        await ack(backend, succeeded(one))
        await ack(backend, succeeded(one))
        await claims_nothing(backend)

    async def test_a_second_end_does_not_change_the_first(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one, "1"))
        assert answers_of(await backend.ack([failed(one)])) == [Refusal.LOST]
        found = await record(backend, one.token.id)
        assert (found.state, found.notes.result, list(found.notes.errors)) == (
            State.SUCCEEDED,
            "1",
            [],
        )

    @pytest.mark.parametrize(("own", "asked"), [(Keep(0), None), (None, Keep(0))])
    async def test_another_end_of_a_job_without_record_is_lost(
        self, backend: Backend, own: Keep | None, asked: Keep | None
    ) -> None:
        one = await running(backend, keep=own)
        await ack(backend, succeeded(one, keep=asked))
        assert answers_of(await backend.ack([failed(one, keep=asked)])) == [Refusal.LOST]
        await ack(backend, succeeded(one, keep=asked))

    async def test_a_failure_without_record_is_remembered_as_one(self, backend: Backend) -> None:
        one = await running(backend)
        for _ in range(2):
            await ack(backend, failed(one, keep=Keep(0)))
        assert answers_of(await backend.ack([succeeded(one, keep=Keep(0))])) == [Refusal.LOST]

    async def test_another_end_of_an_earlier_life_is_lost(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert answers_of(await backend.ack([cancelled(one)])) == [Refusal.LOST]
        await claim_one(backend)
        assert answers_of(await backend.ack([cancelled(one)])) == [Refusal.LOST]
        assert await state_of(backend, one.token.id) is State.RUNNING

    @pytest.mark.parametrize(("own", "asked"), [(Keep(0), None), (None, Keep(0)), (None, None)])
    async def test_a_late_ack_is_lost_when_the_present_run_has_ended(
        self, backend: Backend, own: Keep | None, asked: Keep | None
    ) -> None:
        await put(backend, job(keep=own))
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        present = await claim_one(backend)
        await ack(backend, succeeded(present, keep=asked))
        assert answers_of(await backend.ack([succeeded(late, keep=asked)])) == [Refusal.LOST]
        await ack(backend, succeeded(present, keep=asked))

    @pytest.mark.parametrize("keep", [None, Keep(0)])
    async def test_an_ack_after_a_retry_is_lost(self, backend: Backend, keep: Keep | None) -> None:
        one = await running(backend, keep=keep)
        await give_back(backend, retried(one, LONG))
        assert answers_of(await backend.ack([succeeded(one)])) == [Refusal.LOST]
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert (answer_of(answer), answer.now) == (Refusal.KNOWN, State.SCHEDULED)

    async def test_an_ack_of_a_lost_lease_is_lost(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await lapse(backend, one)
        assert answers_of(await backend.ack([succeeded(one)])) == [Refusal.LOST]
        assert await state_of(backend, one.token.id) is State.READY

    async def test_an_ack_of_a_lost_lease_does_not_end_the_next_run(self, backend: Backend) -> None:
        await put(backend, job())
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        present = await claim_one(backend)
        assert answers_of(await backend.ack([succeeded(late, '"late"')])) == [Refusal.LOST]
        assert await state_of(backend, late.token.id) is State.RUNNING
        await ack(backend, succeeded(present, '"present"'))
        assert answers_of(await backend.ack([succeeded(late, '"late"')])) == [Refusal.LOST]
        assert (await record(backend, late.token.id)).notes.result == '"present"'

    async def test_a_late_ack_that_keeps_nothing_is_lost(self, backend: Backend) -> None:
        await put(backend, job())
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        present = await claim_one(backend)
        for _ in range(2):
            assert answers_of(await backend.ack([succeeded(late, keep=Keep(0))])) == [Refusal.LOST]
        assert await state_of(backend, late.token.id) is State.RUNNING
        await ack(backend, succeeded(present))

    async def test_an_ack_that_keeps_nothing_of_a_released_job_is_lost(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await give_back(backend, released(one))
        for _ in range(2):
            assert answers_of(await backend.ack([succeeded(one, keep=Keep(0))])) == [Refusal.LOST]
        assert await state_of(backend, one.token.id) is State.READY

    async def test_an_ack_between_the_end_of_a_lease_and_its_rescue_counts(
        self, backend: Backend
    ) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=1)
        await asyncio.sleep(0.005)
        await ack(backend, succeeded(one))
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_one_lost_ack_of_500_is_lost_alone(self, backend: Backend) -> None:
        await put(backend, *numbered(500))
        claims = await claim(backend, 500)
        await give_back(backend, retried(claims[123], LONG))
        answers = answers_of(await backend.ack([succeeded(one, one.payload) for one in claims]))
        assert answers.pop(123) is Refusal.LOST
        assert answers == [DONE] * 499
        assert await state_of(backend, claims[123].token.id) is State.SCHEDULED
        assert (await record(backend, claims[499].token.id)).notes.result == claims[499].payload

    async def test_one_result_of_500_that_no_server_takes_is_refused_alone(
        self, backend: Backend
    ) -> None:
        await put(backend, *numbered(500))
        claims = await claim(backend, 500)
        acks = [succeeded(one) for one in claims]
        acks[321] = succeeded(claims[321], UNSTORABLE)
        answers = answers_of(await backend.ack(acks))
        assert answers.pop(321) is Refusal.UNSTORABLE
        assert answers == [DONE] * 499
        found = await record(backend, claims[321].token.id)
        assert (found.state, found.life.reason) == (State.FAILED, Reason.INVALID_RESULT)

    async def test_a_refused_result_is_told_as_the_error_of_its_attempt(
        self, backend: Backend
    ) -> None:
        await give_back(backend, retried(await running(backend)))
        one = await claim_one(backend)
        assert answers_of(await backend.ack([succeeded(one, UNSTORABLE)])) == [Refusal.UNSTORABLE]
        last = json.loads((await record(backend, one.token.id)).notes.errors[-1])
        assert (last["attempt"], last["type"]) == (2, "InvalidResult")

    async def test_a_refused_result_in_a_fetch_is_refused_alone(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first, second, third = await claim(backend, 3)
        acks = [succeeded(first), succeeded(second, UNSTORABLE), succeeded(third)]
        fetched = await backend.fetch(Ask(["default"], 0, claimant(), LONG), settle=acks)
        assert answers_of(fetched.settled) == [DONE, Refusal.UNSTORABLE, DONE]
        assert (await record(backend, second.token.id)).life.reason == Reason.INVALID_RESULT

    async def test_a_batch_mixes_all_ends(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first, second, third = await claim(backend, 3)
        await ack(backend, succeeded(first), failed(second), cancelled(third))
        assert await state_of(backend, first.token.id) is State.SUCCEEDED
        assert await state_of(backend, second.token.id) is State.FAILED
        assert await state_of(backend, third.token.id) is State.CANCELLED

    async def test_a_batch_mixes_queues(self, backend: Backend) -> None:
        left, right = await running(backend, queue="left"), await running(backend, queue="right")
        await ack(backend, succeeded(left), succeeded(right))
        assert await state_of(backend, left.token.id) is State.SUCCEEDED
        assert await state_of(backend, right.token.id) is State.SUCCEEDED

    async def test_an_empty_batch_of_acks_has_no_verdicts(self, backend: Backend) -> None:
        assert await backend.ack([]) == []

    async def test_a_thousand_acks_at_once(self, backend: Backend) -> None:
        await put(backend, *numbered(1000))
        claims = await claim(backend, 1000)
        await ack(backend, *(succeeded(one) for one in claims))
        (queue,) = await backend.inspector.queues()
        assert queue.counts == {State.SUCCEEDED: 1000}

    async def test_errors_of_all_attempts_are_kept_in_order(self, backend: Backend) -> None:
        await put(backend, job())
        for message in ("first", "second"):
            await give_back(backend, retried(await claim_one(backend), message=message))
        last = await claim_one(backend)
        await ack(backend, failed(last, message="third"))
        found = [json.loads(text) for text in (await record(backend, last.token.id)).notes.errors]
        assert [error["message"] for error in found] == ["first", "second", "third"]
        assert [error["attempt"] for error in found] == [1, 2, 3]
        assert sorted(error["at"] for error in found) == [error["at"] for error in found]

    async def test_errors_of_a_success_are_kept(self, backend: Backend) -> None:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend)))
        last = await claim_one(backend)
        await ack(backend, succeeded(last))
        assert len((await record(backend, last.token.id)).notes.errors) == 1

    async def test_only_the_last_errors_are_kept(self, backend: Backend) -> None:
        await put(backend, job(max_attempts=100))
        for number in range(NOTES_KEPT + 3):
            await give_back(backend, retried(await claim_one(backend), message=str(number)))
        last = await claim_one(backend)
        found = [json.loads(text) for text in (await record(backend, last.token.id)).notes.errors]
        assert [error["message"] for error in found] == [str(n) for n in range(3, NOTES_KEPT + 3)]

    async def test_the_id_of_an_ended_job_stays_that_of_an_ended_job(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert (answer_of(answer), answer.now) == (Refusal.KNOWN, State.FAILED)

    async def test_an_ack_of_a_job_that_is_gone_is_lost(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one))
        await backend.inspector.steer(Event.DELETE, [one.token.ref])
        assert answers_of(await backend.ack([Ack(one.token, one.task, State.SUCCEEDED, "1")])) == [
            Refusal.LOST
        ]
        assert await state_of(backend, one.token.id) is None
