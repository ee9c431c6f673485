"""The same store, for people's eyes and hands."""

from collections.abc import AsyncIterator, Sequence
from heapq import nlargest
from typing import Final
from uuid import UUID

from queuekit.backend import Change, JobFilter, QueueInfo, WorkerInfo
from queuekit.backend.base import matches
from queuekit.job import JobRef, State
from queuekit.lifecycle import ALLOWED, Event
from queuekit.record import JobRecord
from queuekit_redis.rows import read_change, read_record, read_worker
from queuekit_redis.statements import Scripts, by_queue

PAGE: Final = 250
LOOKED_AT: Final = 10_000
"""How many jobs one scan of all ids gives to look at."""
SCANNED: Final = 1_000
"""About so many ids come from one scan."""
SOURCES: Final = {
    State.READY: ("ready", "suspects", "solitary"),
    State.SCHEDULED: ("scheduled",),
    State.RUNNING: ("running",),
    State.WAITING: ("waiting",),
    State.SUCCEEDED: ("ended",),
    State.FAILED: ("failed",),
    State.CANCELLED: ("cancelled",),
    State.BLOCKED: (),
}
"""Which keys hold the jobs of a state."""
HASHES: Final = frozenset({"jobs", "running", "waiting", "ended"})


class RedisInspector:
    """Looks and steers by one script a queue."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished."""
        parts = list(by_queue(dict.fromkeys(refs), lambda ref: ref.queue, PAGE))
        calls = [
            self._scripts.call("inspect_records", queue, (ref.id.bytes for ref in some))
            for queue, some in parts
        ]
        found = {
            ref: read_record(ref, one)
            for (_, some), answer in zip(parts, await self._scripts.run_all(calls), strict=True)
            for ref, one in zip(some, answer, strict=True)
        }
        return [found[ref] for ref in refs]

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are."""
        newest: dict[UUID, JobRecord] = {}
        queues = await self._scripts.queues()
        for record in await self.get([JobRef(queue, id_) for queue in queues for id_ in ids]):
            if record is not None:
                before = newest.setdefault(record.job.id, record)
                if before.times.enqueued_at < record.times.enqueued_at:
                    newest[record.job.id] = record
        return [newest[id_].ref if id_ in newest else None for id_ in ids]

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first."""
        found: list[JobRecord] = []
        while len(found) < limit:
            refs = await self._greatest(where, after)
            for start in range(0, len(refs), PAGE):
                records = await self.get(refs[start : start + PAGE])
                found += [one for one in records if one is not None and matches(one, where)]
                if len(found) >= limit:
                    break
            if len(refs) < LOOKED_AT:
                break
            after = refs[-1]
        return found[:limit]

    async def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits, in portions."""
        async for page in self._scanned(where):
            records = await self.get(page)
            fit = [one.ref for one in records if one is not None and matches(one, where)]
            if fit:
                yield fit

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        infos = await self.count(await self._scripts.queues())
        return [info for info in infos if info.paused or info.counts]

    async def count(self, queues: Sequence[str]) -> list[QueueInfo]:
        """These queues, whether they hold something or not."""
        answers = await self._scripts.run_everywhere("inspect_count", queues)
        return [_queue_info(name, *answer) for name, answer in zip(queues, answers, strict=True)]

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        return [
            read_worker(raw) for raw in await self._scripts.run_one("inspect_workers", None) if raw
        ]

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out one of the events of `STEERING` on jobs."""
        states = f" {' '.join(ALLOWED[event])} "
        changes: dict[int, Change] = {}
        for queue, some in by_queue(enumerate(refs), lambda item: item[1].queue, PAGE):
            ids = (ref.id.bytes for _, ref in some)
            answer = await self._scripts.run_one("inspect_steer", queue, event.value, states, *ids)
            for (index, _), raw in zip(some, answer, strict=True):
                changes[index] = read_change(queue, raw)
        return [changes[index] for index in range(len(refs))]

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        """Whether claims give nothing."""
        if queues and paused:
            await self._scripts.run_one("enqueue_register", None, *queues)
        await self._scripts.run_everywhere("inspect_pause", queues, int(paused))

    async def _greatest(self, where: JobFilter, after: JobRef | None) -> list[JobRef]:
        """Those that come next, up to `LOOKED_AT`; no collection is in that order, so all ids are gone through."""
        found: set[JobRef] = set()
        async for page in self._scanned(where):
            found.update(ref for ref in page if after is None or _order(ref) < _order(after))
            if len(found) > 2 * LOOKED_AT:
                found = set(nlargest(LOOKED_AT, found, _order))
        return nlargest(LOOKED_AT, found, _order)

    async def _scanned(self, where: JobFilter) -> AsyncIterator[list[JobRef]]:
        """All jobs among which those of a filter are."""
        for queue, source in await self._sources(where):
            command = "HSCAN" if source in HASHES else "ZSCAN"
            cursor = 0
            while True:
                mark, ids = await self._scripts.run_one(
                    "inspect_scan", queue, source, command, cursor, SCANNED
                )
                # Small collections are scanned as a whole, whatever was asked for.
                for start in range(0, len(ids), PAGE):
                    yield [JobRef(queue, UUID(bytes=id_)) for id_ in ids[start : start + PAGE]]
                cursor = int(mark)
                if not cursor:
                    break

    async def _sources(self, where: JobFilter) -> list[tuple[str, str]]:
        """Queues and keys that are to be looked through."""
        queues = where.queues or await self._scripts.queues()
        sources = dict.fromkeys(source for state in where.states for source in SOURCES[state])
        if "ended" in sources:
            for part in ("failed", "cancelled"):
                sources.pop(part, None)
        return [(queue, source) for queue in queues for source in (sources or ("jobs",))]


def _order(ref: JobRef) -> tuple[UUID, str]:
    return ref.id, ref.queue


def _queue_info(name: str, paused: int, *counts: int) -> QueueInfo:
    ready, scheduled, running, waiting, ended, failed, cancelled = counts
    by_state = {
        State.SCHEDULED: scheduled,
        State.READY: ready,
        State.RUNNING: running,
        State.WAITING: waiting,
        State.SUCCEEDED: ended - failed - cancelled,
        State.FAILED: failed,
        State.CANCELLED: cancelled,
    }
    return QueueInfo(
        name=name,
        paused=bool(paused),
        counts={state: count for state, count in by_state.items() if count > 0},
    )
