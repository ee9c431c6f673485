"""Looking for work and for ends, and leaving word of who waits for them."""

import json
from collections.abc import Collection, Sequence
from math import inf
from typing import Final, NamedTuple

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS
from queuekit.errors import JobNotFound
from queuekit.job import FINISHED, JobRecord, JobRef, Micros
from queuekit_sqlite.rows import record
from queuekit_sqlite.transaction import Transaction

_SUSPECTS: Final = 0.05
"""Who can't take suspects now looks again so late only, instead of turning in circles around them."""


class Sleeper(NamedTuple):
    """Somebody who looked for work.

    Attributes:
        pause: seconds until there may be work.
        place: where the sleeper is registered; 0: nowhere, because there is work.
    """

    pause: float
    place: int = 0


def sleep(
    tx: Transaction, queues: Sequence[str], process: str, address: str, wait_for: Micros
) -> Sleeper:
    """Look for work, and register a sleeper if there is none at once.

    An enqueue commits either before, and is seen here, or after, and sees the sleeper.
    """
    pause = _until_work(tx, queues)
    if not pause:
        return Sleeper(pause)
    until = tx.now + wait_for
    ((place,),) = tx.all("register_sleeper", process, address, "\n".join(queues), until)
    return Sleeper(pause, place)


def look_again(tx: Transaction, queues: Sequence[str], place: int) -> float:
    """Seconds until there may be work. Who is not registered any more was rung, though the ring got lost."""
    return _until_work(tx, queues) if tx.one("has_sleeper", place) else 0


def _until_work(tx: Transaction, queues: Sequence[str]) -> float:
    paused = {queue for (queue,) in tx.all("find_paused")}
    served = [queue for queue in queues if queue not in paused]
    if any(tx.one("has_ready", queue) for queue in served):
        return 0
    due = tx.one("find_next_due", json.dumps(served))
    pause = inf if due is None else max(0, due[0] - tx.now) / 1_000_000
    if any(tx.one("has_suspects", queue) for queue in served):
        pause = min(pause, _SUSPECTS)
    return pause


def ends(tx: Transaction, jobs: Collection[JobRef]) -> dict[JobRef, JobRecord]:
    """Records of those jobs that have finished.

    Raises:
        JobNotFound: one is neither stored nor recorded.
    """
    found: dict[JobRef, JobRecord] = {}
    for ref in jobs:
        row = tx.one("read_record", ref.id.bytes, ref.queue)
        if row is None:
            raise JobNotFound(
                f"Job {ref.id} is not in queue {ref.queue!r}: its record may be past its retention."
            )
        if codes.STATES[row[2]] in FINISHED:
            found[ref] = record(row)
    return found


def await_ends(
    tx: Transaction, jobs: Collection[JobRef], address: str, wait_for: Micros
) -> dict[JobRef, JobRecord]:
    """Like `ends`, and register a waiter if there is none.

    The registration outlives the call for a while, so that who asks again misses nothing in between.
    """
    found = ends(tx, jobs)
    if not found:
        until = tx.now + wait_for + KEEP_FOR_WAITERS
        tx.run_many("register_waiter", [(ref.id.bytes, ref.queue, address, until) for ref in jobs])
    return found
