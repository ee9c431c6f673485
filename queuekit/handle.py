"""A handle to a stored job: its result, its state, and how to cancel it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

from queuekit.codec import Results
from queuekit.errors import InvalidTransition, JobCancelled, JobFailed, JobNotFound
from queuekit.job import Failure, JobInfo, JobRecord, Micros, State
from queuekit.options import Seconds

R = TypeVar("R")


class Desk(Protocol):
    """What a handle needs of its app."""

    async def record(self, job_id: UUID, queue: str | None) -> JobRecord | None:
        """What is known of a job."""
        ...

    async def finished(self, job_id: UUID, queue: str, wait_for: float | None) -> JobRecord:
        """Wait for a job's end. Raises `TimeoutError`, `JobNotFound`."""
        ...

    async def cancel(self, job_id: UUID, queue: str | None) -> State | None:
        """Cancel; the state in which it was found if that refused it, else None. Raises `JobNotFound`."""
        ...

    def run_sync(self, coroutine: Any) -> Any:
        """Run a coroutine from code without an event loop."""
        ...


class Handle(Generic[R]):
    """A job that was enqueued.

    Attributes:
        id: the job's id; of the holder of the key if that was met.
        queue: its queue; None if that is not known yet.
        deduplicated: whether another job held the key (or this id was known), so that nothing new was stored.
    """

    __slots__ = ("_desk", "_results", "deduplicated", "id", "queue")

    def __init__(
        self,
        desk: Desk,
        job_id: UUID,
        queue: str | None,
        results: Results | None,
        deduplicated: bool = False,
    ) -> None:
        self._desk = desk
        self._results = results
        self.id = job_id
        self.queue = queue
        self.deduplicated = deduplicated

    def __repr__(self) -> str:
        return f"<Handle of job {self.id} on queue {self.queue!r}>"

    async def info(self) -> JobInfo:
        """All that is known of the job. Raises `JobNotFound`."""
        return info_of(await self._record(), self._results)

    async def status(self) -> State:
        """The job's state. Raises `JobNotFound`."""
        return (await self._record()).state

    async def result(self, timeout: Seconds | None = None) -> R:  # noqa: ASYNC109  # the public name
        """Wait for the job's end and return what the task returned.

        Args:
            timeout: seconds or timedelta to wait at most; None: as long as it takes.

        Raises:
            JobFailed: it failed for good.
            JobCancelled: it was cancelled.
            JobNotFound: its record is gone, or never was.
            TimeoutError: it has not ended in time.
        """
        limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if self.queue is None:
            await self._record()
        record = await self._desk.finished(self.id, cast("str", self.queue), limit)
        match record.state:
            case State.FAILED:
                raise JobFailed(self.id, record.reason or "failed", failures_of(record.errors))
            case State.CANCELLED:
                why = f": {record.reason}" if record.reason else ""
                raise JobCancelled(f"Job {self.id} was cancelled{why}")
            case _:
                return cast("R", _result(record, self._results))

    def result_sync(self, timeout: Seconds | None = None) -> R:
        """`result`, from code without an event loop."""
        return cast("R", self._desk.run_sync(self.result(timeout)))

    async def cancel(self) -> None:
        """Cancel the job; a running one is interrupted.

        Raises:
            InvalidTransition: it has finished.
            JobNotFound: there is no such job.
        """
        found = await self._desk.cancel(self.id, self.queue)
        if found is not None:
            raise InvalidTransition(self.id, "cancel", found)

    async def _record(self) -> JobRecord:
        record = await self._desk.record(self.id, self.queue)
        if record is None:
            raise JobNotFound(
                f"No job {self.id}: it never was, or its record is past its retention (option keep)"
            )
        self.queue = record.queue
        return record


def info_of(record: JobRecord, results: Results | None = None) -> JobInfo:
    """The public form of a record; the result has its Python type if `results` knows it."""
    return JobInfo(
        id=record.id,
        task=record.task,
        queue=record.queue,
        state=record.state,
        priority=record.priority,
        attempt=record.attempt,
        max_attempts=record.max_attempts,
        lapses=record.lapses,
        crashes=record.crashes,
        reason=record.reason,
        errors=failures_of(record.errors),
        result=_result(record, results),
        enqueued_at=_moment(record.enqueued_at),
        scheduled_at=_moment_or_none(record.scheduled_at),
        started_at=_moment_or_none(record.started_at),
        finished_at=_moment_or_none(record.finished_at),
        key=record.key,
        tags=tuple(record.tags),
        meta=json.loads(record.extra).get("meta", {}) if record.extra else {},
        progress=json.loads(record.progress) if record.progress else None,
        logs=tuple(record.logs),
    )


def failures_of(errors: Sequence[str]) -> tuple[Failure, ...]:
    """Failed attempts from the texts in which they are stored."""
    failures = []
    for text in errors:
        fields = json.loads(text)
        fields["at"] = _moment(fields["at"])
        failures.append(Failure(**fields))
    return tuple(failures)


def _result(record: JobRecord, results: Results | None) -> Any:
    if record.result is None:
        return None
    return results.load(record.result) if results else json.loads(record.result)


def _moment(micros: Micros) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def _moment_or_none(micros: Micros | None) -> datetime | None:
    return None if micros is None else _moment(micros)
