"""Waiting for work and for ends: look, leave word of who waits, and look again when rung."""

import asyncio
import json
from collections.abc import Collection, Sequence
from math import inf
from typing import Final, NamedTuple

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS
from queuekit.errors import JobNotFound
from queuekit.job import JobRef, Micros
from queuekit.record import JobRecord
from queuekit_sqlite import line, rows
from queuekit_sqlite.connection import Store, Transaction
from queuekit_sqlite.doorbell import LOOK_AGAIN, TICK, Doorbell, of_job, of_process

_SECOND: Final = 1_000_000
_SUSPECTS: Final = 0.05
"""Who can't take suspects now looks again so late only, instead of turning in circles around them."""


async def for_work(
    store: Store, doorbell: Doorbell, queues: Sequence[str], wait_for: float, process: str
) -> None:
    """Return as soon as one of the queues may have work."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_for
    address, duration = doorbell.address(), round(wait_for * _SECOND)
    with doorbell.listening([of_process(process)]) as rung:
        seen = await store.version()
        pause, seq = await store.write(
            lambda tx: _sleep(tx, queues, process, address, duration), durable=False
        )
        until = min(end, loop.time() + pause)
        while (left := until - loop.time()) > 0 and not await rung.within(min(left, TICK)):
            version = await store.version()
            if version != seen:
                seen = version
                pause = await store.read(lambda tx: _look_again(tx, queues, seq))
                until = min(end, loop.time() + pause)


async def for_ends(
    store: Store, doorbell: Doorbell, jobs: Collection[JobRef], wait_for: float
) -> dict[JobRef, JobRecord]:
    """Records of those that have finished; waits for the first one."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_for
    found = await store.read(lambda tx: _ends(tx, jobs))
    if found or wait_for <= 0:
        return found
    address, duration = doorbell.address(), round(wait_for * _SECOND)
    with doorbell.listening(of_job(ref.id) for ref in jobs) as rung:
        found = await store.write(
            lambda tx: _await_ends(tx, jobs, address, duration), durable=False
        )
        while not found and (left := end - loop.time()) > 0:
            await rung.within(min(left, LOOK_AGAIN))
            found = await store.read(lambda tx: _ends(tx, jobs))
    return found


class _Sleeper(NamedTuple):
    """Somebody who looked for work.

    Attributes:
        pause: seconds until there may be work.
        seq: of the sleeper's registration; 0: there is none, because there is work.
    """

    pause: float
    seq: int = 0


def _sleep(
    tx: Transaction, queues: Sequence[str], process: str, address: str, wait_for: Micros
) -> _Sleeper:
    """Look for work, and register a sleeper if there is none at once.

    An enqueue commits either before, and is seen here, or after, and sees the sleeper.
    """
    pause = _until_work(tx, queues)
    if not pause:
        return _Sleeper(pause)
    until = tx.now + wait_for
    ((seq,),) = tx.all("register_sleeper", process, address, "\n".join(queues), until)
    return _Sleeper(pause, seq)


def _look_again(tx: Transaction, queues: Sequence[str], seq: int) -> float:
    """Seconds until there may be work. Who is not registered any more was rung, though the ring got lost."""
    return _until_work(tx, queues) if tx.one("has_sleeper", seq) else 0


def _until_work(tx: Transaction, queues: Sequence[str]) -> float:
    paused = line.paused(tx)
    served = [queue for queue in queues if queue not in paused]
    if any(tx.one("has_ready", queue) for queue in served):
        return 0
    ((due,),) = tx.all("find_next_due", json.dumps(served))
    pause = inf if due is None else max(0, due - tx.now) / _SECOND
    if any(tx.one("has_suspects", queue) for queue in served):
        pause = min(pause, _SUSPECTS)
    return pause


def _ends(tx: Transaction, jobs: Collection[JobRef]) -> dict[JobRef, JobRecord]:
    """Records of those jobs that have finished.

    Raises:
        JobNotFound: one is neither stored nor recorded.
    """
    found: dict[JobRef, JobRecord] = {}
    for ref in jobs:
        job = tx.one("find_state", ref.id.bytes, ref.queue, tx.now)
        if job is None:
            raise JobNotFound.named(ref)
        seq, code = job
        if code in codes.FINISHED:
            found[ref] = rows.at(tx, seq).record
    return found


def _await_ends(
    tx: Transaction, jobs: Collection[JobRef], address: str, wait_for: Micros
) -> dict[JobRef, JobRecord]:
    """Like `_ends`, and register a waiter if there is none.

    The registration outlives the call for a while, so that who asks again misses nothing in between.
    """
    found = _ends(tx, jobs)
    if not found:
        until = tx.now + wait_for + KEEP_FOR_WAITERS
        tx.run_many("register_waiter", [(ref.id.bytes, ref.queue, address, until) for ref in jobs])
    return found
