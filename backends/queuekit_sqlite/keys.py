"""Unique keys: who holds one, and until when."""

from typing import NamedTuple

from queuekit.job import Micros
from queuekit_sqlite.transaction import Transaction


class Holder(NamedTuple):
    """The job that holds a key; `seq` and `code` are None if it is gone and the key is protected still."""

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
