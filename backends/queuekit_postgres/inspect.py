"""The store for people's eyes and hands."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from queuekit.backend import Change, JobFilter, Presence, QueueInfo, WorkerInfo
from queuekit.job import JobRecord, Micros, State
from queuekit_postgres.connections import Lanes, Rows
from queuekit_postgres.rows import STATES, codes, record
from queuekit_postgres.statements import Statements

SEEN_AT_MOST = 5000
"""How many jobs one page looks at, so that a filter that fits few jobs stays within the deadline."""
_PAST_ALL = (UUID(int=2**128 - 1), "")


class PostgresInspector:
    """Looks and steers by one statement a call."""

    def __init__(self, statements: Statements, lanes: Lanes, keep_failed: Micros) -> None:
        self._statements = statements
        self._lanes = lanes
        self._keep_failed = keep_failed

    async def get(self, ids: Sequence[UUID], queue: str | None = None) -> list[JobRecord | None]:
        """Records, live or finished."""
        rows = await self._fetch("get", list(ids), queue)
        newest = {row["id"]: row for row in rows}
        return [record(newest[job]) if job in newest else None for job in ids]

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: str | None = None
    ) -> tuple[list[JobRecord], str | None]:
        """A page of jobs, newest ids first."""
        last = _PAST_ALL
        if after is not None:
            job, _, queue = after.partition(" ")
            last = (UUID(job), queue)
        rows = await self._fetch("find", *_conditions(where), limit, SEEN_AT_MOST, *last)
        found = [row for row in rows if row["id"] is not None]
        return [record(row) for row in found], _mark(rows, full=len(found) == limit)

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        counts: defaultdict[str, defaultdict[State, int]] = defaultdict(lambda: defaultdict(int))
        paused = set()
        for queue, state, jobs, is_paused in await self._fetch("queues"):
            if is_paused:
                paused.add(queue)
            else:
                counts[queue][STATES[state]] += jobs
        return [
            QueueInfo(name=name, paused=name in paused, counts=dict(counts[name]))
            for name in sorted(counts.keys() | paused)
        ]

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        return [
            WorkerInfo(presence=Presence(**json.loads(row["presence"])), seen_at=row["seen_at"])
            for row in await self._fetch("workers")
        ]

    async def cancel(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Cancel, or ask to."""
        return _changes(await self._fetch("cancel", list(ids), queue, self._keep_failed))

    async def retry(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Run failed and cancelled jobs again."""
        return _changes(await self._fetch("rerun", list(ids), queue))

    async def promote(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Make scheduled jobs ready."""
        return _changes(await self._fetch("promote", list(ids), queue))

    async def delete(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Remove jobs; their ids stay remembered."""
        return _changes(await self._fetch("delete", list(ids), queue))

    async def pause(self, queues: Sequence[str]) -> None:
        """Claims give nothing until `resume`."""
        await self._lanes.execute(self._statements["pause"], list(queues))

    async def resume(self, queues: Sequence[str]) -> None:
        """Claims give jobs again."""
        await self._fetch("resume", list(queues))

    async def drain(self, queue: str, *, limit: int = 1000) -> int:
        """Cancel scheduled and ready jobs."""
        return await self._count("drain", queue, limit, self._keep_failed)

    async def clean(self, where: JobFilter, *, limit: int = 1000) -> int:
        """Remove finished records."""
        return await self._count("clean", *_conditions(where), limit)

    async def _fetch(self, verb: str, *args: Any) -> Rows:
        return await self._lanes.fetch(self._statements[verb], *args)

    async def _count(self, verb: str, *args: Any) -> int:
        (row,) = await self._fetch(verb, *args)
        count: int = row[0]
        return count


def _conditions(where: JobFilter) -> tuple[Any, ...]:
    return (
        list(where.queues) or None,
        list(where.tasks) or None,
        codes(where.states) or None,
        list(where.tags) or None,
        where.since,
        where.error,
    )


def _mark(rows: Rows, *, full: bool) -> str | None:
    if full:
        return f"{rows[-1]['id']} {rows[-1]['queue']}"
    if rows and rows[0]["seen"] == SEEN_AT_MOST:
        return f"{rows[0]['last_id']} {rows[0]['last_queue']}"
    return None


def _changes(rows: Rows) -> list[Change]:
    return [
        Change(None if state is None else STATES[state], done=done, why=why)
        for state, done, why in rows
    ]
