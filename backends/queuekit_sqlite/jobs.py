"""The rows of jobs, and every way a job changes its state."""

import json
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS, NOTES_KEPT, REMEMBER_IDS, Ended
from queuekit.job import JobOptions, Keep, Micros, Reason, Return, State, bounded
from queuekit.lifecycle import Event, Life, step
from queuekit_sqlite import keys
from queuekit_sqlite.transaction import Transaction


class Row(NamedTuple):
    """What deciding needs of a job: a row of `read_row`."""

    seq: int
    id: bytes
    queue: str
    state: int
    task: str
    attempt: int
    delivery: int
    lapses: int
    crashes: int
    generation: int
    enqueued_at: Micros
    scheduled_at: Micros | None
    claimant: str | None
    cancel_requested: int
    expires_at: Micros | None
    max_crashes: int
    max_lapses: int
    key: str | None
    key_until: Micros | str | None
    keep_age: Micros | None
    keep_count: int | None
    settled: int | None
    settled_delivery: int | None
    errors: str | None
    history: str | None


def at(tx: Transaction, seq: int) -> Row:
    """The job at a place."""
    return Row(*tx.all("read_row", seq)[0])


def find(tx: Transaction, id_: bytes, queue: str) -> Row | None:
    """A job by its id."""
    found = tx.one("find_seq", id_, queue)
    return at(tx, found[0]) if found else None


def options(given: JobOptions, now: Micros, *, keyed: bool) -> tuple[object, ...]:
    """What options say, in the order of `enqueue` and `replace`."""
    due = given.due if given.due is not None else now + given.delay
    keep = given.keep
    return (
        given.priority,
        given.max_attempts,
        due if due > now else None,
        None if given.expires is None else now + given.expires,
        given.lease,
        given.max_crashes,
        given.max_lapses,
        given.key_until if keyed else None,
        keep and keep.age,
        keep and keep.count,
        json.dumps(given.tags) if given.tags else None,
        given.extra,
    )


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
    keep = _retention(tx, row, code, keep)
    awaited = tx.one("find_waiters", row.id, row.queue, tx.now)
    age = max(keep.age, KEEP_FOR_WAITERS) if awaited else keep.age
    how = (row.settled, row.settled_delivery) if settled is None else (settled, row.delivery)
    if not age:
        drop(tx, row, code, *how)
    else:
        spared = tx.now + KEEP_FOR_WAITERS if awaited else None
        tx.run("finish", row.seq, code, tx.now, tx.now + age, *how, result, reason, spared)
        if code == codes.SUCCEEDED:
            tx.run("note_growth", row.queue, row.task, keep.count, tx.now + age)
    if awaited:
        tx.ring_waiters(row.id, row.queue)
    leave_key(tx, row)


def drop(
    tx: Transaction,
    row: Row,
    code: int | None = None,
    settled: int | None = None,
    settled_delivery: int | None = None,
) -> None:
    """Remove a job; only its id stays remembered, and how it ended."""
    point = row.seq, row.id, row.delivery, row.state
    tx.run("remember_id", *point, code, tx.now + REMEMBER_IDS, settled, settled_delivery)
    tx.run("drop", *point)


def leave_key(tx: Transaction, row: Row) -> None:
    """A job that is gone frees its key, and its successor comes into line."""
    if row.key is None:
        return
    keys.free(tx, row.queue, row.key, row.id)
    if successor := tx.one("find_successor", row.queue, row.id):
        heir = at(tx, successor[0])
        keys.take(tx, heir.queue, row.key, heir.id, heir.key_until, heir.enqueued_at)
        place(tx, heir, heir.scheduled_at)


def place(
    tx: Transaction,
    row: Row,
    due: Micros | None,
    *,
    old: bool = False,
    ready: Callable[[int], int] = codes.ready,
) -> None:
    """A job is scheduled if it is due later, else ready at the end of the line (with `old`: in its old place)."""
    code = codes.SCHEDULED if due is not None and due > tx.now else ready(row.lapses)
    seq = row.seq if old else tx.take_places(1)[0]
    tx.run("put_in_line", row.seq, seq, code, due)
    tx.stirred.add(row.queue)


def promote(tx: Transaction, limit: int) -> int:
    """Due jobs become ready; how many."""
    due = tx.all("find_due", tx.now, limit)
    if due:
        places = tx.take_places(len(due))
        rows = [
            (seq, new, codes.ready(lapses))
            for (seq, _, lapses), new in zip(due, places, strict=True)
        ]
        tx.run_many("promote", rows)
        tx.stirred.update(queue for _, queue, _ in due)
    return len(due)


def expire(tx: Transaction, limit: int) -> int:
    """Jobs that have not begun in time fail; how many."""
    overdue = tx.all("find_overdue", tx.now, limit)
    for (seq,) in overdue:
        fail(tx, at(tx, seq), Reason.EXPIRED)
    return len(overdue)


def fail(tx: Transaction, row: Row, reason: Reason) -> None:
    """End a job as failed without an ack."""
    finish(tx, row, codes.FAILED, reason=reason.value)
    tx.ended.append(Ended(row.queue, UUID(bytes=row.id), row.task, reason))


def lapse(tx: Transaction, row: Row) -> None:
    """A lease ran out."""
    _come_back(tx, row, Event.LAPSE)


def put_back(tx: Transaction, row: Row, back: Return) -> None:
    """A worker gives a running job back."""
    row = row._replace(settled=codes.settlement(back), settled_delivery=row.delivery)
    if back.error is not None:
        row = row._replace(errors=_with_error(tx, row, back.error))
    _come_back(tx, row, Event(back.kind.value), bounded(back.delay))


def _come_back(tx: Transaction, row: Row, event: Event, delay: Micros = 0) -> None:
    """A run is over, and perhaps its job: the table of the life decides."""
    after = step(life_of(row), event, delay=delay)
    row = row._replace(attempt=after.attempt, lapses=after.lapses, crashes=after.crashes)
    if event is not Event.RETRY:  # which has left an error
        row = row._replace(history=noted(tx, row, event.value))
    amend(tx, row)
    if after.state is State.FAILED:
        fail(tx, row, Reason.CRASHED)
    elif after.state is State.CANCELLED:
        finish(tx, row, codes.CANCELLED)
    else:
        due = tx.now + delay if after.state is State.SCHEDULED else None
        ready = codes.ready if event is Event.LAPSE else codes.ready_again
        place(tx, row, due, old=event in {Event.RELEASE, Event.LAPSE}, ready=ready)


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


def fail_run(tx: Transaction, row: Row, error: str) -> Row:
    """Keep the error of a run that ends its job."""
    row = row._replace(errors=_with_error(tx, row, error))
    amend(tx, row)
    return row


def amend(tx: Transaction, row: Row) -> None:
    """Store the counters and notes of a row."""
    tx.run(
        "amend",
        row.seq,
        row.attempt,
        row.lapses,
        row.crashes,
        row.cancel_requested,
        row.settled,
        row.settled_delivery,
        row.errors,
        row.history,
    )


def noted(tx: Transaction, row: Row, event: str) -> str:
    """The history of a job with one more event."""
    note = json.dumps({"event": event, "at": tx.now, "delivery": row.delivery})
    return _prepended(note, row.history, NOTES_KEPT)


def _with_error(tx: Transaction, row: Row, error: str) -> str:
    return _prepended(json.dumps({**json.loads(error), "at": tx.now}), row.errors, NOTES_KEPT)


def _prepended(line: str, lines: str | None, most: int) -> str:
    return "\n".join([line, *lines.split("\n")][:most]) if lines else line


def _retention(tx: Transaction, row: Row, code: int, keep: Keep | None) -> Keep:
    if row.keep_age is not None:
        return Keep(row.keep_age, row.keep_count)
    if keep is not None:
        return keep
    settings = tx.settings
    return settings.keep_succeeded if code == codes.SUCCEEDED else settings.keep_failed
