"""The gates of queues that are in a cutover, and what the verbs owe to them."""

from collections.abc import Iterable

from queuekit.backend import Gate, Guard, Refusal
from queuekit.record import JobRecord
from queuekit_sqlite.connection import Transaction


def find(tx: Transaction, queue: str) -> Gate | None:
    """The gate of a queue."""
    found = tx.one("find_gate", queue)
    return Gate.of(found[0]) if found else None


def any_there(tx: Transaction) -> bool:
    """Whether any queue is in a cutover."""
    return tx.one("any_gate") is not None


def any_refuses(tx: Transaction, queues: Iterable[str], guard: Guard | None) -> bool:
    """Whether one of these queues takes no new ids, or not under this guard."""
    if guard is None and not any_there(tx):
        return False
    return any(refusal(tx, queue, guard) for queue in queues)


def refusal(tx: Transaction, queue: str, guard: Guard | None) -> tuple[Refusal, str | None] | None:
    """Why a queue does not take a new id, and where it has moved to; None: it does."""
    gate = find(tx, queue)
    if gate and gate.shut:
        return Refusal.MOVED, gate.other
    if guard is None:
        return None
    if guard.epoch is not None and (gate is None or gate.epoch != guard.epoch):
        return Refusal.STALE, None
    return (Refusal.LATE, None) if tx.now > guard.until else None


def bury(tx: Transaction, record: JobRecord) -> None:
    """What ends, or goes, leaves a tombstone if its queue is in a cutover."""
    if find(tx, record.ref.queue):
        tx.run("bury", record.job.id.bytes, record.ref.queue, record.life.generation)
