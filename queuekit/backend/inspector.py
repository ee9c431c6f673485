"""The verbs of people: looking and steering."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol, runtime_checkable
from uuid import UUID

from queuekit.backend.answers import JobFilter, QueueInfo, WorkerInfo
from queuekit.backend.changes import Change
from queuekit.job import JobRef
from queuekit.lifecycle import Event
from queuekit.record import JobRecord


@runtime_checkable
class Inspector(Protocol):
    """What people need."""

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished, in this order."""
        ...

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are; where an id is in several queues, the one enqueued last is meant."""
        ...

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first; UUIDv7 begin with a time, so these are the newest.

        Args:
            where: which ones.
            limit: at most so many; if fewer come, these are the last.
            after: the last one of the page before, whether it is still there or not.
        """
        ...

    def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits, in portions and in no order; what is changed meanwhile may be missed."""
        ...

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        ...

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out one of `STEERING` on jobs; one answer each, in order.

        cancel: an unstarted job ends as cancelled, a running one is asked to stop (and its process is woken). drain:
        the same for scheduled and ready ones alone. rerun: a failed or cancelled job becomes ready, with generation
        + 1, attempt, lapses and crashes 0, and its errors; refused if another job holds its key now; one that held its
        key until it had ``finished`` takes it again. promote: a scheduled job becomes ready. delete: it goes, unless
        it is running, and its id stays remembered. clean: the same for finished ones alone.
        """
        ...

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        """Whether claims of these queues give nothing; sleepers are woken when they give jobs again."""


STEERING: Final = (
    Event.CANCEL,
    Event.DRAIN,
    Event.RERUN,
    Event.PROMOTE,
    Event.DELETE,
    Event.CLEAN,
)
"""What people may do to jobs."""
