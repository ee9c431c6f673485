"""What becomes of a job, written: how it begins, the one door out of running, and every other way to end.

`queuekit.backend.model` decides it before.
"""

from dataclasses import replace

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS, Change, model
from queuekit.job import Keep, ReturnKind, State
from queuekit.lifecycle import Event, step
from queuekit.record import JobRecord
from queuekit_sqlite import doorbell, gates, keys, line, retention, rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Stored


def begin(tx: Transaction, record: JobRecord, *, takes_key: bool = True) -> Change:
    """A job comes, as its record says: to the end of the line, and it takes its key."""
    rows.add(tx, record)
    if takes_key:
        keys.take(tx, record)
    line.ring(tx, record)
    return model.told(None, record)


def leave(
    tx: Transaction,
    stored: Stored,
    after: JobRecord,
    how: State | ReturnKind | Event,
    keep: Keep | None = None,
) -> Change:
    """The one door out of running: a job finishes, or goes back into line.

    Args:
        tx: the transaction.
        stored: the job.
        after: what the end of its run has made of it.
        how: that was.
        keep: retention that the worker asks for.
    """
    if after.finished:
        return finish(tx, stored, after, keep)
    ready = codes.ready if how is Event.LAPSE else codes.ready_again
    line.put(tx, stored, after, old=how in model.KEEPS_ITS_PLACE, ready=ready)
    return model.told(State.RUNNING, after)


def finish(tx: Transaction, stored: Stored, after: JobRecord, asked: Keep | None = None) -> Change:
    """End a job: its record, who waits for it, its key and its follower.

    Args:
        tx: the transaction.
        stored: the job.
        after: the same, in the state of its end.
        asked: retention that the worker asks for; the job's own goes before it.
    """
    awaited = doorbell.is_awaited(tx, after.ref)
    keep = model.kept(after, asked, tx.settings, awaited=awaited)
    ended = model.ended(after, tx.now, keep.age)
    if keep.age:
        spared = tx.now + KEEP_FOR_WAITERS if awaited else None
        rows.write(tx, stored, ended, rows.code_of(ended), spared)
        retention.note_success(tx, ended, keep)
    else:
        retention.drop(tx, stored, ended)
    gates.bury(tx, ended)
    if awaited:
        doorbell.tell_waiters(tx, ended.ref)
    keys.follow(tx, ended)
    return model.told(stored.record.state, ended)


def expire(tx: Transaction, queues: str, limit: int) -> list[Change]:
    """Jobs of some queues (a JSON array) that have not begun in time fail."""
    overdue = [rows.at(tx, seq) for (seq,) in tx.all("find_overdue", queues, tx.now, limit)]
    return [finish(tx, one, after(one.record, Event.EXPIRE)) for one in overdue]


def after(record: JobRecord, event: Event) -> JobRecord:
    """A job after an event that changes nothing but its life."""
    return replace(record, life=step(record.life, event))
