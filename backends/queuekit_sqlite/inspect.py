"""What people see and do."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from queuekit.backend import Change, JobFilter, Presence, QueueInfo, WorkerInfo
from queuekit.job import FINISHED, JobRecord, State
from queuekit_sqlite import codes, jobs, keys
from queuekit_sqlite.rows import record
from queuekit_sqlite.store import Store
from queuekit_sqlite.transaction import Row, Transaction
from queuekit_sqlite.upkeep import forget

_LOOKED_AT: Final = 10_000
"""How many jobs one page looks at, however few of them fit."""
_BEYOND: Final = b"\xff" * 17
"""Greater than any id."""


class SqliteInspector:
    """The inspector of an SQLite backend."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    async def get(self, ids: Sequence[UUID], queue: str | None = None) -> list[JobRecord | None]:
        """Records, live or finished."""

        def read(tx: Transaction) -> list[JobRecord | None]:
            rows = [tx.one("get", id_.bytes, queue) for id_ in ids]
            return [None if row is None else record(row) for row in rows]

        return await self._store().read(read)

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: str | None = None
    ) -> tuple[list[JobRecord], str | None]:
        """A page of jobs, the newest ids first, and the mark of the next page."""

        def read(tx: Transaction) -> tuple[list[JobRecord], str | None]:
            places, mark = _page(tx, where, limit, after)
            return [record(*tx.all("get", id_, queue)) for _, id_, queue in places], mark

        return await self._store().read(read)

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        return await self._store().read(_queues)

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        found = await self._store().read(lambda tx: tx.all("present_processes", tx.now))
        return [WorkerInfo(presence=_presence(body), seen_at=seen_at) for body, seen_at in found]

    async def cancel(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Unstarted jobs end as cancelled; running ones are asked to."""
        return await self._each(_cancel, ids, queue)

    async def retry(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Failed and cancelled jobs become ready."""
        return await self._each(_rerun, ids, queue)

    async def promote(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Scheduled jobs become ready."""
        return await self._each(_promote, ids, queue)

    async def delete(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Any but running ones go; their ids stay remembered."""
        return await self._each(_delete, ids, queue)

    async def pause(self, queues: Sequence[str]) -> None:
        """Claims give nothing until `resume`."""
        await self._store().write(lambda tx: tx.run_many("pause", [(queue,) for queue in queues]))

    async def resume(self, queues: Sequence[str]) -> None:
        """Claims give jobs again; sleepers are woken."""

        def resume(tx: Transaction) -> None:
            tx.run_many("resume", [(queue,) for queue in queues])
            tx.stirred.update(queues)

        await self._store().write(resume)

    async def drain(self, queue: str, *, limit: int = 1000) -> int:
        """Cancel up to `limit` scheduled and ready jobs; how many there were."""

        def drain(tx: Transaction) -> int:
            found = tx.all("unstarted", queue, limit)
            for (seq,) in found:
                _end_unstarted(tx, jobs.at(tx, seq))
            return len(found)

        return await self._store().write(drain)

    async def clean(self, where: JobFilter, *, limit: int = 1000) -> int:
        """Remove up to `limit` finished records; how many there were."""
        return await self._store().write(lambda tx: _clean(tx, where, limit))

    async def _each(
        self,
        act: Callable[[Transaction, jobs.Row], Change],
        ids: Sequence[UUID],
        queue: str | None,
    ) -> list[Change]:
        def write(tx: Transaction) -> list[Change]:
            rows = (jobs.find(tx, id_.bytes, queue) for id_ in ids)
            return [act(tx, row) if row else Change(None, done=False) for row in rows]

        return await self._store().write(write)


def _cancel(tx: Transaction, row: jobs.Row) -> Change:
    if row.code in codes.FINISHED:
        return _change(row, done=False)
    if row.code != codes.RUNNING:
        _end_unstarted(tx, row)
    else:
        if not row.cancel_requested:
            tx.run("request_cancel", row.seq, jobs.noted(tx, row, "cancel"))
        tx.ring_process(row.process or "")
    return _change(row)


def _end_unstarted(tx: Transaction, row: jobs.Row) -> None:
    row = row._replace(history=jobs.noted(tx, row, "cancel"))
    jobs.amend(tx, row)
    jobs.finish(tx, row, codes.CANCELLED)


def _rerun(tx: Transaction, row: jobs.Row) -> Change:
    if row.code not in {codes.FAILED, codes.CANCELLED}:
        return _change(row, done=False)
    if row.key is not None:
        holder = keys.holder(tx, row.queue, row.key)
        if holder and holder.id != row.id:
            why = f"job {UUID(bytes=holder.id)} holds its key {row.key!r} now"
            return _change(row, done=False, why=why)
        if row.key_until == "finished":
            keys.take(tx, row.queue, row.key, row.id, row.key_until, row.enqueued_at)
    tx.run("rerun", row.seq, *tx.take_places(1), jobs.noted(tx, row, "rerun"))
    tx.stirred.add(row.queue)
    return _change(row)


def _promote(tx: Transaction, row: jobs.Row) -> Change:
    if row.code != codes.SCHEDULED:
        return _change(row, done=False)
    jobs.place(tx, row, tx.now)
    return _change(row)


def _delete(tx: Transaction, row: jobs.Row) -> Change:
    if row.code == codes.RUNNING:
        return _change(row, done=False)
    if row.code in codes.FINISHED:
        forget(tx, [row.seq], since=tx.now)
        return _change(row)
    jobs.drop(tx, row)
    tx.ring_waiters(row.id, row.queue)
    jobs.leave_key(tx, row)
    return _change(row)


def _change(row: jobs.Row, *, done: bool = True, why: str | None = None) -> Change:
    return Change(codes.STATES[row.code], done, why)


def _page(
    tx: Transaction, where: JobFilter, limit: int, after: str | None
) -> tuple[list[Row], str | None]:
    mark = _unmarked(after)
    states = [code for code, state in codes.STATES.items() if state in where.states]
    rows = tx.all(
        "find",
        *mark,
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
        return rows, _mark(rows[-1])
    end = tx.one("find_end", *mark, _LOOKED_AT - 1)
    return rows, _mark(end) if end else None


def _clean(tx: Transaction, where: JobFilter, limit: int) -> int:
    wanted = tuple(FINISHED.intersection(where.states) if where.states else FINISHED)
    if not wanted:
        return 0
    finished = replace(where, states=wanted)
    removed, mark = 0, None
    while removed < limit:
        rows, mark = _page(tx, finished, limit - removed, mark)
        forget(tx, [row[0] for row in rows], since=tx.now)
        removed += len(rows)
        if mark is None:
            break
    return removed


def _queues(tx: Transaction) -> list[QueueInfo]:
    paused = {queue for (queue,) in tx.all("pauses")}
    counts: dict[str, dict[State, int]] = {queue: {} for queue in paused}
    for queue, code, count in tx.all("counts"):
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


def _mark(row: Row) -> str:
    _, id_, queue = row
    return f"{id_.hex()}:{queue}"


def _unmarked(mark: str | None) -> tuple[bytes, str]:
    if mark is None:
        return _BEYOND, ""
    id_, _, queue = mark.partition(":")
    return bytes.fromhex(id_), queue
