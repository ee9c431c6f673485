"""The gates of queues that are in a cutover, and what the verbs owe to them."""

from collections.abc import Iterable
from typing import Final

from queuekit.backend import Gate, Guard, Refusal
from queuekit.record import JobRecord
from queuekit_sqlite.connection import Transaction

WHENEVER: Final = Guard(None, 2**63 - 1)
"""Of what the store itself stores, as ticks: it needs no gate."""


def find(tx: Transaction, queue: str) -> Gate | None:
    """The gate of a queue."""
    found = tx.one("find_gate", queue)
    return Gate.of(found[0]) if found else None


def any_there(tx: Transaction) -> bool:
    """Whether any queue is in a cutover."""
    return tx.one("any_gate") is not None


def active(tx: Transaction, queues: Iterable[str]) -> list[str]:
    """Those queues whose schedules tick here."""
    if not any_there(tx):
        return list(queues)
    return [queue for queue in queues if (gate := find(tx, queue)) is None or gate.active]


def any_refuses(tx: Transaction, queues: Iterable[str], guard: Guard | None) -> bool:
    """Whether one of these queues takes no new ids without keys, or not under this guard."""
    if guard is None and not any_there(tx):
        return False
    return any(refusal(tx, queue, guard, keyed=False) for queue in queues)


def refusal(
    tx: Transaction, queue: str, guard: Guard | None, *, keyed: bool
) -> tuple[Refusal, str | None] | None:
    """Why a queue does not take a new id, and where it has moved to; None: it does."""
    gate = find(tx, queue)
    if gate and gate.shut:
        return Refusal.MOVED, gate.other
    if guard is None:
        if keyed and gate and not (gate.active and gate.epoch == 1):
            return (Refusal.STALE if gate.active else Refusal.MOVED), gate.other
        return None
    if guard.epoch is not None and (gate is None or gate.epoch != guard.epoch):
        return Refusal.STALE, None
    return (Refusal.LATE, None) if tx.now > guard.until else None


def bury(tx: Transaction, record: JobRecord) -> None:
    """What ends, or goes, leaves a tombstone if its queue is in a cutover."""
    if find(tx, record.ref.queue):
        tx.run("bury", record.job.id.bytes, record.ref.queue, record.life.generation, str(tx.now))
