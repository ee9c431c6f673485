"""Claiming ready jobs."""

import json
from collections.abc import Sequence
from typing import Any

from queuekit.backend import Ask, Change
from queuekit.job import SUSPECT_AFTER, Claim, JobRef, Micros, Token, id_of
from queuekit_sqlite import keys, life, line
from queuekit_sqlite.connection import Transaction

_BATCH = 1000
_new = tuple.__new__


def claim(tx: Transaction, ask: Ask) -> tuple[Sequence[Claim], Sequence[Change]]:
    """Claim jobs from the queues, in the order given; what had expired instead."""
    queues, limit, (process, number), lease, suspects = ask
    these = json.dumps(queues)
    line.promote(tx, these, max(limit, _BATCH))
    expired = life.expire(tx, these, _BATCH)
    if len(expired) == _BATCH:
        # More may have expired, and would be claimed: the next fetch goes on.
        return (), expired
    paused = line.paused(tx)
    claims: list[Claim] = []
    for queue in queues:
        if queue in paused:
            continue
        ((seqs,),) = tx.all("find_ready", queue, min(suspects, limit), limit)
        if seqs == "[]":
            continue
        tx.run("claim", seqs, tx.now, process, number, lease)
        ((text,),) = tx.all("read_claimed", seqs, tx.now)
        found = [_claimed(tx, queue, *row) for row in json.loads(text)]
        claims += found
        limit -= len(found)
        if limit <= 0:
            break
        suspects -= sum(claim.lapses >= SUSPECT_AFTER for claim in found) if suspects else 0
    return claims, expired


def _claimed(
    tx: Transaction, queue: str, seq: int, id_: str, delivery: int, task: str, payload: str,
    attempt: int, max_attempts: int, lease: Micros, rare: list[Any] | None,
) -> Claim:  # fmt: skip
    # A NamedTuple's own constructor is a Python function: twice the cost, for every job.
    job = id_of(int(id_, 16))
    if rare is None:
        token = _new(Token, (queue, job, delivery, seq, 0))
        return _new(Claim, (token, task, payload, attempt, max_attempts, 0, 0, lease, None, ""))
    lapses, crashes, generation, expires_in, extra, special, freed = rare
    if freed is not None:
        keys.free(tx, JobRef(queue, job), freed)
    token = Token(queue, job, delivery, -seq if special else seq, generation)
    return Claim(
        token, task, payload, attempt, max_attempts, lapses, crashes, lease, expires_in, extra
    )
