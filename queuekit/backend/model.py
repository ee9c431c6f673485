"""What each event makes of a whole record: `queuekit.lifecycle.step` with times and notes. Pure; no I/O, no clock.

A backend whose store can run Python may decide by it; for the others it is the model that they are compared with.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from queuekit.backend.answers import Report
from queuekit.backend.changes import Change, Refusal, as_asked
from queuekit.backend.settings import (
    HEARD_WITHIN,
    KEEP_FOR_WAITERS,
    LOGS_KEPT,
    NOTES_KEPT,
    BackendSettings,
)
from queuekit.job import (
    LAST_MOMENT,
    SOLITARY_AFTER,
    SUSPECT_AFTER,
    Ack,
    Claim,
    Claimant,
    Job,
    JobOptions,
    JobRef,
    Keep,
    KeyPolicy,
    Micros,
    Reason,
    Return,
    ReturnKind,
    State,
    Token,
    bounded,
)
from queuekit.lifecycle import Event, step
from queuekit.record import JobRecord, Lease, Life, Settled, Times

EVENTS: Final[Mapping[State | ReturnKind, Event]] = {
    State.SUCCEEDED: Event.ACK_SUCCEEDED,
    State.FAILED: Event.ACK_FAILED,
    State.CANCELLED: Event.ACK_CANCELLED,
    ReturnKind.RETRY: Event.RETRY,
    ReturnKind.SNOOZE: Event.SNOOZE,
    ReturnKind.RELEASE: Event.RELEASE,
    ReturnKind.DEATH: Event.DEATH,
}
"""What happens to a job whose run came to this."""
_IN_HISTORY: Final[Mapping[Event, str]] = {
    Event.SNOOZE: "snooze",
    Event.RELEASE: "release",
    Event.LAPSE: "lapse",
    Event.DEATH: "death",
    Event.CANCEL: "cancel",
    Event.DRAIN: "cancel",
    Event.RERUN: "rerun",
}
SUSPECTS_AGAIN: Final[Micros] = 50_000
"""After so long who waits looks again whether it may take a suspect."""
KEEPS_ITS_PLACE: Final = frozenset({ReturnKind.RELEASE, Event.LAPSE})
"""What goes back to where it stood in line; all else goes to the end."""
_BY_THE_STORE: Final = frozenset({Reason.CRASHED, Reason.EXPIRED, Reason.INVALID_RESULT})


class Hold(NamedTuple):
    """Who holds a key; `until` None: until it is freed."""

    id: UUID
    until: Micros | None


class Gone(NamedTuple):
    """What stays of a job that is there no more: until when its id is known, and how its last run was settled."""

    until: Micros
    settled: Settled | None = None


def how_of(outcome: Ack | Return) -> State | ReturnKind:
    """How a run was settled."""
    return outcome.state if isinstance(outcome, Ack) else outcome.kind


@lru_cache(maxsize=128)
def _decided(options: JobOptions) -> JobOptions:
    """Without what an enqueue decides once and for all; the jobs of a task share it."""
    return replace(
        options, delay=0, due=None, expires=None, key_policy=KeyPolicy.REJECT, replicated=False
    )


def enqueued(job: Job[Any], now: Micros, *, follows: bool = False) -> JobRecord:
    """A job as it is stored.

    Args:
        job: that is enqueued.
        now: the server's clock.
        follows: whether it waits for the running job of its key.
    """
    options = job.options
    due = now + options.delay if options.due is None else options.due
    due = min(due, LAST_MOMENT)
    state = State.WAITING if follows else State.SCHEDULED if due > now else State.READY
    return JobRecord(
        job=job._replace(options=_decided(options), fresh=False),
        life=Life(state, max_lapses=options.max_lapses, max_crashes=options.max_crashes),
        times=Times(
            now,
            scheduled_at=due if due > now else None,
            expires_at=None if options.expires is None else min(now + options.expires, LAST_MOMENT),
        ),
    )


def replaced(old: JobRecord, job: Job[Any], now: Micros) -> JobRecord:
    """A job that has not begun, with the payload, options and due time of another one of its key."""
    new = enqueued(job, now, follows=old.state is State.WAITING)
    return replace(
        old,
        job=new.job._replace(id=old.job.id),
        life=old.life._replace(
            state=new.state, max_lapses=new.life.max_lapses, max_crashes=new.life.max_crashes
        ),
        times=old.times._replace(
            scheduled_at=new.times.scheduled_at, expires_at=new.times.expires_at
        ),
        origin=job.id,
    )


def reported(record: JobRecord, report: Report) -> JobRecord:
    """A job that runs, with its progress and the last of its log lines."""
    notes = record.notes
    logs = [*notes.logs, *report.logs][-LOGS_KEPT:]
    notes = notes._replace(progress=report.progress or notes.progress, logs=logs)
    return replace(record, notes=notes)


def claimed(record: JobRecord, claimant: Claimant, lease: Micros, now: Micros) -> JobRecord:
    """A job that runs; `lease` is for one without a lease of its own."""
    length = record.job.options.lease or lease
    return replace(
        record,
        life=step(record.life, Event.CLAIM, now_ms=now // 1000),
        times=record.times._replace(started_at=now, leased_until=now + length),
        lease=Lease(claimant, length),
    )


def claim_of(record: JobRecord, now: Micros, address: Any = None) -> Claim:
    """What a worker gets of a job that it has claimed."""
    life, (id_, task, payload, options, *_) = record.life, record.job
    expires = record.times.expires_at if life.attempt == 1 else None
    return Claim(
        Token(options.queue, id_, life.delivery, address, life.generation),
        task,
        payload,
        life.attempt,
        options.max_attempts,
        life.lapses,
        life.crashes,
        lease_of(record).length,
        None if expires is None else expires - now,
        options.extra,
    )


def lease_of(record: JobRecord) -> Lease:
    """The lease of a job that runs."""
    assert record.lease is not None, record
    return record.lease


def spared_until(record: JobRecord, now: Micros) -> Micros:
    """The end of a job's lease if an outage may have kept its owner from renewing it.

    He gets half of its length, and `HEARD_WITHIN`, from now on: so a lease that would have lasted longer anyhow ends
    no later for it.
    """
    length, leased_until = lease_of(record).length, record.times.leased_until or 0
    return max(leased_until, now + min(length, length // 2 + HEARD_WITHIN))


def left(  # all that an event may bring
    record: JobRecord,
    event: Event,
    now: Micros,
    *,
    delay: Micros = 0,
    reason: str | None = None,
    error: str | None = None,
    result: str | None = None,
) -> JobRecord:
    """A job that runs no more: it is to be `ended` if it has come to an end, else it is back in line."""
    delay = bounded(delay)
    life = step(record.life, event, delay=delay, reason=reason)
    how = next((how for how, one in EVENTS.items() if one is event), None)
    notes, times = record.notes._replace(result=result), record.times._replace(leased_until=None)
    if error is not None:
        text = json.dumps({**json.loads(error), "at": now})
        notes = notes._replace(errors=[*notes.errors, text][-NOTES_KEPT:])
    if life.state is State.SCHEDULED:
        times = times._replace(scheduled_at=min(now + delay, LAST_MOMENT))
    settled = Settled(how, life.delivery) if how else None
    after = replace(record, life=life, times=times, notes=notes, lease=None, settled=settled)
    return noted(after, event, now)


def settled(record: JobRecord, outcome: Ack | Return, now: Micros) -> JobRecord:
    """A job whose run came to this; what a store can't take ends it as failed (`invalid_result`)."""
    event = EVENTS[how_of(outcome)]
    if why := unstorable(outcome):
        text = invalid(record.life.attempt, why)
        return left(record, Event.ACK_FAILED, now, reason=Reason.INVALID_RESULT, error=text)
    if isinstance(outcome, Ack):
        reason, error, result = outcome.reason, outcome.error, outcome.result
        return left(record, event, now, reason=reason, error=error, result=result)
    return left(record, event, now, delay=outcome.delay, error=outcome.error)


def invalid(attempt: int, why: str) -> str:
    """The error of a run that came to something that its store does not take."""
    error = {"attempt": attempt, "type": "InvalidResult", "message": why, "traceback": ""}
    return json.dumps(error)


def answered(outcome: Ack | Return, change: Change) -> Change:
    """What is told of a settled run: who has acked it as failed knows why, unless the store did not take the ack."""
    if why := unstorable(outcome):
        return change._replace(refused=Refusal.UNSTORABLE, detail=why)
    return change._replace(task=None, reason=None) if isinstance(outcome, Ack) else change


def repeated(
    outcome: Ack | Return, before: Settled | None, record: JobRecord | None, seen: JobRecord | None
) -> Change:
    """The answer to an outcome whose run is over: the same again if it has settled that run itself.

    Args:
        outcome: that was sent.
        before: how the job's last run was settled, as far as that is remembered.
        record: of the job, if it is still there.
        seen: the same, unless it is past its retention.
    """
    token, why = outcome.token, unstorable(outcome)
    if before != Settled(State.FAILED if why else how_of(outcome), token.delivery):
        return refused(seen or token.ref, Refusal.LOST)
    if record and record.finished and (why or isinstance(outcome, Return)):
        return answered(outcome, told(State.RUNNING, record))
    asked = as_asked(outcome)
    return answered(outcome, asked._replace(now=State.FAILED) if why else asked)


def noted(record: JobRecord, event: Event, now: Micros) -> JobRecord:
    """With the event in its history, if it is one of those."""
    name = _IN_HISTORY.get(event)
    if name is None:
        return record
    text = json.dumps({"event": name, "at": now, "delivery": record.life.delivery})
    history = [*record.notes.history, text][-NOTES_KEPT:]
    return replace(record, notes=record.notes._replace(history=history))


def ended(record: JobRecord, now: Micros, age: Micros) -> JobRecord:
    """The record of a job that has come to its end, which is kept for so long."""
    times = record.times._replace(finished_at=now, kept_until=now + age, leased_until=None)
    life = record.life._replace(cancel_requested=False)
    return replace(record, life=life, times=times, lease=None, follows=None)


def kept(
    record: JobRecord, asked: Keep | None, settings: BackendSettings, *, awaited: bool
) -> Keep:
    """How long a record stays: as its own option says, else the ack, else the settings; at least for who waits."""
    succeeded = record.state is State.SUCCEEDED
    usual = settings.keep_succeeded if succeeded else settings.keep_failed
    keep = record.job.options.keep or asked or usual
    return Keep(max(keep.age, KEEP_FOR_WAITERS), keep.count) if awaited else keep


def followed(record: JobRecord, now: Micros) -> JobRecord:
    """A job whose predecessor is over."""
    due = record.times.scheduled_at
    state = State.SCHEDULED if due is not None and due > now else State.READY
    return replace(record, life=record.life._replace(state=state), follows=None)


def run_again(record: JobRecord, now: Micros) -> JobRecord:
    """A finished job that a person has made ready."""
    after = replace(
        record,
        life=step(record.life, Event.RERUN),
        times=Times(record.times.enqueued_at),
        notes=record.notes._replace(result=None, progress=None),
    )
    return noted(after, Event.RERUN, now)


def has_expired(record: JobRecord, now: Micros) -> bool:
    """Whether it has not begun in time; an attempt that counts has begun."""
    end = _expires_at(record)
    return end is not None and end <= now


def _expires_at(record: JobRecord) -> Micros | None:
    waits = record.state in {State.READY, State.SCHEDULED, State.BLOCKED}
    return record.times.expires_at if waits and record.life.attempt == 0 else None


def again_in(records: Iterable[JobRecord], now: Micros) -> Micros | None:
    """How long it is until the first of some jobs expires, or its lease runs out; None: that is not known of any."""
    ends = (record.times.leased_until or _expires_at(record) for record in records)
    return min((max(0, end - now) for end in ends if end is not None), default=None)


def ready_in(record: JobRecord, now: Micros) -> Micros:
    """How long it is until a job that waits may be claimed; of a suspect, whom not each may take: some time."""
    if record.state is State.SCHEDULED:
        return max(0, (record.times.scheduled_at or 0) - now)
    return SUSPECTS_AGAIN if record.life.lapses >= SUSPECT_AFTER else 0


def takes_key(record: JobRecord, now: Micros) -> bool:
    """Whether a job that comes as it is holds its key; `hold_of` says until when."""
    until = hold_of(record).until
    if record.job.key is None or record.follows is not None:
        return False
    if until is not None:
        return until > now
    begun = record.state is State.RUNNING or record.life.attempt > 0
    return not record.finished and not (record.job.options.key_until == "started" and begun)


def hold_of(record: JobRecord) -> Hold:
    """How it holds its key."""
    until = record.job.options.key_until
    end = record.times.enqueued_at + until if isinstance(until, int) else None
    return Hold(record.job.id, end)


def told(found: State | None, record: JobRecord) -> Change:
    """The change from a state to that of a record."""
    life, now = record.life, record.state
    own = now is State.FAILED and life.reason in _BY_THE_STORE and found is not None
    task, reason = (record.job.task, life.reason) if own else (None, None)
    return Change(record.ref, found, now, life.generation, task=task, reason=reason)


def refused(of: JobRecord | JobRef, why: Refusal, **more: Any) -> Change:
    """Nothing was done; of a job that is there, or of one that is not."""
    if isinstance(of, JobRecord):
        return Change(of.ref, of.state, of.state, of.life.generation, why, **more)
    return Change(of, None, None, 0, why, **more)


def unstorable(element: Job[Any] | Ack | Return | Report) -> str | None:
    """Why a store that keeps text as UTF-8 can't take an element, if it can't."""
    texts: Sequence[str | None]
    match element:
        case Job(_, task, payload, options, key):
            texts = (task, payload, key, options.extra, *options.tags)
        case Ack():
            texts = (element.result, element.reason, element.error)
        case Return():
            texts = (element.error,)
        case Report():
            texts = (element.progress, *element.logs)
    try:
        for text in texts:
            (text or "").encode()
    except UnicodeEncodeError as error:
        return str(error)
    return None


def is_solitary(record: JobRecord) -> bool:
    """Whether no other job like it may run beside it."""
    return record.life.lapses >= SOLITARY_AFTER


def in_turn(
    ready: Sequence[JobRecord], suspects: int, limit: int, *, alone: bool
) -> list[JobRecord]:
    """Which of the ready jobs of a queue to claim, in which order.

    Args:
        ready: in their order in line.
        suspects: at most so many of those with `SUSPECT_AFTER` or more lapses; they come first.
        limit: at most so many in all.
        alone: whether one with `SOLITARY_AFTER` or more is out; only one may be.
    """
    chosen: list[JobRecord] = []
    for one in ready:
        solitary = is_solitary(one)
        if one.life.lapses < SUSPECT_AFTER or (solitary and alone):
            continue
        if len(chosen) < min(suspects, limit):
            chosen.append(one)
            alone = alone or solitary
    return [*chosen, *(one for one in ready if one.life.lapses < SUSPECT_AFTER)][:limit]
