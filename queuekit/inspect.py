"""`Queuekit.inspect`: looking at jobs and queues, and steering them; the command line's verbs in Python."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from queuekit.backend import Change, Inspector, JobFilter, QueueInfo, WorkerInfo
from queuekit.errors import InvalidOption, JobNotFound, UnknownTask
from queuekit.handle import info_of
from queuekit.job import JobInfo, JobRecord, State

if TYPE_CHECKING:
    from queuekit.app import Queuekit

PAGE = 500
NAMES_SHOWN = 50
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

    async def pause(self, *queues: str, create: bool = False) -> None:
        """Let no job of these queues start until `resume`.

        Args:
            queues: by name.
            create: also those that have no job yet.

        Raises:
            InvalidOption: there is no such queue.
        """
        if not create:
            await self.refuse_unknown_queues(
                queues, "; to pause it before its first job: create=True (--create)"
            )
        await (await self._inspector()).pause(queues)

    async def resume(self, *queues: str) -> None:
        """Let their jobs start again. Raises `InvalidOption`: there is no such queue."""
        await self.refuse_unknown_queues(queues)
        await (await self._inspector()).resume(queues)

    async def drain(self, queue: str) -> int:
        """Cancel all scheduled and ready jobs of a queue; how many there were.

        Raises:
            InvalidOption: there is no such queue.
        """
        await self.refuse_unknown_queues([queue])
        inspector = await self._inspector()
        total = 0
        while count := await inspector.drain(queue):
            total += count
        return total

    async def clean(self, where: JobFilter) -> int:
        """Remove the records of finished jobs; how many there were.

        Raises:
            InvalidOption, UnknownTask: the filter names a queue or a task that is not there.
        """
        inspector = await self._inspector()
        total = 0
        while count := await inspector.clean(where):
            total += count
        if not total:
            await self.refuse_unknown(where)
        return total

    async def refuse_unknown(self, where: JobFilter, *, without_tasks: bool = False) -> None:
        """For a filter that found nothing: is that a slip of the pen?

        Args:
            where: the filter.
            without_tasks: an app without tasks can't know which there are; judge by the jobs alone.

        Raises:
            InvalidOption: a queue is not there.
            UnknownTask: no job is of that task, and the app has none of that name.
        """
        await self.refuse_unknown_queues(where.queues)
        if not (self._app.tasks or without_tasks):
            return
        for task in where.tasks:
            if task not in self._app.tasks and not await self._any(JobFilter(tasks=[task])):
                raise UnknownTask(
                    f"No task {task!r}: no job is of it. {_known_are(self._app.tasks, 'Tasks of the app')}"
                )

    async def refuse_unknown_queues(self, names: Sequence[str], remedy: str = "") -> None:
        """Queues that neither hold a job or a record, nor are paused, nor served, nor of a task of the app.

        Raises:
            InvalidOption: one of them is named; so are those that are there.
        """
        if not names:
            return
        known = {task.queue for task in self._app.tasks.values()}
        known |= {queue.name for queue in await self.queues()}
        known |= {name for worker in await self.workers() for name in worker.presence.queues}
        for name in names:
            if name not in known:
                raise InvalidOption(
                    f"No queue {name!r}. {_known_are(known, 'Known queues')}{remedy}"
                )

    async def _any(self, where: JobFilter) -> bool:
        async for _ in self._find(where):
            return True
        return False

    async def _steer(
        self, verb: str, jobs: Sequence[UUID] | JobFilter, queue: str | None
    ) -> Steered:
        inspector = await self._inspector()
        done = 0
        refused: dict[UUID, Change] = {}
        found = False
        async for ids in self.pages(verb, jobs):
            found = True
            changes: Sequence[Change] = await getattr(inspector, verb)(ids, queue)
            done += sum(change.done for change in changes)
            refused |= {
                one: change for one, change in zip(ids, changes, strict=True) if not change.done
            }
        if not found and isinstance(jobs, JobFilter):
            await self.refuse_unknown(jobs)
        return Steered(done, refused)

    async def pages(
        self, verb: str, jobs: Sequence[UUID] | JobFilter
    ) -> AsyncIterator[Sequence[UUID]]:
        """The ids of the jobs that a verb is about, in portions.

        Raises:
            InvalidOption: a filter by which there never is one.
        """
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


def _known_are(names: Iterable[str], what: str) -> str:
    """What there is instead, for the message about a name that is unknown."""
    some = sorted(names)[:NAMES_SHOWN]
    return f"{what}: {', '.join(some) or 'none'}"


__all__ = ["Inspect", "Steered"]
