"""The store for people's eyes and hands."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from queuekit.backend import Change, JobFilter, Presence, QueueInfo, WorkerInfo
from queuekit.codes import STATES, codes_of
from queuekit.job import JobRef, Micros, State
from queuekit.lifecycle import ALLOWED, Event
from queuekit.record import JobRecord
from queuekit_postgres.connection import Lanes, Rows
from queuekit_postgres.rows import change, record
from queuekit_postgres.statements import Statements

SEEN_AT_MOST = 5000
"""How many jobs one page looks at, so that a filter that fits few jobs stays within the deadline."""
PORTION = 1000
_PAST_ALL = JobRef("\U0010ffff", UUID(int=2**128 - 1))


class PostgresInspector:
    """Looks and steers by one statement a call."""

    def __init__(self, statements: Statements, lanes: Lanes, keep_failed: Micros) -> None:
        self._statements = statements
        self._lanes = lanes
        self._keep_failed = keep_failed

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished."""
        rows = await self._fetch("get", [ref.id for ref in refs], [ref.queue for ref in refs])
        found = {one.ref: one for one in map(record, rows)}
        return [found.get(ref) for ref in refs]

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are."""
        rows = await self._fetch("locate", list(ids))
        newest = {id_: JobRef(queue, id_) for id_, queue in rows}
        return [newest.get(id_) for id_ in ids]

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first."""
        found: list[JobRecord] = []
        mark: JobRef | None = after or _PAST_ALL
        while mark is not None and len(found) < limit:
            refs, mark = await self._page(where, limit - len(found), mark)
            found += [one for one in await self.get(refs) if one is not None]
        return found

    async def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits, in portions."""
        mark: JobRef | None = _PAST_ALL
        while mark is not None:
            refs, mark = await self._page(where, PORTION, mark)
            if refs:
                yield refs

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

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out one of the events of `STEERING` on jobs."""
        rows = await self._fetch(
            "steer",
            event.value,
            codes_of(ALLOWED[event]),
            [ref.id for ref in refs],
            [ref.queue for ref in refs],
            self._keep_failed,
        )
        return [change(row) for row in rows]

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        """Whether claims give nothing."""
        await self._fetch("pause", list(queues), paused)

    async def _page(
        self, where: JobFilter, limit: int, after: JobRef
    ) -> tuple[list[JobRef], JobRef | None]:
        """Some jobs, and after which the next are; None: there are no more."""
        last = (after.id, after.queue)
        rows = await self._fetch("find", *_conditions(where), limit, SEEN_AT_MOST, *last)
        found = [JobRef(row["queue"], row["id"]) for row in rows if row["id"] is not None]
        if len(found) == limit:
            return found, found[-1]
        if rows and rows[0]["seen"] == SEEN_AT_MOST:
            return found, JobRef(rows[0]["last_queue"], rows[0]["last_id"])
        return found, None

    async def _fetch(self, verb: str, *args: Any) -> Rows:
        return await self._lanes.fetch(self._statements[verb], *args)


def _conditions(where: JobFilter) -> tuple[Any, ...]:
    return (
        list(where.queues) or None,
        list(where.tasks) or None,
        codes_of(where.states) or None,
        list(where.tags) or None,
        where.since,
        where.error,
    )
