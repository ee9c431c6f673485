"""What becomes of a job: the one door out of running, and every other way to end."""

from typing import Final
from uuid import UUID

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS, Ended
from queuekit.job import Keep, Micros, Reason, State
from queuekit.lifecycle import Event, Life, step
from queuekit_sqlite import doorbell, keys, line, notes, retention, rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Row

_NOTED: Final = frozenset({Event.SNOOZE, Event.RELEASE, Event.LAPSE, Event.DEATH})
"""What goes into the history of a job: a retry is seen by its error, an ack by the record."""
_UNSPENT: Final = frozenset({Event.RELEASE, Event.LAPSE})
"""By these a job goes back to its old place in line."""


def leave(
    tx: Transaction,
    row: Row,
    event: Event,
    *,
    delay: Micros = 0,
    reason: str | None = None,
    result: str | None = None,
    keep: Keep | None = None,
) -> None:
    """The one door out of running: by the table of the life a job finishes or goes back into line.

    Args:
        tx: the transaction.
        row: the job, with what its worker says of the run (an error, how it is settled) added.
        event: how the run is over.
        delay: of a retry or snooze.
        reason: why an ack says that it failed or was cancelled.
        result: what it returned.
        keep: retention that the worker asks for.
    """
    after = step(life_of(row), event, delay=delay, reason=reason)
    row = row._replace(attempt=after.attempt, lapses=after.lapses, crashes=after.crashes)
    if event in _NOTED:
        row = notes.with_event(tx, row, event.value)
    match after.state:
        case State.READY | State.SCHEDULED as state:
            due = tx.now + delay if state is State.SCHEDULED else None
            ready = codes.ready if event is Event.LAPSE else codes.ready_again
            line.put(tx, row, due, old=event in _UNSPENT, ready=ready)
        case State.FAILED if event is not Event.ACK_FAILED:
            fail(tx, row, Reason.CRASHED)
        case State.SUCCEEDED | State.FAILED | State.CANCELLED as end:
            finish(tx, row, codes.ENDS[end], reason=after.reason, result=result, keep=keep)


def finish(
    tx: Transaction,
    row: Row,
    code: int,
    *,
    reason: str | None = None,
    result: str | None = None,
    keep: Keep | None = None,
) -> None:
    """End a job: its record, who waits for it, its key and its successor.

    Args:
        tx: the transaction.
        row: the job.
        code: of the end.
        reason: why it failed or was cancelled.
        result: what it returned.
        keep: retention that the worker asks for; the job's own goes before it.
    """
    keep = retention.of_job(tx, row, code, keep)
    awaited = doorbell.is_awaited(tx, row.id, row.queue)
    if awaited:
        keep = Keep(max(keep.age, KEEP_FOR_WAITERS), keep.count)
    if not keep.age:
        retention.drop(tx, row, code)
    else:
        kept, spared = tx.now + keep.age, tx.now + KEEP_FOR_WAITERS if awaited else None
        why = None if reason is None else str(reason)  # of a StrEnum
        tx.run("finish", row.seq, code, tx.now, kept, spared, result, why, *row.traces)
        if code == codes.SUCCEEDED:
            retention.note_growth(tx, {(row.queue, row.task): keep})
    if awaited:
        doorbell.tell_waiters(tx, row.id, row.queue)
    keys.follow(tx, row)


def fail(tx: Transaction, row: Row, reason: Reason) -> None:
    """End a job as failed without an ack: no worker knows of it."""
    finish(tx, row, codes.FAILED, reason=reason)
    tx.ended.append(Ended(row.queue, UUID(bytes=row.id), row.task, reason))


def expire(tx: Transaction, limit: int) -> int:
    """Jobs that have not begun in time fail; how many."""
    overdue = tx.all("find_overdue", tx.now, limit)
    for (seq,) in overdue:
        fail(tx, rows.at(tx, seq), Reason.EXPIRED)
    return len(overdue)


def life_of(row: Row) -> Life:
    """What the table of the life needs to know of a job."""
    return Life(
        state=codes.STATES[row.state],
        attempt=row.attempt,
        delivery=row.delivery,
        lapses=row.lapses,
        crashes=row.crashes,
        generation=row.generation,
        cancel_requested=bool(row.cancel_requested),
        max_lapses=row.max_lapses,
        max_crashes=row.max_crashes,
    )
