"""One side of a cutover: the gates of queues, and copies of jobs that are not this store's to run."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from queuekit import codes
from queuekit.backend import (
    ABSENT,
    FOR_EVER,
    Changes,
    Copy,
    Gate,
    Guard,
    KeyHolder,
    KeysHeld,
    Kind,
    Page,
    Refusal,
    Stamp,
    Swap,
    Swapped,
)
from queuekit.job import Job, JobRef, Micros, State
from queuekit.record import JobRecord
from queuekit_sqlite import enqueue, gates, keys, retention, rows, transfer
from queuekit_sqlite.connection import Store, Transaction
from queuekit_sqlite.rows import Stored

_PORTION: Final = 1_000
"""Steps of one transaction."""
_STORED: Final = frozenset({Kind.LIVE, Kind.FAILED})
"""What is a job or a record here; the others are texts."""


class SqliteSide:
    """An SQLite backend as one side of a cutover."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    async def clock(self) -> Micros:
        """The server's clock."""
        return await self._store().read(lambda tx: tx.now)

    async def gates(self, queues: Sequence[str]) -> list[Gate | None]:
        """The gates of queues, in this order."""
        return await self._store().read(lambda tx: [gates.find(tx, queue) for queue in queues])

    async def gated(self) -> list[str]:
        """The queues that have a gate, by name."""
        return await self._store().read(lambda tx: [queue for (queue,) in tx.all("list_gates")])

    async def turn(
        self,
        queue: str,
        before: Gate | None,
        after: Gate | None,
        *,
        without: Collection[Kind] = (),
    ) -> Gate | None:
        """Put another gate in place of the one that somebody saw; what is there then."""
        return await self._store().write(lambda tx: _turn(tx, queue, before, after, without))

    async def enqueue(self, jobs: Sequence[Job[Any]], guard: Guard) -> Changes:
        """Store jobs in an epoch and before a moment."""
        return await enqueue.store(self._store(), jobs, guard=guard)

    async def holders(self, queue: str, keys: Sequence[str]) -> KeysHeld:
        """Who holds keys of a queue, in this order."""
        return await self._store().read(lambda tx: _holders(tx, queue, keys))

    async def census(self, queue: str) -> Mapping[Kind, int]:
        """How many copies there are of each kind."""
        return await self._store().read(lambda tx: _census(tx, queue))

    async def look(self, refs: Sequence[JobRef]) -> list[Copy]:
        """What is there of jobs, in this order."""
        return await self._store().read(lambda tx: [_look(tx, ref)[0] for ref in refs])

    async def page(
        self, queue: str, kind: Kind, *, cursor: str | None = None, limit: int = 500
    ) -> Page:
        """Copies of a kind."""
        return await self._store().read(lambda tx: _page(tx, queue, kind, cursor, limit))

    async def swap(self, swaps: Sequence[Swap]) -> list[Swapped]:
        """Carry out steps, each for itself."""
        done: list[Swapped] = []
        for start in range(0, len(swaps), _PORTION):
            portion = swaps[start : start + _PORTION]
            done += await self._store().write(partial(_swap_all, portion))
        return done


def _turn(
    tx: Transaction,
    queue: str,
    before: Gate | None,
    after: Gate | None,
    without: Collection[Kind],
) -> Gate | None:
    found = gates.find(tx, queue)
    if found != before or (without and not _census(tx, queue).keys().isdisjoint(without)):
        return found
    if after is None:
        tx.run("drop_gate", queue)
    else:
        tx.run("put_gate", queue, after.text)
    return after


def _holders(tx: Transaction, queue: str, names: Sequence[str]) -> KeysHeld:
    gate = gates.find(tx, queue)
    return KeysHeld(gate.epoch if gate else 0, [_holder(tx, queue, name) for name in names])


def _holder(tx: Transaction, queue: str, name: str) -> KeyHolder | None:
    found = keys.holder(tx, queue, name)
    if found is None:
        return None
    ref = JobRef(queue, found.id)
    kind = _look(tx, ref)[0].stamp.kind
    holds = kind in {Kind.LIVE, Kind.RUNNING, Kind.MOVING}
    return KeyHolder(found.id, kind if holds else Kind.ABSENT, keys.follower(tx, ref) is not None)


def _census(tx: Transaction, queue: str) -> dict[Kind, int]:
    counted = tx.all("count_copies", queue, tx.now)
    return {Kind(kind): count for kind, count in counted if count}


def _look(tx: Transaction, ref: JobRef) -> tuple[Copy, Stored | None]:
    """What is there of a job; and its row, if it is a job or a record."""
    stored = rows.find(tx, ref)
    record = stored.seen(tx.now) if stored else None
    if record and not record.finished:
        kind = Kind.RUNNING if record.state is State.RUNNING else Kind.LIVE
        return _copy_of(record, kind), stored
    found = tx.one("find_copy", ref.id.bytes, ref.queue)
    put = Copy(ref, Stamp(Kind(found[0]), *found[1:4]), text=found[4]) if found else None
    if put and put.stamp.kind is not Kind.DONE:
        return put, None
    if record:
        kind = Kind.DONE if record.state is State.SUCCEEDED else Kind.FAILED
        return _copy_of(record, kind), stored
    if put:
        return put, None
    known = Stamp(Kind.DONE, FOR_EVER) if retention.known(tx, ref) else ABSENT
    return Copy(ref, known), None


def _copy_of(record: JobRecord, kind: Kind) -> Copy:
    life = record.life
    delivery = 0 if kind is Kind.DONE else life.delivery
    return Copy(record.ref, Stamp(kind, life.generation, 0, delivery), record)


def _page(tx: Transaction, queue: str, kind: Kind, cursor: str | None, limit: int) -> Page:
    match kind:
        case Kind.LIVE:
            return _page_of_line(tx, queue, cursor, limit)
        case Kind.FAILED:
            after = json.loads(cursor) if cursor else [0, 0]
            found = tx.all("page_failed", queue, tx.now, *after, limit)
            records = [rows.at(tx, seq).record for seq, _ in found]
            copies = [_copy_of(record, kind) for record in records]
            place = [found[-1][1], found[-1][0]] if found else []
            return Page(copies, json.dumps(place) if len(found) == limit else None)
        case _:
            after = bytes.fromhex(cursor) if cursor else b""
            found = tx.all("page_copies", queue, kind, after, limit)
            copies = [
                Copy(JobRef(queue, UUID(bytes=id_)), Stamp(kind, *stamp), text=text)
                for id_, *stamp, text in found
            ]
            last = found[-1][0].hex() if len(found) == limit else None
            return Page(copies, last)


def _page_of_line(tx: Transaction, queue: str, cursor: str | None, limit: int) -> Page:
    """Ready ones in their order, then the others, each kind of them in its order."""
    code, *place = json.loads(cursor) if cursor else [codes.READY, -(2**31), 0]
    while code < codes.RUNNING:
        name = "page_ready" if code == codes.READY else "page_aside"
        found = tx.all(name, queue, *place, limit, *([] if code == codes.READY else [code]))
        if found:
            copies = [_copy_of(rows.at(tx, seq).record, Kind.LIVE) for seq, _ in found]
            return Page(copies, json.dumps([code, found[-1][1], found[-1][0]]))
        code, place = code + 1, [-(2**31), 0]
    return Page([], None)


def _swap_all(swaps: Sequence[Swap], tx: Transaction) -> list[Swapped]:
    return [_swap(tx, one) for one in swaps]


def _swap(tx: Transaction, one: Swap) -> Swapped:
    here = gates.find(tx, one.ref.queue)
    copy, stored = _look(tx, one.ref)
    if here is None or here.epoch != one.epoch:
        return Swapped(copy.stamp, Refusal.STALE)
    if one.until is not None and tx.now > one.until:
        return Swapped(copy.stamp, Refusal.LATE)
    if copy.stamp != one.before or copy.stamp.kind is Kind.RUNNING:
        return Swapped(copy.stamp, Refusal.CHANGED)
    if stored and copy.stamp.kind in _STORED:
        retention.take_out(tx, stored)
    tx.run("drop_copy", one.ref.id.bytes, one.ref.queue)
    if one.frees is not None:
        keys.free(tx, one.ref, one.frees)
    _put(tx, one.after)
    return Swapped(copy.stamp)


def _put(tx: Transaction, copy: Copy) -> None:
    kind = copy.stamp.kind
    if kind in _STORED:
        assert copy.record is not None, copy
        holder = keys.holder(tx, copy.ref.queue, copy.record.job.key)
        transfer.stored(tx, copy.record, takes_key=holder is None or holder.id == copy.ref.id)
    elif kind is not Kind.ABSENT:
        text = str(tx.now) if kind is Kind.DONE else copy.text
        tx.run("put_copy", copy.ref.id.bytes, copy.ref.queue, *copy.stamp, text)
