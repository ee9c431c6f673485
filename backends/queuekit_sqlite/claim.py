"""Claiming ready jobs."""

from collections.abc import Sequence
from uuid import UUID

from queuekit.backend import Claimant
from queuekit.job import Claim, Micros, Token
from queuekit_sqlite import jobs, keys
from queuekit_sqlite.transaction import Row, Transaction

_BATCH = 1000


def claim(
    tx: Transaction,
    queues: Sequence[str],
    limit: int,
    claimant: Claimant,
    lease: Micros,
    suspects: int,
) -> list[Claim]:
    """Claim up to `limit` jobs from the queues, in the order given."""
    jobs.promote(tx, max(limit, _BATCH))
    while jobs.expire(tx, _BATCH) == _BATCH:
        pass
    paused = {queue for (queue,) in tx.all("pauses")}
    who = tx.now, claimant.process, claimant.number, lease
    claims: list[Claim] = []
    for queue in queues:
        if queue in paused:
            continue
        rows = tx.all("claim", queue, min(suspects, limit), limit, *who)
        claims += _claimed(tx, queue, rows)
        limit -= len(rows)
        if limit <= 0:
            break
        suspects -= sum(row[0] == 0 for row in rows) if suspects else 0
    return claims


def _claimed(tx: Transaction, queue: str, rows: list[Row]) -> list[Claim]:
    # an UPDATE returns its rows in no promised order
    rows.sort()
    for row in rows:
        if row[3]:
            _free_key(tx, jobs.at(tx, row[2]))
    # spelt out, because every call and slice in here is paid for each job
    return [
        Claim(
            Token(queue, UUID(bytes=id_), delivery, -seq if special else seq),
            task, payload, attempt, max_attempts, lapses, crashes, lease, expires_in, extra,
        )
        for (
            _, _, seq, special, id_, delivery,
            task, payload, attempt, max_attempts, lapses, crashes, lease, expires_in, extra,
        ) in rows
    ]  # fmt: skip


def _free_key(tx: Transaction, row: jobs.Row) -> None:
    """A key that is held until its job has started is free now."""
    if row.key is not None and row.key_until == "started":
        keys.free(tx, row.queue, row.key, row.id)
