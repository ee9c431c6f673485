"""Claiming ready jobs."""

import json
from collections.abc import Sequence
from typing import Any

from queuekit.backend import Claimant
from queuekit.job import SUSPECT_AFTER, Claim, Micros, Token, id_of
from queuekit_sqlite import keys, life, line, rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Row

_BATCH = 1000
_new = tuple.__new__


def claim(
    tx: Transaction,
    queues: Sequence[str],
    limit: int,
    claimant: Claimant,
    lease: Micros,
    suspects: int,
) -> list[Claim]:
    """Claim up to `limit` jobs from the queues, in the order given."""
    line.promote(tx, max(limit, _BATCH))
    if life.expire(tx, _BATCH) == _BATCH:
        # More may have expired, and would be claimed: the next fetch goes on.
        return []
    paused = line.paused(tx)
    who = claimant.process, claimant.number, lease
    claims: list[Claim] = []
    for queue in queues:
        if queue in paused:
            continue
        ((seqs,),) = tx.all("find_ready", queue, min(suspects, limit), limit)
        if seqs == "[]":
            continue
        tx.run("claim", seqs, tx.now, *who)
        ((text,),) = tx.all("read_claimed", seqs, tx.now)
        found = [_claimed(tx, queue, *row) for row in json.loads(text)]
        claims += found
        limit -= len(found)
        if limit <= 0:
            break
        suspects -= sum(claim.lapses >= SUSPECT_AFTER for claim in found) if suspects else 0
    return claims


def _claimed(
    tx: Transaction, queue: str, seq: int, id_: str, delivery: int, task: str, payload: str,
    attempt: int, max_attempts: int, lease: Micros, rare: list[Any] | None,
) -> Claim:  # fmt: skip
    # A NamedTuple's own constructor is a Python function: twice the cost, for every job.
    job = id_of(int(id_, 16))
    if rare is None:
        token = _new(Token, (queue, job, delivery, seq))
        return _new(Claim, (token, task, payload, attempt, max_attempts, 0, 0, lease, None, ""))
    lapses, crashes, expires_in, extra, special = rare
    if special:
        _free_key(tx, rows.at(tx, seq))
    token = Token(queue, job, delivery, -seq if special else seq)
    return Claim(
        token, task, payload, attempt, max_attempts, lapses, crashes, lease, expires_in, extra
    )


def _free_key(tx: Transaction, row: Row) -> None:
    """A key that is held until its job has started is free now."""
    if row.key is not None and row.key_until == "started":
        keys.free(tx, row.queue, row.key, row.id)
