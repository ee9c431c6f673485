"""The life of a job: which event is allowed in which state, and what it changes. Pure; no I/O, no clock.

`step` is the table as a function: backends implement it in Lua and SQL, and the conformance suite walks through every
row and every refused pair. `settle` decides what becomes of a run, by the same table, before anything is written.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from queuekit.job import (
    Ack,
    Claim,
    Keep,
    Micros,
    Reason,
    Return,
    ReturnKind,
    State,
)
from queuekit.record import Life


class Event(StrEnum):
    """What can happen to a stored job."""

    DUE = "due"
    CLAIM = "claim"
    HEARTBEAT = "heartbeat"
    ACK_SUCCEEDED = "ack succeeded"
    ACK_FAILED = "ack failed"
    ACK_CANCELLED = "ack cancelled"
    RETRY = "retry"
    SNOOZE = "snooze"
    RELEASE = "release"
    LAPSE = "lapse"
    DEATH = "death"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RERUN = "rerun"
    """a person's retry"""
    PROMOTE = "promote"
    LIMIT_FULL = "limit full"
    SLOT_FREE = "slot free"
    DEPENDENCIES_DONE = "dependencies done"
    REPLACE = "replace"
    DRAIN = "drain"
    CLEAN = "clean"
    DELETE = "delete"


_UNSTARTED = frozenset({State.SCHEDULED, State.READY, State.WAITING, State.BLOCKED})
_RUNNING = frozenset({State.RUNNING})
_FINISHED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

ALLOWED: Final[Mapping[Event, frozenset[State]]] = {
    Event.DUE: frozenset({State.SCHEDULED}),
    Event.CLAIM: frozenset({State.READY}),
    Event.HEARTBEAT: _RUNNING,
    Event.ACK_SUCCEEDED: _RUNNING,
    Event.ACK_FAILED: _RUNNING,
    Event.ACK_CANCELLED: _RUNNING,
    Event.RETRY: _RUNNING,
    Event.SNOOZE: _RUNNING,
    Event.RELEASE: _RUNNING,
    Event.LAPSE: _RUNNING,
    Event.DEATH: _RUNNING,
    Event.CANCEL: _UNSTARTED | _RUNNING,
    Event.EXPIRE: frozenset({State.SCHEDULED, State.READY, State.BLOCKED, State.RUNNING}),
    Event.RERUN: frozenset({State.FAILED, State.CANCELLED}),
    Event.PROMOTE: frozenset({State.SCHEDULED}),
    Event.LIMIT_FULL: frozenset({State.READY}),
    Event.SLOT_FREE: frozenset({State.BLOCKED}),
    Event.DEPENDENCIES_DONE: frozenset({State.WAITING}),
    Event.REPLACE: frozenset({State.SCHEDULED, State.READY}),
    Event.DRAIN: frozenset({State.SCHEDULED, State.READY}),
    Event.CLEAN: _FINISHED,
    Event.DELETE: _UNSTARTED | _FINISHED,
}
"""From which states an event is allowed; anything else is refused, and the refusal names the state."""


def allowed(event: Event, state: State | None) -> bool:
    """Whether an event is allowed in a state."""
    return state in ALLOWED[event]


def step(
    life: Life, event: Event, *, delay: Micros = 0, now_ms: int = 0, reason: str | None = None
) -> Life:
    """The life after an event.

    Args:
        life: before.
        event: what happens.
        delay: of a retry, snooze or replacement.
        now_ms: the server's clock, for a claim.
        reason: of a failure or a cancellation by the task.

    Raises:
        ValueError: the event is refused in this state.
    """
    if not allowed(event, life.state):
        raise ValueError(f"{event} is refused in {life.state}")
    later = State.SCHEDULED if delay else State.READY
    uncounted = life._replace(attempt=life.attempt - 1)
    match event:
        case Event.DUE | Event.PROMOTE | Event.SLOT_FREE | Event.DEPENDENCIES_DONE:
            return life._replace(state=State.READY)
        case Event.CLAIM:
            delivery = max(life.delivery + 1, now_ms)
            return life._replace(state=State.RUNNING, attempt=life.attempt + 1, delivery=delivery)
        case Event.HEARTBEAT:
            return life
        case Event.ACK_SUCCEEDED:
            return life._replace(state=State.SUCCEEDED)
        case Event.ACK_FAILED:
            return life._replace(state=State.FAILED, reason=reason)
        case Event.ACK_CANCELLED:
            return life._replace(state=State.CANCELLED, reason=reason)
        case Event.RETRY:
            return _unless_cancelled(life, later)
        case Event.SNOOZE:
            return _unless_cancelled(uncounted, later)
        case Event.RELEASE:
            return _unless_cancelled(uncounted, State.READY)
        case Event.LAPSE:
            return _lapsed(uncounted._replace(lapses=life.lapses + 1))
        case Event.DEATH:
            return _died(uncounted._replace(crashes=life.crashes + 1))
        case Event.CANCEL if life.state is State.RUNNING:
            return life._replace(cancel_requested=True)
        case Event.CANCEL | Event.DRAIN:
            return life._replace(state=State.CANCELLED)
        case Event.EXPIRE:
            return life._replace(state=State.FAILED, reason=Reason.EXPIRED)
        case Event.RERUN:
            again = {"attempt": 0, "lapses": 0, "crashes": 0, "generation": life.generation + 1}
            return life._replace(state=State.READY, cancel_requested=False, reason=None, **again)
        case Event.LIMIT_FULL:
            return life._replace(state=State.BLOCKED)
        case Event.REPLACE:
            return life._replace(state=later)
        case Event.CLEAN | Event.DELETE:
            return life._replace(state=None)


def _unless_cancelled(life: Life, state: State) -> Life:
    return life._replace(state=State.CANCELLED if life.cancel_requested else state)


def _lapsed(life: Life) -> Life:
    if life.cancel_requested or life.lapses < life.max_lapses:
        return _unless_cancelled(life, State.READY)
    return life._replace(state=State.FAILED, reason=Reason.CRASHED)


def _died(life: Life) -> Life:
    if life.crashes < life.max_crashes:
        return _unless_cancelled(life, State.READY)
    return life._replace(state=State.FAILED, reason=Reason.CRASHED)


class Succeeded(NamedTuple):
    """The task returned; `result` is JSON text."""

    result: str


class Failed(NamedTuple):
    """The task raised, timed out, or could not be begun.

    Attributes:
        error: JSON object text (see `queuekit.codec.failure`); None if it was not begun.
        reason: if that is final whatever attempts remain.
        timed_out: counts like any other error, but names the reason if it was the last.
        delay: microseconds until the next attempt, if there is one.
    """

    error: str | None
    reason: Reason | None = None
    timed_out: bool = False
    delay: Micros = 0


class Cancelled(NamedTuple):
    """The task raised Cancel, or was interrupted on request."""

    reason: str | None = None


class Snoozed(NamedTuple):
    """To be run again after `delay` microseconds, uncounted."""

    delay: Micros


class Released(NamedTuple):
    """Not finished for reasons of the worker's own."""


class Died(NamedTuple):
    """The child process that ran nothing but this job died."""

    error: str


Outcome: TypeAlias = Succeeded | Failed | Cancelled | Snoozed | Released | Died
"""What one run came to."""


_SUCCEEDED: Final = State.SUCCEEDED  # on Python 3.11 members of an enum are slow look-ups


def settle(claim: Claim, outcome: Outcome, keep: Keep | None = None) -> Ack | Return:
    """What a worker asks the backend to write for a run's outcome."""
    token, task = claim.token, claim.task
    match outcome:
        case Succeeded(result):
            return Ack(token, task, _SUCCEEDED, result, None, None, keep)
        case Failed(error, reason, timed_out, delay):
            if reason is None and claim.attempt < claim.max_attempts:
                return Return(token, ReturnKind.RETRY, delay, error)
            final = reason or (Reason.TIMEOUT if timed_out else Reason.EXHAUSTED)
            return Ack(token, task, State.FAILED, reason=final, error=error, keep=keep)
        case Cancelled(why):
            return Ack(token, task, State.CANCELLED, reason=why, keep=keep)
        case Snoozed(delay):
            return Return(token, ReturnKind.SNOOZE, delay)
        case Released():
            return Return(token, ReturnKind.RELEASE)
        case Died(error):
            return Return(token, ReturnKind.DEATH, error=error)
