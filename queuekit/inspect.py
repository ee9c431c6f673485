"""`Queuekit.inspect`: looking at jobs and queues, and steering them; the command line's verbs in Python."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from uuid import UUID

from queuekit.backend import Change, JobFilter, QueueInfo, WorkerInfo
from queuekit.errors import InvalidOption, JobNotFound, UnknownTask
from queuekit.handle import info_of
from queuekit.job import JobInfo, JobRef, State
from queuekit.lifecycle import ALLOWED, Event
from queuekit.record import JobRecord

if TYPE_CHECKING:
    from queuekit.store import Store

PORTION: Final = 500
"""Jobs are steered by so many at once."""
NAMES_SHOWN: Final = 50

Jobs: TypeAlias = Sequence[JobRef] | JobFilter
"""Which jobs to steer: one by one, or all that a filter fits."""


class Steered(NamedTuple):
    """What a steering act did: how many jobs, and those that it refused."""

    done: int
    refused: dict[JobRef, Change]


class Inspect:
    """Looks at one app's store and steers it."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    async def list(
        self,
        where: JobFilter | None = None,
        *,
        limit: int = 50,
        after: JobInfo | JobRef | None = None,
    ) -> list[JobInfo]:
        """Jobs, the newest first.

        Args:
            where: which ones; None: all.
            limit: at most so many.
            after: the last one of the page before.
        """
        mark = after.ref if isinstance(after, JobInfo) else after
        inspector = await self._store.inspector()
        records = await inspector.find(where or JobFilter(), limit=limit, after=mark)
        return [self._info(record) for record in records]

    async def show(self, job: JobRef | UUID) -> JobInfo:
        """All that is known of a job; of an id in several queues the one enqueued last. Raises `JobNotFound`."""
        (ref,) = [job] if isinstance(job, JobRef) else await self.locate([job])
        (record,) = [None] if ref is None else await (await self._store.inspector()).get([ref])
        if record is None:
            raise JobNotFound.named(job)
        return self._info(record)

    async def locate(self, ids: Sequence[UUID]) -> Sequence[JobRef | None]:
        """Where jobs of these ids are; of an id in several queues the one enqueued last is meant."""
        return await (await self._store.inspector()).locate(ids)

    async def cancel(self, jobs: Jobs) -> Steered:
        """Cancel jobs; running ones are interrupted."""
        return await self.steer(Event.CANCEL, jobs)

    async def retry(self, jobs: Jobs) -> Steered:
        """Run failed and cancelled jobs again, with all their attempts."""
        return await self.steer(Event.RERUN, jobs)

    async def promote(self, jobs: Jobs) -> Steered:
        """Make scheduled jobs ready now."""
        return await self.steer(Event.PROMOTE, jobs)

    async def delete(self, jobs: Jobs) -> Steered:
        """Remove jobs that are not running, and their records."""
        return await self.steer(Event.DELETE, jobs)

    async def queues(self) -> Sequence[QueueInfo]:
        """All queues, with the number of their jobs by state."""
        return await (await self._store.inspector()).queues()

    async def workers(self) -> Sequence[WorkerInfo]:
        """All processes that are present."""
        return await (await self._store.inspector()).workers()

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
        await (await self._store.inspector()).pause(queues, paused=True)

    async def resume(self, *queues: str) -> None:
        """Let their jobs start again. Raises `InvalidOption`: there is no such queue."""
        await self.refuse_unknown_queues(queues)
        await (await self._store.inspector()).pause(queues, paused=False)

    async def drain(self, queue: str) -> int:
        """Cancel all scheduled and ready jobs of a queue; how many there were.

        Raises:
            InvalidOption: there is no such queue.
        """
        await self.refuse_unknown_queues([queue])
        return (await self.steer(Event.DRAIN, JobFilter(queues=[queue]))).done

    async def clean(self, where: JobFilter) -> int:
        """Remove the records of finished jobs; how many there were.

        Raises:
            InvalidOption: the filter names a queue that is not there, or only states of unfinished jobs.
            UnknownTask: it names a task that is not there.
        """
        return (await self.steer(Event.CLEAN, where)).done

    async def refuse_unknown(self, where: JobFilter, *, without_tasks: str = "") -> None:
        """For a filter that found nothing: is that a slip of the pen?

        Args:
            where: the filter.
            without_tasks: an app without tasks can't know which there are; judge by the jobs alone then, and say this.

        Raises:
            InvalidOption: a queue is not there.
            UnknownTask: no job is of that task, and the app has none of that name.
        """
        await self.refuse_unknown_queues(where.queues)
        if not (self._store.tasks or without_tasks):
            return
        for task in where.tasks:
            if task not in self._store.tasks and not await self._any(JobFilter(tasks=[task])):
                tasks = self._store.tasks
                known = _known_are(tasks, "Tasks of the app") if tasks else without_tasks
                raise UnknownTask(f"No task {task!r}: no job is of it. {known}")

    async def refuse_unknown_queues(self, names: Sequence[str], remedy: str = "") -> None:
        """Queues that neither hold a job or a record, nor are paused, nor served, nor of a task of the app.

        Raises:
            InvalidOption: one of them is named; so are those that are there.
        """
        if not names:
            return
        known = {task.queue for task in self._store.tasks.values()}
        known |= {queue.name for queue in await self.queues()}
        known |= {name for worker in await self.workers() for name in worker.presence.queues}
        for name in names:
            if name not in known:
                raise InvalidOption(
                    f"No queue {name!r}. {_known_are(known, 'Known queues')}{remedy}"
                )

    async def matching(self, event: Event, where: JobFilter) -> Sequence[JobRef]:
        """The jobs that a filter fits, in the states in which an event is allowed.

        Raises:
            InvalidOption: there never is one in the states that it names.
        """
        states = ALLOWED[event] & frozenset(where.states or State)
        if not states:
            given = ", ".join(where.states)
            raise InvalidOption(f"No job in state {given} can be told to {verb_of(event)}")
        narrowed = replace(where, states=tuple(sorted(states)))
        # All first, as steering moves jobs between the portions that are still to be read.
        return [
            ref async for page in (await self._store.inspector()).refs(narrowed) for ref in page
        ]

    async def steer(self, event: Event, jobs: Jobs) -> Steered:
        """What the verbs above do.

        Args:
            event: one of `queuekit.backend.STEERING`.
            jobs: which ones.

        Raises:
            InvalidOption, UnknownTask: a filter names a queue, a task or states by which there is no job.
        """
        refs = await self.matching(event, jobs) if isinstance(jobs, JobFilter) else jobs
        if isinstance(jobs, JobFilter) and not refs:
            await self.refuse_unknown(jobs)
        inspector, done = await self._store.inspector(), 0
        refused: dict[JobRef, Change] = {}
        for start in range(0, len(refs), PORTION):
            for change in await inspector.steer(event, refs[start : start + PORTION]):
                if change.refused:
                    refused[change.ref] = change
                else:
                    done += 1
        return Steered(done, refused)

    async def _any(self, where: JobFilter) -> bool:
        async for _ in (await self._store.inspector()).refs(where):
            return True
        return False

    def _info(self, record: JobRecord) -> JobInfo:
        return info_of(record, self._store.tasks.get(record.job.task))


def verb_of(event: Event) -> str:
    """What people call it."""
    return "retry" if event is Event.RERUN else event.value


def _known_are(names: Iterable[str], what: str) -> str:
    """What there is instead, for the message about a name that is unknown."""
    some = sorted(names)[:NAMES_SHOWN]
    return f"{what}: {', '.join(some) or 'none'}"


__all__ = ["Inspect", "Jobs", "Steered"]
