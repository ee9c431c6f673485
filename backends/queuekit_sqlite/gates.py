"""The gates of queues that are in a cutover, and what the verbs owe to them."""

from collections.abc import Iterable

from queuekit.backend import Gate
from queuekit.record import JobRecord
from queuekit_sqlite.connection import Transaction


def find(tx: Transaction, queue: str) -> Gate | None:
    """The gate of a queue."""
    found = tx.one("find_gate", queue)
    return Gate.of(found[0]) if found else None


def any_there(tx: Transaction) -> bool:
    """Whether any queue is in a cutover."""
    return tx.one("any_gate") is not None


def any_shut(tx: Transaction, queues: Iterable[str]) -> bool:
    """Whether one of these queues takes no new ids."""
    return any_there(tx) and any(gate.shut for queue in queues if (gate := find(tx, queue)))


def bury(tx: Transaction, record: JobRecord) -> None:
    """What ends, or goes, leaves a tombstone if its queue is in a cutover."""
    if find(tx, record.ref.queue):
        tx.run("bury", record.job.id.bytes, record.ref.queue, record.life.generation)
