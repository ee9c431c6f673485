"""The server did it, and the answer never came. Whoever asked asks again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import pytest

from queuekit.backend import Ask, Backend, JobFilter, Presence, Refusal, Report
from queuekit.errors import BackendUnavailable, ReplyLost
from queuekit.job import Ack, Claim, Keep, KeyPolicy, Return, ReturnKind, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._lossy import Lossy
from queuekit.testing.conformance._make import (
    ALICE,
    BRIEF,
    DONE,
    LONG,
    MILLISECOND,
    STORED,
    ack,
    answer_of,
    answers_of,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    dead,
    eventually,
    failed,
    give_back,
    job,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    snoozed,
    state_of,
    succeeded,
    sweep,
)
from queuekit.testing.conformance.schedules import a_schedule, a_tick, firing

T = TypeVar("T")
each_reply = pytest.mark.parametrize("after", range(4))
"""One call may be several exchanges with the server: each one's reply is lost once."""


class LostReplyCases:
    """Every verb, with its reply lost and asked for again; seen with another object's eyes."""

    async def test_a_lost_reply_is_told_as_such(self, lossy: Lossy) -> None:
        await put(lossy.backend, job())
        await claim_one(lossy.backend)
        await put(lossy.backend, job())
        lossy.lose_reply()
        with pytest.raises(ReplyLost):
            await lossy.backend.fetch(Ask(["default"], 1, claimant(), LONG))

    @each_reply
    async def test_enqueue_stores_a_job_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = job()
        (answer,) = await twice(lossy, after, lambda store: store.enqueue([one]))
        assert answer_of(answer) in {STORED, Refusal.KNOWN}
        assert answer.now is State.READY
        await claim_one(backend)
        await claims_nothing(backend)

    @each_reply
    async def test_enqueue_stores_a_large_batch_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        jobs = numbered(300)
        answers = await twice(lossy, after, lambda store: store.enqueue(jobs))
        assert {answer_of(answer) for answer in answers} <= {STORED, Refusal.KNOWN}
        assert [one.payload for one in await claim(backend, 300)] == [one.payload for one in jobs]
        await claims_nothing(backend)

    @each_reply
    async def test_enqueue_stores_an_atomic_batch_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        jobs = numbered(10)
        await twice(lossy, after, lambda store: store.enqueue(jobs, atomic=True))
        assert len(await claim(backend, 10)) == 10
        await claims_nothing(backend)

    @each_reply
    async def test_a_job_is_no_duplicate_of_itself(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = job(key="k")
        (answer,) = await twice(lossy, after, lambda store: store.enqueue([one]))
        assert answer_of(answer) in {STORED, Refusal.KNOWN}
        assert (await claim_one(backend)).token.id == one.id

    @each_reply
    async def test_a_successor_does_not_replace_itself(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        holder = await running(backend, "1", key="k")
        one = job("2", key="k", key_policy=KeyPolicy.REPLACE)
        await twice(lossy, after, lambda store: store.enqueue([one]))
        await ack(backend, succeeded(holder))
        assert (await claim_one(backend)).payload == "2"
        await claims_nothing(backend)

    @each_reply
    async def test_claims_that_never_arrived_can_be_given_back(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        await put(backend, *numbered(5))
        who = claimant("dora-1")
        received = await once(
            lossy, after, lambda store: store.fetch(Ask(["default"], 5, who, LONG))
        )
        held = await backend.leases("dora-1")
        known = {one.token.id for fetched in received for one in fetched.claims}
        lost = [one for one in held if one.token.id not in known]
        assert {one.number for one in lost} <= {who.number}
        await give_back(backend, *(Return(one.token, ReturnKind.RELEASE) for one in lost))
        again = await claim(backend, 5 - len(known))
        assert len(known | {one.token.id for one in again}) == 5
        assert {one.attempt for one in again} <= {1}

    @each_reply
    async def test_a_fetch_settles_once(self, backend: Backend, lossy: Lossy, after: int) -> None:
        await put(backend, *numbered(2))
        first, second = await claim(backend, 2)
        outcomes: list[Ack | Return] = [succeeded(first, "1"), retried(second, LONG)]
        fetched = await twice(
            lossy,
            after,
            lambda store: store.fetch(Ask(["default"], 0, claimant(), LONG), settle=outcomes),
        )
        assert answers_of(fetched.settled) == [DONE] * 2
        assert (await record(backend, first.token.id)).notes.result == "1"
        assert len((await record(backend, second.token.id)).notes.errors) == 1

    @each_reply
    async def test_a_fetch_that_settles_and_claims_loses_nothing(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        first = await running(backend, "first")
        await put(backend, *numbered(5))
        outcomes = [succeeded(first, "1")]
        fetched = await twice(
            lossy,
            after,
            lambda store: store.fetch(
                Ask(["default"], 3, claimant("fay-1"), LONG), settle=outcomes
            ),
        )
        assert answers_of(fetched.settled) == [DONE]
        held = await backend.leases("fay-1")
        assert {one.token.id for one in held} >= {one.token.id for one in fetched.claims}
        rest = await claim(backend, 5 - len(held))
        assert len({one.token.id for one in held} | {one.token.id for one in rest}) == 5

    @each_reply
    @pytest.mark.parametrize("keep", [None, Keep(0)])
    async def test_ack_ends_a_job_once(
        self, backend: Backend, lossy: Lossy, after: int, keep: Keep | None
    ) -> None:
        one = await running(backend, keep=keep)
        changes = await twice(lossy, after, lambda store: store.ack([succeeded(one, "1")]))
        assert answers_of(changes) == [DONE]
        await claims_nothing(backend)

    @each_reply
    async def test_ack_keeps_an_error_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = await running(backend)
        assert answers_of(await twice(lossy, after, lambda store: store.ack([failed(one)]))) == [
            DONE
        ]
        assert len((await record(backend, one.token.id)).notes.errors) == 1

    @each_reply
    async def test_retry_puts_a_job_back_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = await running(backend)
        changes = await twice(lossy, after, lambda store: store.retry([retried(one, LONG)]))
        assert answers_of(changes) == [DONE]
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, len(found.notes.errors)) == (State.SCHEDULED, 1, 1)

    @each_reply
    async def test_snooze_counts_back_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = await self._second_attempt(backend)
        changes = await twice(lossy, after, lambda store: store.retry([snoozed(one, LONG)]))
        assert answers_of(changes) == [DONE]
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt) == (State.SCHEDULED, 1)

    @each_reply
    async def test_release_counts_back_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = await self._second_attempt(backend)
        changes = await twice(lossy, after, lambda store: store.retry([released(one)]))
        assert answers_of(changes) == [DONE]
        assert (await record(backend, one.token.id)).life.attempt == 1

    @each_reply
    async def test_death_is_counted_once(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = await running(backend)
        assert answers_of(await twice(lossy, after, lambda store: store.retry([dead(one)]))) == [
            DONE
        ]
        found = await record(backend, one.token.id)
        assert (found.state, found.life.crashes, found.life.attempt) == (State.READY, 1, 0)

    @each_reply
    async def test_heartbeat_answers_the_second_time(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        await put(backend, *numbered(3))
        held, asked, lost = await claim(backend, 3)
        await backend.inspector.steer(Event.CANCEL, [asked.token.ref])
        await ack(backend, succeeded(lost))
        tokens = [held.token, asked.token, lost.token]
        pulse = await twice(lossy, after, lambda store: store.heartbeat(tokens))
        assert (list(pulse.lost), list(pulse.cancels)) == ([lost.token], [asked.token])

    @each_reply
    async def test_report_keeps_progress(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = await running(backend)
        await twice(lossy, after, lambda store: store.report([Report(one.token, "0.5", [])]))
        assert (await record(backend, one.token.id)).notes.progress == "0.5"

    @each_reply
    async def test_leases_are_named(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = await running(backend)
        held = await twice(lossy, after, lambda store: store.leases(ALICE))
        assert [lease.token.id for lease in held] == [one.token.id]

    @each_reply
    async def test_results_are_found(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one, "1"))
        found = await twice(lossy, after, lambda store: store.results([one.token.ref], 5))
        assert found[one.token.ref].notes.result == "1"

    @each_reply
    async def test_a_process_is_present_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        me = Presence(process="p", host="h", pid=1, version="0", queues=["default"])
        await twice(lossy, after, lambda store: store.present(me))
        assert len(await backend.inspector.workers()) == 1
        await twice(lossy, after, lambda store: store.absent("p"))
        assert not await backend.inspector.workers()

    @each_reply
    async def test_wait_returns(self, backend: Backend, lossy: Lossy, after: int) -> None:
        await put(backend, job())
        await twice(lossy, after, lambda store: store.wait(["default"], 5, ALICE))
        await claim_one(backend)

    @each_reply
    async def test_wake_may_be_said_twice(self, backend: Backend, lossy: Lossy, after: int) -> None:
        await twice(lossy, after, lambda store: store.wake(ALICE))
        await put(backend, job())
        await claim_one(backend)

    @each_reply
    async def test_maintain_moves_every_job_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        due, gone = job(delay=MILLISECOND), job("lapses")
        await put(backend, gone, due)
        late = await claim_one(backend, lease=BRIEF)

        async def moved() -> bool:
            await twice(lossy, after, lambda store: store.maintain(["default"]))
            states = [await state_of(backend, one.id) for one in (due, gone)]
            return states == [State.READY] * 2

        await eventually(moved)
        assert (await record(backend, late.token.id)).life.lapses == 1
        await claim(backend, 2)
        await claims_nothing(backend)

    @each_reply
    async def test_maintain_rescues_a_lease_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await once(lossy, after, lambda store: store.maintain(["default"]))
        await eventually(lambda: self._is_ready(backend, one.token.id))
        assert (await record(backend, one.token.id)).life.lapses == 1

    @each_reply
    async def test_cancel_is_asked_once(self, backend: Backend, lossy: Lossy, after: int) -> None:
        ready, held = job(), await running(backend)
        await put(backend, ready)
        await twice(
            lossy,
            after,
            lambda store: store.inspector.steer(Event.CANCEL, [ready.ref, held.token.ref]),
        )
        assert await state_of(backend, ready.id) is State.CANCELLED
        assert (await record(backend, held.token.id)).life.cancel_requested

    @each_reply
    async def test_a_rerun_raises_the_generation_once(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await twice(lossy, after, lambda store: store.inspector.steer(Event.RERUN, [one.token.ref]))
        found = await record(backend, one.token.id)
        assert (found.state, found.life.generation) == (State.READY, 1)

    @each_reply
    async def test_promote_is_done(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        await twice(lossy, after, lambda store: store.inspector.steer(Event.PROMOTE, [one.ref]))
        await claim_one(backend)
        await claims_nothing(backend)

    @each_reply
    async def test_delete_is_done(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = job()
        await put(backend, one)
        await twice(lossy, after, lambda store: store.inspector.steer(Event.DELETE, [one.ref]))
        assert await state_of(backend, one.id) is None

    @each_reply
    async def test_pause_and_resume_are_done(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        await put(backend, job())
        await twice(lossy, after, lambda store: store.inspector.pause(["default"], paused=True))
        await claims_nothing(backend)
        await twice(lossy, after, lambda store: store.inspector.pause(["default"], paused=False))
        await claim_one(backend)

    @each_reply
    async def test_drain_and_clean_are_done(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        await put(backend, *numbered(5))
        await twice(lossy, after, lambda store: sweep(store, Event.DRAIN))
        await claims_nothing(backend)
        await twice(lossy, after, lambda store: sweep(store, Event.CLEAN))
        assert list(await backend.inspector.queues()) == []

    @each_reply
    async def test_a_tick_fires_once(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = a_schedule()
        await twice(lossy, after, lambda store: store.schedules.schedule([one]))
        tick = firing(one, ("1", a_tick()))
        await twice(lossy, after, lambda store: store.schedules.fire([tick]))
        (found,) = await backend.schedules.find()
        assert (found.tick, found.count, len(found.fired)) == ("2", 1, 1)
        await claim_one(backend)
        await claims_nothing(backend)

    @each_reply
    async def test_schedules_are_steered(self, backend: Backend, lossy: Lossy, after: int) -> None:
        one = a_schedule()
        await backend.schedules.schedule([one])
        due = await twice(lossy, after, lambda store: store.schedules.due(["default"], 5))
        assert [found.ref for found in due.schedules] == [one.ref]
        await twice(lossy, after, lambda store: store.schedules.pause([one.ref], paused=True))
        (found,) = await twice(lossy, after, lambda store: store.schedules.find())
        assert found.paused
        await twice(lossy, after, lambda store: store.schedules.unschedule([one.ref]))
        assert await backend.schedules.get([one.ref]) == [None]

    @each_reply
    async def test_looking_is_answered_the_second_time(
        self, backend: Backend, lossy: Lossy, after: int
    ) -> None:
        one = job()
        await put(backend, one)
        (found,) = await twice(lossy, after, lambda store: store.inspector.get([one.ref]))
        assert found is not None
        page = await twice(lossy, after, lambda store: store.inspector.find(JobFilter()))
        assert [each.job.id for each in page] == [one.id]
        (queue,) = await twice(lossy, after, lambda store: store.inspector.queues())
        assert queue.counts == {State.READY: 1}

    async def _second_attempt(self, backend: Backend) -> Claim:
        await put(backend, job())
        await give_back(backend, retried(await claim_one(backend)))
        return await claim_one(backend)

    async def _is_ready(self, backend: Backend, job_id: UUID) -> bool:
        await backend.maintain(["default"])
        return await state_of(backend, job_id) is State.READY


async def once(lossy: Lossy, after: int, call: Callable[[Backend], Awaitable[T]]) -> list[T]:
    """Call, with a reply lost on the way; the answer, if that was none of this call's."""
    lossy.lose_reply(after=after)
    try:
        return [await call(lossy.backend)]
    except BackendUnavailable:
        return []
    finally:
        lossy.heal()


async def twice(lossy: Lossy, after: int, call: Callable[[Backend], Awaitable[T]]) -> T:
    """Call with a reply lost, then again until the server can be reached; the last answer."""
    await once(lossy, after, call)
    answers: list[T] = []

    async def answered() -> bool:
        try:
            answers.append(await call(lossy.backend))
        except BackendUnavailable:
            return False
        return True

    await eventually(answered)
    return answers[0]
