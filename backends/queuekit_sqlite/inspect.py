"""What people see and do."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from queuekit import codes
from queuekit.backend import Change, JobFilter, Presence, QueueInfo, Refusal, WorkerInfo
from queuekit.job import JobRecord, JobRef, State
from queuekit.lifecycle import Event, allowed, step
from queuekit_sqlite import jobs, keys
from queuekit_sqlite.rows import record
from queuekit_sqlite.store import Store
from queuekit_sqlite.transaction import Row, Transaction
from queuekit_sqlite.upkeep import forget

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
            rows = [tx.one("read_record", ref.id.bytes, ref.queue) for ref in refs]
            return [None if row is None else record(row) for row in rows]

        return await self._store().read(read)

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are."""

        def read(tx: Transaction) -> list[JobRef | None]:
            found = [(id_, tx.one("locate", id_.bytes)) for id_ in ids]
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
            rows, mark = await self._store().read(
                partial(_page, where=where, limit=_PORTION, after=mark)
            )
            if rows:
                yield [JobRef(queue, UUID(bytes=id_)) for _, id_, queue in rows]

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
                tx.stirred.update(queues)

        await self._store().write(write)

    async def _read_page(
        self, where: JobFilter, limit: int, after: Mark
    ) -> tuple[list[JobRecord], Mark | None]:
        def read(tx: Transaction) -> tuple[list[JobRecord], Mark | None]:
            rows, mark = _page(tx, where, limit, after)
            return [record(*tx.all("read_record", id_, queue)) for _, id_, queue in rows], mark

        return await self._store().read(read)


def _steer(tx: Transaction, event: Event, ref: JobRef) -> Change:
    row = jobs.find(tx, ref.id.bytes, ref.queue)
    if row is None:
        return Change(ref, None, None, refused=Refusal.GONE)
    found = codes.STATES[row.state]
    if not allowed(event, found):
        return Change(ref, found, found, row.generation, Refusal.STATE)
    if event is Event.RERUN and (holder := _other_holder(tx, row)):
        return Change(ref, found, found, row.generation, Refusal.KEY_HELD, holder)
    _ACTS[event](tx, row)
    after = step(jobs.life_of(row), event)
    return Change(ref, found, after.state, after.generation)


def _cancel(tx: Transaction, row: jobs.Row) -> None:
    if row.state != codes.RUNNING:
        _end_unstarted(tx, row)
        return
    if not row.cancel_requested:
        tx.run("request_cancel", row.seq, jobs.noted(tx, row, "cancel"))
    tx.ring_process(row.claimant or "")


def _end_unstarted(tx: Transaction, row: jobs.Row) -> None:
    row = row._replace(history=jobs.noted(tx, row, "cancel"))
    jobs.amend(tx, row)
    jobs.finish(tx, row, codes.CANCELLED)


def _other_holder(tx: Transaction, row: jobs.Row) -> UUID | None:
    holder = None if row.key is None else keys.holder(tx, row.queue, row.key)
    return UUID(bytes=holder.id) if holder and holder.id != row.id else None


def _rerun(tx: Transaction, row: jobs.Row) -> None:
    if row.key is not None and row.key_until == "finished":
        keys.take(tx, row.queue, row.key, row.id, row.key_until, row.enqueued_at)
    tx.run("rerun", row.seq, *tx.take_places(1), jobs.noted(tx, row, "rerun"))
    tx.stirred.add(row.queue)


def _promote(tx: Transaction, row: jobs.Row) -> None:
    jobs.place(tx, row, None)


def _delete(tx: Transaction, row: jobs.Row) -> None:
    if row.state in codes.FINISHED:
        forget(tx, [row.seq], since=tx.now)
        return
    jobs.drop(tx, row)
    tx.ring_waiters(row.id, row.queue)
    jobs.leave_key(tx, row)


_ACTS: Final[Mapping[Event, Callable[[Transaction, jobs.Row], None]]] = {
    Event.CANCEL: _cancel,
    Event.DRAIN: _end_unstarted,
    Event.RERUN: _rerun,
    Event.PROMOTE: _promote,
    Event.DELETE: _delete,
    Event.CLEAN: _delete,
}


def _page(
    tx: Transaction, where: JobFilter, limit: int, after: Mark
) -> tuple[list[Row], Mark | None]:
    """Some jobs, and after which the next are; None: there are no more."""
    states = [code for code, state in codes.STATES.items() if state in where.states]
    rows = tx.all(
        "find_page",
        *after,
        _LOOKED_AT,
        limit,
        _json(where.queues),
        _json(where.tasks),
        _json(states),
        _json(where.tags),
        where.since,
        where.error,
    )
    if rows and len(rows) == limit:
        return rows, rows[-1][1:]
    end = tx.one("find_page_end", *after, _LOOKED_AT - 1)
    return rows, end and end[1:]


def _queues(tx: Transaction) -> list[QueueInfo]:
    paused = {queue for (queue,) in tx.all("find_paused")}
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


def _json(values: Sequence[object]) -> str | None:
    return json.dumps([*values]) if values else None
