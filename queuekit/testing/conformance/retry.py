"""Putting running jobs back: after an error, for a nap, unfinished, or because their process died."""

import asyncio
import json
from collections.abc import Callable

import pytest

from queuekit.backend import Ask, Backend, Refusal
from queuekit.job import DEATHS_ALLOWED, Ack, Claim, Keep, Reason, Return, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    DONE,
    LONG,
    MILLISECOND,
    ack,
    answers_of,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    dead,
    events,
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
    snoozed,
    state_of,
    succeeded,
)

HISTORY_KEPT = 50


class RetryCases:
    """`Backend.retry` with kind ``retry``."""

    async def test_a_retried_job_is_scheduled(self, backend: Backend) -> None:
        one = await running(backend)
        assert answers_of(await backend.retry([retried(one, LONG)])) == [DONE]
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt) == (State.SCHEDULED, 1)
        assert found.times.scheduled_at is not None
        assert found.times.started_at is not None
        assert found.times.scheduled_at >= found.times.started_at + LONG

    async def test_a_job_retried_without_delay_is_ready(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one))
        assert await state_of(backend, one.token.id) is State.READY
        assert (await claim_one(backend)).attempt == 2

    async def test_a_retried_job_gets_a_new_place_in_line(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(3))
        await give_back(backend, retried(await claim_one(backend)))
        assert [one.payload for one in await claim(other, 3)] == ["1", "2", "0"]

    async def test_a_job_retried_at_once_keeps_the_time_at_which_it_was_due(
        self, backend: Backend
    ) -> None:
        await put(backend, job(delay=1))
        one = await claim_one(backend)
        due = (await record(backend, one.token.id)).times.scheduled_at
        assert due is not None
        await give_back(backend, retried(one))
        assert (await record(backend, one.token.id)).times.scheduled_at == due

    async def test_a_retry_that_ends_as_cancelled_is_due_no_more(self, backend: Backend) -> None:
        await put(backend, job(delay=1))
        one = await claim_one(backend)
        due = (await record(backend, one.token.id)).times.scheduled_at
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await give_back(backend, retried(one, LONG))
        found = await record(backend, one.token.id)
        assert (found.state, found.times.scheduled_at) == (State.CANCELLED, due)

    async def test_a_retry_keeps_the_error(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one, LONG, "try later"))
        (error,) = [json.loads(text) for text in (await record(backend, one.token.id)).notes.errors]
        assert (error["attempt"], error["message"]) == (1, "try later")
        assert not events(await record(backend, one.token.id))
        assert error["at"] >= one.token.delivery * 1000 - 5000

    async def test_a_retried_job_comes_back_when_it_is_due(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one, 30 * MILLISECOND))
        again = await claim_one(backend)
        assert (again.token.id, again.attempt) == (one.token.id, 2)
        found = await record(backend, one.token.id)
        assert found.times.started_at is not None

    async def test_a_retried_job_keeps_its_priority(self, backend: Backend) -> None:
        one = await running(backend, "urgent", priority=-5)
        await put(backend, *numbered(3))
        await give_back(backend, retried(one))
        assert (await claim_one(backend)).payload == "urgent"

    async def test_the_same_retry_again_is_done_once(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one, LONG))
        await give_back(backend, retried(one, LONG))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, len(found.notes.errors)) == (State.SCHEDULED, 1, 1)

    async def test_the_same_retry_without_delay_again_is_done_once(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, retried(one))
        await give_back(backend, retried(one))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, len(found.notes.errors)) == (State.READY, 1, 1)

    async def test_a_retry_repeated_late_does_not_touch_the_next_run(
        self, backend: Backend
    ) -> None:
        one = await running(backend)
        await give_back(backend, retried(one))
        await claim_one(backend)
        await backend.retry([retried(one)])
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, len(found.notes.errors)) == (State.RUNNING, 2, 1)

    async def test_a_retry_of_a_finished_job_is_lost(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        assert answers_of(await backend.retry([retried(one)])) == [Refusal.LOST]
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_a_retry_of_a_failed_job_is_lost(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        assert answers_of(await backend.retry([retried(one)])) == [Refusal.LOST]
        assert await state_of(backend, one.token.id) is State.FAILED

    async def test_a_retry_of_a_lost_lease_is_lost(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await lapse(backend, one)
        assert answers_of(await backend.retry([retried(one, LONG)])) == [Refusal.LOST]
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, list(found.notes.errors)) == (State.READY, 0, [])

    async def test_a_retry_of_a_job_that_runs_elsewhere_is_lost(self, backend: Backend) -> None:
        await put(backend, job())
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        await claim_one(backend)
        assert answers_of(await backend.retry([retried(late)])) == [Refusal.LOST]
        assert await state_of(backend, late.token.id) is State.RUNNING

    @pytest.mark.parametrize("back", [retried, snoozed, released, dead])
    async def test_a_return_of_the_run_before_the_one_that_was_given_back_is_lost(
        self, backend: Backend, back: Callable[[Claim], Return]
    ) -> None:
        await put(backend, job())
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        await give_back(backend, back(await claim_one(backend)))
        assert answers_of(await backend.retry([back(late)])) == [Refusal.LOST]
        assert await state_of(backend, late.token.id) is State.READY

    @pytest.mark.parametrize("back", [retried, snoozed, released, dead])
    @pytest.mark.parametrize("asked", [[], ["cancel"]], ids=["", "cancel"])
    async def test_a_late_return_does_not_touch_the_next_run(
        self, backend: Backend, back: Callable[[Claim], Return], asked: list[str]
    ) -> None:
        await put(backend, job(max_crashes=1))
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        present = await claim_one(backend)
        for _ in asked:
            await backend.inspector.steer(Event.CANCEL, [late.token.ref])
        assert answers_of(await backend.retry([back(late)])) == [Refusal.LOST]
        assert await state_of(backend, late.token.id) is State.RUNNING
        await ack(backend, succeeded(present))

    async def test_a_death_of_a_run_that_was_given_back_is_lost(self, backend: Backend) -> None:
        one = await running(backend, max_crashes=1)
        await give_back(backend, released(one))
        assert answers_of(await backend.retry([dead(one)])) == [Refusal.LOST]
        assert await state_of(backend, one.token.id) is State.READY

    async def test_a_retry_ends_a_job_whose_cancel_was_requested(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await give_back(backend, retried(one, LONG))
        found = await record(backend, one.token.id)
        assert (found.state, len(found.notes.errors)) == (State.CANCELLED, 1)
        assert found.times.finished_at is not None

    async def test_one_lost_retry_of_500_is_lost_alone(self, backend: Backend) -> None:
        await put(backend, *numbered(500))
        claims = await claim(backend, 500)
        await ack(backend, succeeded(claims[77]))
        answers = answers_of(await backend.retry([retried(one, LONG) for one in claims]))
        assert answers.pop(77) is Refusal.LOST
        assert answers == [DONE] * 499
        (queue,) = await backend.inspector.queues()
        assert queue.counts == {State.SCHEDULED: 499, State.SUCCEEDED: 1}

    async def test_an_empty_batch_of_returns_has_no_verdicts(self, backend: Backend) -> None:
        assert await backend.retry([]) == []

    async def test_a_batch_mixes_all_returns(self, backend: Backend) -> None:
        await put(backend, *numbered(4))
        claims = await claim(backend, 4)
        kinds = (retried, snoozed, released, dead)
        await give_back(backend, *(kind(one) for kind, one in zip(kinds, claims, strict=True)))
        attempts = [(await record(backend, one.token.id)).life.attempt for one in claims]
        assert attempts == [1, 0, 0, 0]
        assert len(await claim(backend, 4)) == 4

    async def test_a_return_by_another_object_counts(
        self, backend: Backend, other: Backend
    ) -> None:
        one = await running(backend)
        await give_back(other, retried(one, LONG))
        assert await state_of(backend, one.token.id) is State.SCHEDULED

    async def test_a_return_and_an_end_at_the_same_moment_exclude_each_other(
        self, backend: Backend, other: Backend
    ) -> None:
        for _ in range(10):
            one = await running(backend)
            acked, returned = await asyncio.gather(
                backend.ack([succeeded(one)]), other.retry([retried(one, LONG)])
            )
            assert sorted(answers_of([*acked, *returned])) == [DONE, Refusal.LOST]
            found = await state_of(backend, one.token.id)
            assert found is (State.SUCCEEDED if acked[0].done else State.SCHEDULED)


class SnoozeCases:
    """`Backend.retry` with kind ``snooze``."""

    async def test_a_snooze_spends_no_attempt(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, snoozed(one, LONG))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, list(found.notes.errors)) == (
            State.SCHEDULED,
            0,
            [],
        )
        assert found.times.scheduled_at is not None
        assert found.times.started_at is not None
        assert found.times.scheduled_at >= found.times.started_at + LONG

    async def test_a_snooze_is_noted(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, snoozed(one, LONG))
        assert events(await record(backend, one.token.id)) == ["snooze"]

    async def test_a_snoozed_job_runs_as_the_same_attempt(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, snoozed(one, 20 * MILLISECOND))
        again = await claim_one(backend)
        assert again.attempt == 1
        assert again.token.delivery > one.token.delivery

    async def test_the_same_snooze_again_is_done_once(self, backend: Backend) -> None:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend)))
        one = await claim_one(backend)
        await give_back(backend, snoozed(one, LONG))
        await give_back(backend, snoozed(one, LONG))
        assert (await record(backend, one.token.id)).life.attempt == 1

    async def test_a_snooze_ends_a_job_whose_cancel_was_requested(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await give_back(backend, snoozed(one, LONG))
        assert await state_of(backend, one.token.id) is State.CANCELLED


class ReleaseCases:
    """`Backend.retry` with kind ``release``."""

    async def test_a_release_spends_no_attempt(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, released(one))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt) == (State.READY, 0)
        assert (await claim_one(backend)).attempt == 1

    async def test_a_release_is_noted(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, released(one))
        assert events(await record(backend, one.token.id)) == ["release"]

    async def test_only_the_last_events_are_kept(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, dead(one))
        for _ in range(HISTORY_KEPT):
            await give_back(backend, released(await claim_one(backend, suspects=1)))
        assert events(await record(backend, one.token.id)) == ["release"] * HISTORY_KEPT

    async def test_released_jobs_keep_their_old_places(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(5))
        first, second, third = await claim(backend, 3)
        await give_back(backend, released(third), released(first), released(second))
        assert [one.payload for one in await claim(other, 5)] == ["0", "1", "2", "3", "4"]

    async def test_a_released_job_is_not_starved_by_its_successors(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first = await claim_one(backend)
        await give_back(backend, released(first))
        assert len({one.token.id for one in await claim(backend, 3)}) == 3

    async def test_the_same_release_again_is_done_once(self, backend: Backend) -> None:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend)))
        one = await claim_one(backend)
        await give_back(backend, released(one))
        await give_back(backend, released(one))
        assert (await record(backend, one.token.id)).life.attempt == 1

    async def test_a_release_ends_a_job_whose_cancel_was_requested(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await give_back(backend, released(one))
        assert await state_of(backend, one.token.id) is State.CANCELLED
        await claims_nothing(backend)


class DeathCases:
    """`Backend.retry` with kind ``death``."""

    async def test_a_death_is_a_crash_and_no_attempt(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, dead(one))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, found.life.crashes) == (State.READY, 0, 1)
        again = await claim_one(backend, suspects=1)
        assert (again.attempt, again.crashes) == (1, 1)

    async def test_a_death_is_noted(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, dead(one))
        found = await record(backend, one.token.id)
        assert events(found) == ["death"]
        assert "killed by signal 9" in found.notes.errors[-1]

    async def test_the_last_death_fails_the_job(self, backend: Backend) -> None:
        one = job(max_attempts=1)
        await put(backend, one)
        for _ in range(DEATHS_ALLOWED):
            await give_back(backend, dead(await claim_one(backend, suspects=1)))
        found = await record(backend, one.id)
        assert (found.state, found.life.reason) == (State.FAILED, Reason.CRASHED)
        assert found.life.crashes == DEATHS_ALLOWED
        await claims_nothing(backend, suspects=1)

    @pytest.mark.parametrize("limit", [0, 5])
    async def test_a_fetch_tells_of_last_deaths(self, backend: Backend, limit: int) -> None:
        first, second, asked, spared = [
            await running(backend, max_crashes=allowed) for allowed in (1, 1, 2, 2)
        ]
        elsewhere = await running(backend, max_crashes=1, queue="b", task="c", keep=Keep(0))
        await backend.inspector.steer(Event.CANCEL, [asked.token.ref])
        deaths = [dead(one) for one in (asked, spared, second, elsewhere)]
        settle: list[Ack | Return] = [succeeded(first), *deaths]
        found = await backend.fetch(Ask(["none"], limit, claimant(), LONG), settle=settle)
        assert answers_of(found.settled) == [DONE] * 5
        ends = [(change.now, change.task, change.reason) for change in found.settled]
        assert ends == [
            (State.SUCCEEDED, None, None),
            (State.CANCELLED, None, None),
            (State.READY, None, None),
            (State.FAILED, "send", Reason.CRASHED),
            (State.FAILED, "c", Reason.CRASHED),
        ]

    async def test_a_job_has_deaths_of_its_own(self, backend: Backend) -> None:
        one = await running(backend, max_crashes=1)
        await give_back(backend, dead(one))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.reason) == (State.FAILED, Reason.CRASHED)

    async def test_the_same_death_again_is_counted_once(self, backend: Backend) -> None:
        one = await running(backend)
        await give_back(backend, dead(one))
        await give_back(backend, dead(one))
        assert (await record(backend, one.token.id)).life.crashes == 1

    async def test_the_same_last_death_again_is_done(self, backend: Backend) -> None:
        one = await running(backend, max_crashes=1)
        await give_back(backend, dead(one))
        await give_back(backend, dead(one))
        assert (await record(backend, one.token.id)).life.crashes == 1

    async def test_the_same_last_death_again_is_done_without_record(self, backend: Backend) -> None:
        one = await running(backend, max_crashes=1, keep=Keep(0))
        await give_back(backend, dead(one))
        await give_back(backend, dead(one))
        assert await state_of(backend, one.token.id) is None

    async def test_a_return_that_has_ended_its_job_is_done_again_without_record(
        self, backend: Backend
    ) -> None:
        one = await running(backend, keep=Keep(0))
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await give_back(backend, retried(one))
        await give_back(backend, retried(one))
        assert answers_of(await backend.retry([released(one)])) == [Refusal.LOST]

    async def test_a_death_ends_a_job_whose_cancel_was_requested(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await give_back(backend, dead(one))
        assert await state_of(backend, one.token.id) is State.CANCELLED
