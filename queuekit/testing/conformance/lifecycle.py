"""Every row of the life of a job, and every pair of event and state that it refuses."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest

from queuekit.backend import STEERING, Ask, Backend, Change, Refusal
from queuekit.job import FINISHED, Ack, Claim, JobRef, KeyPolicy, Micros, Return, State
from queuekit.lifecycle import Event, allowed, step
from queuekit.record import JobRecord, Life
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    ack,
    cancelled,
    claim_one,
    claimant,
    dead,
    eventually,
    failed,
    give_back,
    job,
    lapse,
    put,
    released,
    retried,
    running,
    snoozed,
    state_of,
    succeeded,
)

KEY: Final = "the one"
BY_TOKEN: Final = frozenset(
    {
        Event.HEARTBEAT,
        Event.ACK_SUCCEEDED,
        Event.ACK_FAILED,
        Event.ACK_CANCELLED,
        Event.RETRY,
        Event.SNOOZE,
        Event.RELEASE,
        Event.DEATH,
    }
)
WITH_DELAY: Final = frozenset({Event.RETRY, Event.SNOOZE, Event.REPLACE})
TO_READY: Final = (Event.RETRY, Event.SNOOZE, Event.RELEASE, Event.LAPSE, Event.DEATH)
STATES: Final = (*(state for state in State if state is not State.BLOCKED), None)
"""None: the job is gone. No verb of the contract blocks a job yet."""
REASONS: Final = {Event.ACK_FAILED: "exhausted", Event.ACK_CANCELLED: "asked to"}


def pairs() -> Iterator[tuple[Event, State | None]]:
    """All pairs that can be brought about."""
    for event in Event:
        for state in STATES:
            no_token_yet = state is State.WAITING and event in BY_TOKEN
            no_dependencies = state is not State.WAITING and event is Event.DEPENDENCIES_DONE
            limits = event in {Event.LIMIT_FULL, Event.SLOT_FREE}
            if not (no_token_yet or no_dependencies or limits):
                yield event, state


ALLOWED: Final = [
    (event, state, delay)
    for event, state in pairs()
    if allowed(event, state)
    for delay in ((0, LONG) if event in WITH_DELAY else (0,))
]
REFUSED: Final = [(event, state) for event, state in pairs() if not allowed(event, state)]


class Subject(NamedTuple):
    """A job in some state.

    Attributes:
        claim: the present one of a running job, the holder's of a waiting one, else one that is over.
    """

    id: UUID
    claim: Claim | None = None


class LifecycleCases:
    """The table of `queuekit.lifecycle`, walked through."""

    @pytest.mark.parametrize(("event", "state", "delay"), ALLOWED)
    async def test_an_allowed_event_changes_what_the_table_says(
        self, backend: Backend, event: Event, state: State, delay: Micros
    ) -> None:
        subject = await bring(backend, state, event)
        before = await life(backend, subject.id)
        assert before.state is state
        change = await happens(backend, event, subject, delay)
        after = await life(backend, subject.id)
        expected = step(
            before, event, delay=delay, now_ms=after.delivery, reason=REASONS.get(event)
        )
        assert without_request(after) == without_request(expected)
        assert told_of(change) in {
            None,
            (JobRef("default", subject.id), state, expected.state, expected.generation, None),
        }

    @pytest.mark.parametrize(("event", "state"), REFUSED)
    async def test_a_refused_event_changes_nothing_and_names_the_state(
        self, backend: Backend, event: Event, state: State | None
    ) -> None:
        subject = await bring(backend, state, event)
        before = await life(backend, subject.id)
        assert before.state is state
        await is_refused(backend, event, subject, state)
        assert await life(backend, subject.id) == before

    @pytest.mark.parametrize("event", TO_READY)
    async def test_a_requested_cancel_ends_a_job_that_would_go_back(
        self, backend: Backend, event: Event
    ) -> None:
        subject = await bring(backend, State.RUNNING, event)
        await backend.inspector.steer(Event.CANCEL, [JobRef("default", subject.id)])
        before = await life(backend, subject.id)
        assert before.cancel_requested
        change = await happens(backend, event, subject, LONG)
        assert change == Change(JobRef("default", subject.id), State.RUNNING, State.CANCELLED)
        after = await life(backend, subject.id)
        assert without_request(after) == without_request(step(before, event, delay=LONG))
        assert after.state is State.CANCELLED


def told_of(change: Change | None) -> tuple[object, ...] | None:
    """What the table knows of a change; not every event is told."""
    return change and (change.ref, change.found, change.now, change.generation, change.refused)


async def bring(backend: Backend, state: State | None, event: Event) -> Subject:
    """A job in a state, ready for an event to happen to it, or to be refused."""
    if state is State.WAITING:
        holder = await running(backend, key=KEY)
        waiting = job(key=KEY, key_policy=KeyPolicy.REPLACE, **options_for(event, state))
        await put(backend, waiting)
        return Subject(waiting.id, holder)
    one = job(key=KEY, **options_for(event, state))
    await put(backend, one)
    stale = await lapsed_claim(backend) if event in BY_TOKEN else None
    if state is State.READY or (state is State.SCHEDULED and stale is None):
        return Subject(one.id, stale)
    present = await claim_one(backend, lease=BRIEF if event is Event.LAPSE else LONG)
    await leave_running(backend, present, state)
    return Subject(one.id, present if state is State.RUNNING else stale)


def options_for(event: Event, state: State | None) -> dict[str, Any]:
    """Options without which the event could not happen, or the state could not be reached."""
    options: dict[str, Any] = {}
    if state is State.SCHEDULED and event not in BY_TOKEN:
        options["delay"] = 20 * MILLISECOND if event is Event.DUE else LONG
    if event is Event.EXPIRE:
        unstarted = state in {State.READY, State.SCHEDULED}
        options["expires"] = MILLISECOND if unstarted else 500 * MILLISECOND
    return options


async def lapsed_claim(backend: Backend) -> Claim:
    """A claim whose lease is over, so that its token is a stale one from now on."""
    stale = await claim_one(backend, lease=BRIEF)
    await lapse(backend, stale)
    return stale


async def leave_running(backend: Backend, present: Claim, state: State | None) -> None:
    """From running to a state that is reached from there."""
    match state:
        case State.SCHEDULED:
            await give_back(backend, retried(present, LONG))
        case State.SUCCEEDED:
            await ack(backend, succeeded(present))
        case State.FAILED:
            await ack(backend, failed(present))
        case State.CANCELLED:
            await ack(backend, cancelled(present))
        case None:
            await ack(backend, succeeded(present))
            await backend.inspector.steer(Event.DELETE, [present.token.ref])
        case _:
            assert state is State.RUNNING


async def happens(backend: Backend, event: Event, subject: Subject, delay: Micros) -> Change | None:
    """An event that is allowed; what is told of it, if it is one that is told."""
    match event:
        case Event.DUE:
            await eventually(lambda: ticks_until(backend, subject.id, State.READY))
        case Event.CLAIM:
            assert (await claim_one(backend)).token.id == subject.id
        case Event.LAPSE:
            (change,) = await lapse(backend, claim_of(subject))
            return change
        case Event.EXPIRE if subject.claim is None:
            await eventually(lambda: ticks_until(backend, subject.id, State.FAILED))
        case Event.EXPIRE:
            (change,) = await backend.ack([failed(claim_of(subject), "expired")])
            return change
        case Event.DEPENDENCIES_DONE:
            await ack(backend, succeeded(claim_of(subject)))
        case Event.HEARTBEAT:
            assert not (await backend.heartbeat([claim_of(subject).token])).lost
        case Event.REPLACE:
            return await replace(backend, delay)
        case event if event in STEERING:
            return await steer(backend, event, subject.id)
        case _:
            return await settle(backend, event, claim_of(subject), delay)
    return None


async def is_refused(backend: Backend, event: Event, subject: Subject, state: State | None) -> None:
    """An event that is not allowed."""
    match event:
        case Event.DUE | Event.LAPSE:
            upkeep = await backend.maintain(["default"])
            assert (upkeep.promoted, list(upkeep.rescued)) == (0, [])
        case Event.CLAIM:
            fetched = await backend.fetch(Ask(["default"], 9, claimant(), LONG, 9))
            assert not fetched.claims
        case Event.EXPIRE:
            await asyncio.sleep(0.5)
            assert not (await backend.maintain(["default"])).expired
        case Event.HEARTBEAT:
            token = claim_of(subject).token
            assert list((await backend.heartbeat([token])).lost) == [token]
        case Event.REPLACE:
            assert (await replace(backend, 0)).ref.id != subject.id or state is State.WAITING
        case event if event in STEERING:
            change = await steer(backend, event, subject.id)
            assert (change.found, change.done) == (state, False)
        case _:
            change = await settle(backend, event, claim_of(subject), 0)
            ref = JobRef("default", subject.id)
            assert change == Change(ref, state, state, refused=Refusal.LOST)


async def ticks_until(backend: Backend, id: UUID, state: State) -> bool:  # noqa: A002  # as in the protocol
    """Move time on; whether the job has got there."""
    await backend.maintain(["default"])
    return await state_of(backend, id) is state


async def replace(backend: Backend, delay: Micros) -> Change:
    """Another job of the key comes, to replace the one that is there."""
    newer = job('"newer"', key=KEY, key_policy=KeyPolicy.REPLACE, delay=delay)
    (change,) = await backend.enqueue([newer])
    return change


async def steer(backend: Backend, event: Event, id: UUID) -> Change:  # noqa: A002  # as in the protocol
    """What people do to one job."""
    (change,) = await backend.inspector.steer(event, [JobRef("default", id)])
    return change


async def settle(backend: Backend, event: Event, claim: Claim, delay: Micros) -> Change:
    """What workers do to one run."""
    outcomes: dict[Event, Ack | Return] = {
        Event.ACK_SUCCEEDED: succeeded(claim),
        Event.ACK_FAILED: failed(claim),
        Event.ACK_CANCELLED: cancelled(claim, "asked to"),
        Event.RETRY: retried(claim, delay),
        Event.SNOOZE: snoozed(claim, delay),
        Event.RELEASE: released(claim),
        Event.DEATH: dead(claim),
    }
    fetched = await backend.fetch(Ask(["default"], 0, claimant(), LONG), settle=[outcomes[event]])
    (change,) = fetched.settled
    return change


def claim_of(subject: Subject) -> Claim:
    """The claim, where there must be one."""
    assert subject.claim is not None
    return subject.claim


async def life(backend: Backend, id: UUID) -> Life:  # noqa: A002  # as in the protocol
    """What the table knows of a job."""
    found: JobRecord | None
    (found,) = await backend.inspector.get([JobRef("default", id)])
    if found is None:
        return Life(None)
    return found.life


def without_request(life: Life) -> Life:
    """A finished job need not remember that it was asked to be cancelled, a job that is gone nothing."""
    if life.state is None:
        return Life(None)
    return life._replace(cancel_requested=life.cancel_requested and life.state not in FINISHED)
