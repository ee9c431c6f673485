"""The same store, for people's eyes and hands."""

from collections.abc import Sequence
from typing import Any, Final, cast
from uuid import UUID

from queuekit.backend import Change, JobFilter, QueueInfo, WorkerInfo
from queuekit.job import FINISHED, JobRecord, Micros, State
from queuekit_redis.reading import read_records
from queuekit_redis.records import read_worker
from queuekit_redis.scripts import Scripts

PAGE: Final = 250
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
    """What people need. `queue=None` asks all queues."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def get(self, ids: Sequence[UUID], queue: str | None = None) -> list[JobRecord | None]:
        """Records, live or finished."""
        found: dict[UUID, JobRecord] = {}
        queues = await self._scripts.queues() if queue is None else [queue]
        for record in await read_records(self._scripts, dict.fromkeys(queues, ids)):
            if record is not None and (
                record.id not in found or found[record.id].enqueued_at < record.enqueued_at
            ):
                found[record.id] = record
        return [found.get(id_) for id_ in ids]

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: str | None = None
    ) -> tuple[list[JobRecord], str | None]:
        """A page of jobs and the mark of the next page."""
        places = await self._places(where)
        place, cursor, skip = map(int, after.split("-")) if after else (0, 0, 0)
        if place >= len(places):
            return [], None
        queue, source = places[place]
        command = "HSCAN" if source in HASHES else "ZSCAN"
        next_cursor, ids = await self._scripts.run_one(
            "scan", queue, source, command, cursor, min(limit, PAGE)
        )
        # Small collections are scanned as a whole, whatever was asked for.
        ids = sorted(ids)
        some = ids[skip : skip + min(limit, PAGE)]
        found = await read_records(self._scripts, {queue: [UUID(bytes=id_) for id_ in some]})
        records = [record for record in found if record is not None and matches(record, where)]
        if skip + len(some) < len(ids):
            return records, f"{place}-{cursor}-{skip + len(some)}"
        if int(next_cursor):
            return records, f"{place}-{int(next_cursor)}-0"
        return records, f"{place + 1}-0-0" if place + 1 < len(places) else None

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        names = await self._scripts.queues()
        answers = await self._scripts.run_everywhere("count", names)
        infos = (_queue_info(name, *answer) for name, answer in zip(names, answers, strict=True))
        return [info for info in infos if info.paused or info.counts]

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        return [read_worker(raw) for raw in await self._scripts.run_one("workers", None) if raw]

    async def cancel(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Unstarted jobs end as cancelled; running ones are asked to."""
        return await self._steer("cancel", ids, queue)

    async def retry(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Failed and cancelled jobs become ready."""
        return await self._steer("rerun", ids, queue)

    async def promote(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Scheduled jobs become ready."""
        return await self._steer("promote", ids, queue)

    async def delete(self, ids: Sequence[UUID], queue: str | None = None) -> list[Change]:
        """Any but running ones go; their ids stay remembered."""
        return await self._steer("delete", ids, queue)

    async def pause(self, queues: Sequence[str]) -> None:
        """Claims give nothing until `resume`."""
        if queues:
            await self._scripts.run_one("register", None, *queues)
        await self._scripts.run_everywhere("pause", queues)

    async def resume(self, queues: Sequence[str]) -> None:
        """Claims give jobs again; sleepers are woken."""
        await self._scripts.run_everywhere("resume", queues)

    async def drain(self, queue: str, *, limit: int = 1000) -> int:
        """Cancel up to `limit` scheduled and ready jobs; how many there were."""
        drained = 0
        while drained < limit:
            some = min(limit - drained, PAGE)
            count = await self._scripts.run_one("drain", queue, some)
            drained += count
            if count < some:
                break
        return drained

    async def clean(self, where: JobFilter, *, limit: int = 1000) -> int:
        """Remove up to `limit` finished records; how many there were."""
        removed = 0
        mark: str | None = None
        while removed < limit:
            page, following = await self.find(where, limit=PAGE, after=mark)
            over = [record for record in page if record.state in FINISHED][: limit - removed]
            done = 0
            for queue in {record.queue for record in over}:
                ids = [record.id for record in over if record.queue == queue]
                done += sum(change.done for change in await self.delete(ids, queue))
            removed += done
            # A page from which something went is read again: what follows has moved up.
            if not done:
                if following is None:
                    break
                mark = following
        return removed

    async def _places(self, where: JobFilter) -> list[tuple[str, str]]:
        """Queues and keys to be looked through."""
        queues = where.queues or await self._scripts.queues()
        sources = dict.fromkeys(source for state in where.states for source in SOURCES[state])
        if "ended" in sources:
            for part in ("failed", "cancelled"):
                sources.pop(part, None)
        return [(queue, source) for queue in queues for source in (sources or ("jobs",))]

    async def _steer(self, script: str, ids: Sequence[UUID], queue: str | None) -> list[Change]:
        places = await self._newest(ids) if queue is None else dict.fromkeys(ids, queue)
        changes = dict.fromkeys(ids, Change(None, done=False))
        for name in dict.fromkeys(places.values()):
            asked = [id_ for id_ in dict.fromkeys(ids) if places.get(id_) == name]
            for start in range(0, len(asked), PAGE):
                some = asked[start : start + PAGE]
                answer = await self._scripts.run_one(script, name, *(id_.bytes for id_ in some))
                changes |= zip(some, map(_change, answer), strict=True)
        return [changes[id_] for id_ in ids]

    async def _newest(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """The queue of each id; of the newest job, if several queues have one."""
        records = await self.get(ids)
        return {record.id: record.queue for record in records if record is not None}


def matches(record: JobRecord, where: JobFilter) -> bool:
    """Whether all conditions hold."""
    return (
        (not where.tasks or record.task in where.tasks)
        and (not where.states or record.state in where.states)
        and set(where.tags) <= set(record.tags)
        and (where.since is None or record.enqueued_at >= cast("Micros", where.since))
        and (where.error is None or any(where.error in text for text in record.errors[-1:]))
    )


def _change(answer: Sequence[Any]) -> Change:
    state, done, *holder = answer
    why = None
    if holder and holder[0]:
        why = f"its key is held by job {UUID(bytes=holder[0])}"
    return Change(State(state.decode()) if state else None, bool(done), why)


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
