"""Unique keys: who holds one, until when, and who comes next."""

from typing import NamedTuple

from queuekit.job import Micros
from queuekit_sqlite import line, rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Row


class Holder(NamedTuple):
    """The job that holds a key; `seq` and `state` are None if it is gone and the key is protected still."""

    id: bytes
    seq: int | None
    state: int | None


def holder(tx: Transaction, queue: str, key: str) -> Holder | None:
    """Who holds a key now."""
    found = tx.one("find_holder", queue, key, tx.now)
    return Holder(*found) if found else None


def take(
    tx: Transaction,
    queue: str,
    key: str,
    id_: bytes,
    key_until: Micros | str | None,
    enqueued_at: Micros,
) -> None:
    """Hold a key, from now on until the job has started, has finished, or so long from its enqueue."""
    until = enqueued_at + key_until if isinstance(key_until, int) else None
    tx.run("take_key", queue, key, id_, until)


def free(tx: Transaction, queue: str, key: str, id_: bytes) -> None:
    """Give a key back, if the job holds it and it is not protected for a time."""
    tx.run("free_key", queue, key, id_)


def successor(tx: Transaction, queue: str, id_: bytes) -> Row | None:
    """The job that waits for a job of its key to finish."""
    found = tx.one("find_successor", queue, id_)
    return rows.at(tx, found[0]) if found else None


def follow(tx: Transaction, row: Row) -> None:
    """A job is gone: its key is free, and its successor takes it and comes into line."""
    if row.key is None:
        return
    free(tx, row.queue, row.key, row.id)
    if follower := successor(tx, row.queue, row.id):
        take(tx, row.queue, row.key, follower.id, follower.key_until, follower.enqueued_at)
        line.put(tx, follower, follower.scheduled_at)
