"""Unique keys: who holds one, until when, and who comes next."""

from typing import NamedTuple
from uuid import UUID

from queuekit.backend import model
from queuekit.job import JobRef
from queuekit.record import JobRecord
from queuekit_sqlite import line, rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Stored


class Holder(NamedTuple):
    """The job that holds a key; `seq` is None if it is gone and the key is protected still."""

    id: UUID
    seq: int | None


def holder(tx: Transaction, queue: str, key: str | None) -> Holder | None:
    """Who holds a key now."""
    found = None if key is None else tx.one("find_holder", queue, key, tx.now)
    return Holder(UUID(bytes=found[0]), found[1]) if found else None


def takes(tx: Transaction, record: JobRecord) -> bool:
    """Whether a job that comes as it is holds its key, for a time that is not over."""
    return model.takes_key(record, tx.now)


def take(tx: Transaction, record: JobRecord) -> None:
    """Hold the key, until the job has started, has finished, or so long from its enqueue."""
    # Also for a time that is over: whoever held it before holds it for no longer then.
    if model.takes_key(record, 0):
        id_, until = model.hold_of(record)
        tx.run("take_key", record.ref.queue, record.job.key, id_.bytes, until)


def free(tx: Transaction, ref: JobRef, key: str) -> None:
    """Give a key back, if the job holds it and it is not protected for a time."""
    tx.run("free_key", ref.queue, key, ref.id.bytes)


def follower(tx: Transaction, ref: JobRef) -> Stored | None:
    """The job that waits for a job of its key to finish."""
    found = tx.one("find_follower", ref.queue, ref.id.bytes)
    return rows.at(tx, found[0]) if found else None


def follow(tx: Transaction, record: JobRecord) -> None:
    """A job is gone: its key is free, and its follower takes it and comes into line."""
    if record.job.key is None:
        return
    free(tx, record.ref, record.job.key)
    if waiting := follower(tx, record.ref):
        after = model.followed(waiting.record, tx.now)
        take(tx, after)
        line.put(tx, waiting, after)
