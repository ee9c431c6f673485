"""Moving time on: leases, due times, expiry, retention."""

import json
from collections.abc import Sequence
from typing import Final

from queuekit.backend import Change, Upkeep, model
from queuekit.job import Micros
from queuekit.lifecycle import Event
from queuekit_sqlite import life, line, retention, rows, schedules
from queuekit_sqlite.connection import Transaction

_BATCH: Final = 1000


def maintain(tx: Transaction, queues: Sequence[str]) -> Upkeep:
    """All that is due in some queues, up to a bound."""
    these = json.dumps(queues)
    renewed = _renew(tx, these)
    rescued = _rescue(tx, these)
    promoted = line.promote(tx, these, _BATCH)
    expired = life.expire(tx, these, _BATCH)
    tx.got_work.update(queue for (queue,) in tx.all("hand_out_solitary", these))
    for name in (
        "forget_ticks",
        "forget_keys",
        "forget_presences",
        "forget_sleepers",
        "forget_waiters",
    ):
        tx.run(name, tx.now)
    pruned = retention.prune(tx, these)
    return Upkeep(
        rescued,
        expired,
        promoted,
        renewed,
        pruned,
        due_in=schedules.due_in(tx, queues),
        again_in=_again_in(tx, these),
    )


def unserved(tx: Transaction) -> Sequence[str]:
    """Queues that hold something and that no present process serves."""
    return [queue for (queue,) in tx.all("find_unserved", tx.now)]


def _again_in(tx: Transaction, queues: str) -> Micros | None:
    """Microseconds until a lease runs out, or a job expires."""
    ((first,),) = tx.all("find_next_end", queues)
    return None if first is None else max(0, first - tx.now)


def _renew(tx: Transaction, queues: str) -> int:
    """After an outage in which nobody could renew, leases start anew."""
    renewed = tx.run("renew", queues, tx.now)
    tx.run("tick", queues, tx.now)
    return renewed


def _rescue(tx: Transaction, queues: str) -> Sequence[Change]:
    lapsed = [rows.at(tx, seq) for (seq,) in tx.all("find_lapsed", queues, tx.now, _BATCH)]
    return [
        life.leave(tx, one, model.left(one.record, Event.LAPSE, tx.now), Event.LAPSE)
        for one in lapsed
    ]
