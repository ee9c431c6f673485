"""Moving time on: leases, due times, expiry, retention."""

import json
from collections.abc import Sequence
from uuid import UUID

from queuekit.backend import REMEMBER_IDS, Upkeep
from queuekit.job import JobRef, Micros
from queuekit_sqlite import jobs
from queuekit_sqlite.transaction import Transaction

_BATCH = 1000
_PRUNED = 10_000
"""Finished jobs that go in one call: they came by the batch, so they must go by the batch."""


def maintain(tx: Transaction) -> Upkeep:
    """All that is due, up to a bound."""
    renewed = _renew(tx)
    rescued = _rescue(tx)
    promoted = jobs.promote(tx, _BATCH)
    jobs.expire(tx, _BATCH)
    tx.stirred.update(queue for (queue,) in tx.all("hand_out_solitary"))
    pruned = _prune(tx)
    return Upkeep(promoted, rescued, renewed, pruned, tx.ended)


def _renew(tx: Transaction) -> int:
    """After an outage in which nobody could renew, leases start anew."""
    ((last,),) = tx.all("read_tick")
    tx.run("tick", tx.now)
    return tx.run("renew", tx.now, tx.now - last)


def _rescue(tx: Transaction) -> list[JobRef]:
    lapsed = [jobs.at(tx, seq) for (seq,) in tx.all("find_lapsed", tx.now, _BATCH)]
    for row in lapsed:
        jobs.lapse(tx, row)
    return [JobRef(row.queue, UUID(bytes=row.id)) for row in lapsed]


def _prune(tx: Transaction) -> int:
    for name in ("forget_keys", "forget_presences", "forget_sleepers", "forget_waiters"):
        tx.run(name, tx.now)
    tx.run("forget_ids", tx.now, _PRUNED)
    outworn = [seq for (seq,) in tx.all("find_outworn", tx.now, _PRUNED)]
    forget(tx, outworn)
    pruned = len(outworn) + sum(_prune_kind(tx, *kind) for kind in tx.all("find_kinds", tx.now))
    tx.run("forget_kinds")
    return pruned


def _prune_kind(tx: Transaction, queue: str, task: str, most: int) -> int:
    outworn = [seq for (seq,) in tx.all("find_outworn_of_kind", queue, task, tx.now, _PRUNED)]
    forget(tx, outworn)
    surplus = tx.all("find_surplus", queue, task, most, _PRUNED, tx.now) if most >= 0 else []
    cut = [seq for seq, may_go in surplus if may_go]
    forget(tx, cut)
    pruned = len(outworn) + len(cut)
    tx.run("note_trim", queue, task, pruned >= _PRUNED or len(cut) < len(surplus))
    return pruned


def forget(tx: Transaction, seqs: Sequence[int], since: Micros = 0) -> None:
    """Remove finished jobs, by their seq.

    Their ids stay remembered for their time, counted from the job's end or, if that is later, from `since`.
    """
    if seqs:
        places = json.dumps(seqs)
        tx.run("remember_finished", places, REMEMBER_IDS, since, tx.now)
        tx.run("drop_finished", places)
