"""`Queuekit.inspect`: looking at jobs and queues, and steering them; the command line's verbs in Python."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from queuekit.backend import Change, Inspector, JobFilter, QueueInfo, WorkerInfo
from queuekit.errors import InvalidOption, JobNotFound
from queuekit.handle import info_of
from queuekit.job import JobInfo, JobRecord, State

if TYPE_CHECKING:
    from queuekit.app import Queuekit

PAGE = 500
VERBS: dict[str, frozenset[State]] = {
    "cancel": frozenset(
        {State.SCHEDULED, State.READY, State.WAITING, State.BLOCKED, State.RUNNING}
    ),
    "retry": frozenset({State.FAILED, State.CANCELLED}),
    "promote": frozenset({State.SCHEDULED}),
    "delete": frozenset(State) - {State.RUNNING},
}
"""The states in which a filter looks for jobs to steer."""


class Steered(NamedTuple):
    """What a steering act did: how many jobs, and the refusals by id."""

    done: int
    refused: dict[UUID, Change]


class Inspect:
    """Looks at one app's store and steers it."""

    def __init__(self, app: "Queuekit") -> None:
        self._app = app

    async def list(self, where: JobFilter | None = None, *, limit: int = 50) -> list[JobInfo]:
        """Jobs, the newest first within each queue, up to `limit`."""
        found: list[JobInfo] = []
        async for record in self._find(where or JobFilter()):
            if len(found) >= limit:
                break
            found.append(self._info(record))
        return found

    async def show(self, job_id: UUID, queue: str | None = None) -> JobInfo:
        """All that is known of a job. Raises `JobNotFound`."""
        (record,) = await (await self._inspector()).get([job_id], queue)
        if record is None:
            raise JobNotFound(f"No job {job_id}: it never was, or its record is past its retention")
        return self._info(record)

    async def cancel(self, jobs: Sequence[UUID] | JobFilter, queue: str | None = None) -> Steered:
        """Cancel jobs; running ones are interrupted."""
        return await self._steer("cancel", jobs, queue)

    async def retry(self, jobs: Sequence[UUID] | JobFilter, queue: str | None = None) -> Steered:
        """Run failed and cancelled jobs again, with all their attempts."""
        return await self._steer("retry", jobs, queue)

    async def promote(self, jobs: Sequence[UUID] | JobFilter, queue: str | None = None) -> Steered:
        """Make scheduled jobs ready now."""
        return await self._steer("promote", jobs, queue)

    async def delete(self, jobs: Sequence[UUID] | JobFilter, queue: str | None = None) -> Steered:
        """Remove jobs that are not running, and their records."""
        return await self._steer("delete", jobs, queue)

    async def queues(self) -> Sequence[QueueInfo]:
        """All queues, with the number of their jobs by state."""
        return await (await self._inspector()).queues()

    async def workers(self) -> Sequence[WorkerInfo]:
        """All processes that are present."""
        return await (await self._inspector()).workers()

    async def pause(self, *queues: str) -> None:
        """Let no job of these queues start until `resume`."""
        await (await self._inspector()).pause(queues)

    async def resume(self, *queues: str) -> None:
        """Let their jobs start again."""
        await (await self._inspector()).resume(queues)

    async def drain(self, queue: str) -> int:
        """Cancel all scheduled and ready jobs of a queue; how many there were."""
        inspector = await self._inspector()
        total = 0
        while count := await inspector.drain(queue):
            total += count
        return total

    async def clean(self, where: JobFilter) -> int:
        """Remove the records of finished jobs; how many there were."""
        inspector = await self._inspector()
        total = 0
        while count := await inspector.clean(where):
            total += count
        return total

    async def _steer(
        self, verb: str, jobs: Sequence[UUID] | JobFilter, queue: str | None
    ) -> Steered:
        inspector = await self._inspector()
        done = 0
        refused: dict[UUID, Change] = {}
        async for ids in self._pages(verb, jobs):
            changes: Sequence[Change] = await getattr(inspector, verb)(ids, queue)
            done += sum(change.done for change in changes)
            refused |= {
                one: change for one, change in zip(ids, changes, strict=True) if not change.done
            }
        return Steered(done, refused)

    async def _pages(
        self, verb: str, jobs: Sequence[UUID] | JobFilter
    ) -> AsyncIterator[Sequence[UUID]]:
        if not isinstance(jobs, JobFilter):
            yield jobs
            return
        states = VERBS[verb] & frozenset(jobs.states or State)
        if not states:
            raise InvalidOption(f"No job in state {', '.join(jobs.states)} can be told to {verb}")
        # All first, as steering moves jobs between the pages that are still to be read.
        found = [record.id async for record in self._find(_with_states(jobs, states))]
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]

    async def _find(self, where: JobFilter) -> AsyncIterator[JobRecord]:
        inspector, mark = await self._inspector(), None
        while True:
            records, mark = await inspector.find(where, limit=PAGE, after=mark)
            for record in records:
                yield record
            if mark is None:
                return

    async def _inspector(self) -> Inspector:
        return (await self._app.backend()).inspector

    def _info(self, record: JobRecord) -> JobInfo:
        return info_of(record, self._app.tasks.get(record.task))


def _with_states(where: JobFilter, states: frozenset[State]) -> JobFilter:
    return replace(where, states=tuple(sorted(states)))


__all__ = ["Inspect", "Steered"]
