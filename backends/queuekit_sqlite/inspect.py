"""What people see and do."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from queuekit import codes
from queuekit.backend import Change, JobFilter, Presence, QueueInfo, Refusal, WorkerInfo, model
from queuekit.job import JobRef, State
from queuekit.lifecycle import Event, allowed
from queuekit.record import JobRecord
from queuekit_sqlite import doorbell, gates, keys, life, line, retention, rows
from queuekit_sqlite.connection import Store, Transaction, Values
from queuekit_sqlite.rows import Stored

_LOOKED_AT: Final = 10_000
"""How many jobs one page looks at, however few of them fit."""
_PORTION: Final = 1_000
_BEYOND: Final = (b"\xff" * 17, "")
"""Greater than any id."""

Mark: TypeAlias = tuple[bytes, str]
"""An id and a queue."""


class SqliteInspector:
    """The inspector of an SQLite backend."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished."""

        def read(tx: Transaction) -> list[JobRecord | None]:
            return [rows.get(tx, ref) for ref in refs]

        return await self._store().read(read)

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are."""

        def read(tx: Transaction) -> list[JobRef | None]:
            found = [(id_, tx.one("locate", id_.bytes, tx.now)) for id_ in ids]
            return [JobRef(row[0], id_) if row else None for id_, row in found]

        return await self._store().read(read)

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first."""
        found: list[JobRecord] = []
        mark: Mark | None = _BEYOND if after is None else (after.id.bytes, after.queue)
        while mark is not None and len(found) < limit:
            page, mark = await self._read_page(where, limit - len(found), mark)
            found += page
        return found

    async def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits, in portions."""
        mark: Mark | None = _BEYOND
        while mark is not None:
            page, mark = await self._store().read(
                partial(_page, where=where, limit=_PORTION, after=mark)
            )
            if page:
                yield [_ref(*one) for one in page]

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        return await self._store().read(_queues)

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        found = await self._store().read(lambda tx: tx.all("find_presences", tx.now))
        return [WorkerInfo(presence=_presence(body), seen_at=seen_at) for body, seen_at in found]

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out one of the events of `STEERING` on jobs."""
        return await self._store().write(lambda tx: [_steer(tx, event, ref) for ref in refs])

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        """Whether claims give nothing."""

        def write(tx: Transaction) -> None:
            tx.run_many("pause" if paused else "resume", [(queue,) for queue in queues])
            if not paused:
                tx.got_work.update(queues)

        await self._store().write(write)

    async def _read_page(
        self, where: JobFilter, limit: int, after: Mark
    ) -> tuple[list[JobRecord], Mark | None]:
        def read(tx: Transaction) -> tuple[list[JobRecord], Mark | None]:
            page, mark = _page(tx, where, limit, after)
            records = [rows.get(tx, _ref(*one)) for one in page]
            return [record for record in records if record is not None], mark

        return await self._store().read(read)


def _steer(tx: Transaction, event: Event, ref: JobRef) -> Change:
    stored = rows.find(tx, ref)
    record = stored.seen(tx.now) if stored else None
    if stored is None or record is None:
        return model.refused(ref, Refusal.GONE)
    if not allowed(event, record.state):
        return model.refused(record, Refusal.STATE)
    match event:
        case Event.CANCEL | Event.DRAIN:
            return _cancel(tx, stored, event)
        case Event.RERUN:
            return _rerun(tx, stored)
        case Event.PROMOTE:
            after = life.after(record, event)
            line.put(tx, stored, after)
            return model.told(record.state, after)
        case _:
            return _delete(tx, stored)


def _cancel(tx: Transaction, stored: Stored, event: Event) -> Change:
    record = stored.record
    if not record.life.cancel_requested:
        record = model.noted(record, event, tx.now)
    after = life.after(record, event)
    if record.lease is None:
        return life.finish(tx, stored, after)
    tx.run("request_cancel", stored.seq, rows.array(after.notes.history))
    doorbell.ring_process(tx, record.lease.claimant.process)
    return model.told(record.state, after)


def _rerun(tx: Transaction, stored: Stored) -> Change:
    record = stored.record
    gate = gates.find(tx, record.ref.queue)
    if gate and not gate.active:
        return model.refused(record, Refusal.MOVED, detail=gate.other)
    holder = keys.holder(tx, record.ref.queue, record.job.key)
    if holder and holder.id != record.job.id:
        return model.refused(record, Refusal.KEY_HELD, holder=holder.id)
    after = model.run_again(record, tx.now)
    line.put(tx, stored, after)
    if record.job.options.key_until == "finished":
        keys.take(tx, after)
    return model.told(record.state, after)


def _delete(tx: Transaction, stored: Stored) -> Change:
    record = stored.record
    gates.bury(tx, record)
    if record.finished:
        retention.forget(tx, [stored.seq], since=tx.now)
    else:
        retention.drop(tx, stored, record)
        doorbell.tell_waiters(tx, record.ref)
        keys.follow(tx, record)
    return Change(record.ref, record.state, None, record.life.generation)


def _page(
    tx: Transaction, where: JobFilter, limit: int, after: Mark
) -> tuple[list[Values], Mark | None]:
    """Ids and queues of some jobs, and after which the next are; None: there are no more."""
    found = tx.all(
        "find_page",
        *after,
        _LOOKED_AT,
        limit,
        _json(where.queues),
        _json(where.tasks),
        _json(codes.codes_of(where.states)),
        _json(where.tags),
        where.since,
        where.error,
        tx.now,
    )
    if found and len(found) == limit:
        return found, found[-1]
    return found, tx.one("find_page_end", *after, _LOOKED_AT - 1)


def _queues(tx: Transaction) -> list[QueueInfo]:
    paused = line.paused(tx)
    counts: dict[str, dict[State, int]] = {queue: {} for queue in paused}
    for queue, code, count in tx.all("count_jobs"):
        states = counts.setdefault(queue, {})
        states[codes.STATES[code]] = states.get(codes.STATES[code], 0) + count
    return [
        QueueInfo(name=name, paused=name in paused, counts=states)
        for name, states in sorted(counts.items())
    ]


def _presence(body: str) -> Presence:
    fields: dict[str, Any] = json.loads(body)
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Presence(**{**fields, **lists})


def _ref(id_: bytes, queue: str) -> JobRef:
    return JobRef(queue, UUID(bytes=id_))


def _json(values: Sequence[object]) -> str | None:
    return json.dumps([*values]) if values else None
