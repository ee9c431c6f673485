"""Moving time on: leases, due times, expiry, retention."""

from typing import Final
from uuid import UUID

from queuekit.backend import Upkeep
from queuekit.job import JobRef
from queuekit.lifecycle import Event
from queuekit_sqlite import life, line, retention, rows
from queuekit_sqlite.connection import Transaction

_BATCH: Final = 1000


def maintain(tx: Transaction) -> Upkeep:
    """All that is due, up to a bound."""
    renewed = _renew(tx)
    rescued = _rescue(tx)
    promoted = line.promote(tx, _BATCH)
    life.expire(tx, _BATCH)
    tx.got_work.update(queue for (queue,) in tx.all("hand_out_solitary"))
    for name in ("forget_keys", "forget_presences", "forget_sleepers", "forget_waiters"):
        tx.run(name, tx.now)
    pruned = retention.prune(tx)
    return Upkeep(promoted, rescued, renewed, pruned, tx.ended)


def _renew(tx: Transaction) -> int:
    """After an outage in which nobody could renew, leases start anew."""
    ((last,),) = tx.all("read_tick")
    tx.run("tick", tx.now)
    return tx.run("renew", tx.now, tx.now - last)


def _rescue(tx: Transaction) -> list[JobRef]:
    lapsed = [rows.at(tx, seq) for (seq,) in tx.all("find_lapsed", tx.now, _BATCH)]
    for row in lapsed:
        life.leave(tx, row, Event.LAPSE)
    return [JobRef(row.queue, UUID(bytes=row.id)) for row in lapsed]
