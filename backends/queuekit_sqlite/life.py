"""What becomes of a job when its run is over, and how it ends."""

from uuid import UUID

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS, Ended
from queuekit.job import Keep, Micros, Reason, Return, State, bounded
from queuekit.lifecycle import Event, Life, step
from queuekit_sqlite import doorbell, keys, line, notes, retention, rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Row


def lapse(tx: Transaction, row: Row) -> None:
    """A lease ran out."""
    _come_back(tx, row, Event.LAPSE)


def put_back(tx: Transaction, row: Row, back: Return) -> None:
    """A worker gives a running job back."""
    row = row._replace(settled=codes.settlement(back), settled_delivery=row.delivery)
    if back.error is not None:
        row = notes.with_error(tx, row, back.error)
    _come_back(tx, row, Event(back.kind.value), bounded(back.delay))


def _come_back(tx: Transaction, row: Row, event: Event, delay: Micros = 0) -> None:
    """A run is over, and perhaps its job: the table of the life decides."""
    after = step(life_of(row), event, delay=delay)
    row = row._replace(attempt=after.attempt, lapses=after.lapses, crashes=after.crashes)
    if event is not Event.RETRY:  # which has left an error
        row = notes.with_event(tx, row, event.value)
    notes.amend(tx, row)
    if after.state is State.FAILED:
        fail(tx, row, Reason.CRASHED)
    elif after.state is State.CANCELLED:
        finish(tx, row, codes.CANCELLED)
    else:
        due = tx.now + delay if after.state is State.SCHEDULED else None
        ready = codes.ready if event is Event.LAPSE else codes.ready_again
        line.put(tx, row, due, old=event in {Event.RELEASE, Event.LAPSE}, ready=ready)


def finish(
    tx: Transaction,
    row: Row,
    code: int,
    *,
    reason: str | None = None,
    result: str | None = None,
    keep: Keep | None = None,
    settled: int | None = None,
) -> None:
    """End a job: its record, its key, its successor, and who waits for it.

    Args:
        tx: the transaction.
        row: the job.
        code: of the end.
        reason: why it failed or was cancelled.
        result: what it returned.
        keep: retention that the worker asks for; the job's own goes before it.
        settled: how its present run is settled by this; None: not by a worker.
    """
    keep = retention.of_job(tx, row, code, keep)
    awaited = doorbell.is_awaited(tx, row.id, row.queue)
    if awaited:
        keep = Keep(max(keep.age, KEEP_FOR_WAITERS), keep.count)
    how = (row.settled, row.settled_delivery) if settled is None else (settled, row.delivery)
    if not keep.age:
        retention.drop(tx, row, code, *how)
    else:
        spared = tx.now + KEEP_FOR_WAITERS if awaited else None
        tx.run("finish", row.seq, code, tx.now, tx.now + keep.age, *how, result, reason, spared)
        if code == codes.SUCCEEDED:
            retention.note_growth(tx, {(row.queue, row.task): keep})
    if awaited:
        doorbell.tell_waiters(tx, row.id, row.queue)
    keys.follow(tx, row)


def fail(tx: Transaction, row: Row, reason: Reason) -> None:
    """End a job as failed without an ack."""
    finish(tx, row, codes.FAILED, reason=reason.value)
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
