"""A handle to a stored job: its result, its state, and how to cancel it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, cast
from uuid import UUID

from queuekit.codec import Arguments, Results
from queuekit.errors import InvalidPayload, InvalidTransition, JobCancelled, JobFailed, JobNotFound
from queuekit.failure import printable
from queuekit.job import Failure, JobInfo, JobRef, Micros, State
from queuekit.record import JobRecord
from queuekit.times import Seconds, datetime_of, seconds

if TYPE_CHECKING:
    from queuekit.backend import Change
    from queuekit.task import Task

R_co = TypeVar("R_co", covariant=True)

SHOWN: Final = 200
"""Characters of a stored value that an error quotes."""
_ANY: Final = Results("?", Any)
_NO_ARGUMENTS: Final = Arguments("?", lambda: None)


class Desk(Protocol):
    """What a handle needs of its app."""

    @property
    def tasks(self) -> "Mapping[str, Task[..., Any]]":
        """All tasks, by name and former name."""
        ...

    async def record(self, ref: JobRef) -> JobRecord | None:
        """What is known of a job."""
        ...

    async def locate(self, job_id: UUID) -> JobRef | None:
        """Where the job of an id is; the one enqueued last if several queues have one."""
        ...

    async def finished(self, ref: JobRef, wait_for: float | None) -> JobRecord:
        """Wait for a job's end. Raises `TimeoutError`, `JobNotFound`."""
        ...

    async def cancel(self, ref: JobRef) -> "Change":
        """Cancel, or say why not."""
        ...

    def run_sync(self, coroutine: Any) -> Any:
        """Run a coroutine from code without an event loop."""
        ...


class Handle(Generic[R_co]):
    """A job that was enqueued.

    Attributes:
        id: the job's id; of the holder of the key if that was met.
        queue: its queue; None if that is not known yet.
        deduplicated: whether another job held the key (or this id was known), so that nothing new was stored.
    """

    __slots__ = ("_desk", "_task", "deduplicated", "id", "queue")

    def __init__(
        self,
        desk: Desk,
        job_id: UUID,
        queue: str | None,
        task: "Task[..., Any] | None",
        deduplicated: bool = False,
    ) -> None:
        self._desk = desk
        self._task = task
        self.id = job_id
        self.queue = queue
        self.deduplicated = deduplicated

    def __repr__(self) -> str:
        return f"<Handle of job {self.id} on queue {self.queue!r}>"

    async def info(self) -> JobInfo:
        """All that is known of the job. Raises `JobNotFound`, also if it is of another task than this handle."""
        record = await self._record()
        return info_of(record, self._own_task(record) or self._desk.tasks.get(record.job.task))

    async def status(self) -> State:
        """The job's state. Raises `JobNotFound`."""
        return (await self._record()).state

    async def result(self, timeout: Seconds | None = None) -> R_co:  # noqa: ASYNC109  # the public name
        """Wait for the job's end and return what the task returned.

        Args:
            timeout: seconds or timedelta to wait at most; None: as long as it takes.

        Raises:
            JobFailed: it failed for good.
            JobCancelled: it was cancelled.
            JobNotFound: its record is gone, or never was, or it is of another task than this handle.
            TimeoutError: it has not ended in time.
            InvalidPayload: what it returned is not of the task's annotation, as that was another one then.
            InvalidOption: the timeout is no duration.
        """
        limit = None if timeout is None else seconds(timeout, "result: timeout")
        if self.queue is None:
            self._own_task(await self._record())
        record = await self._desk.finished(await self._ref(), limit)
        task = self._own_task(record)
        match record.state:
            case State.FAILED:
                raise JobFailed(
                    self.id, record.life.reason or "failed", failures_of(record.notes.errors)
                )
            case State.CANCELLED:
                why = f": {record.life.reason}" if record.life.reason else ""
                raise JobCancelled(f"Job {self.id} was cancelled{why}")
            case _:
                return cast("R_co", self._result(record, task.results if task else _ANY))

    def result_sync(self, timeout: Seconds | None = None) -> R_co:
        """`result`, from code without an event loop."""
        return cast("R_co", self._desk.run_sync(self.result(timeout)))

    async def cancel(self) -> None:
        """Cancel the job; a running one is interrupted.

        Raises:
            InvalidTransition: it has finished.
            JobNotFound: there is no such job.
        """
        change = await self._desk.cancel(await self._ref())
        if change.found is None:
            raise JobNotFound.named(self.id)
        if change.refused:
            raise InvalidTransition(self.id, "cancel", change.found)

    def _own_task(self, record: JobRecord) -> "Task[..., Any] | None":
        """This handle's task; refused is a record of another one, whose result has another type."""
        task = self._task
        if task is not None and record.job.task not in {task.name, *task.aliases}:
            raise JobNotFound(
                f"Job {self.id} is one of task {record.job.task!r}, not of {task.name!r}; "
                "pass its own task to qk.handle, or none"
            )
        return task

    def _result(self, record: JobRecord, results: Results) -> Any:
        if record.notes.result is None:
            return None
        try:
            return results.load(record.notes.result)
        except Exception as error:
            raise InvalidPayload(
                f"Job {self.id} succeeded, but its stored result can't be read: {printable(error)}. "
                f"Stored is {printable(record.notes.result, SHOWN)}. Annotate the task's result with a type that takes "
                "it, or read it as it is: (await handle.info()).result"
            ) from error

    async def _record(self) -> JobRecord:
        record = await self._desk.record(await self._ref())
        if record is None:
            raise JobNotFound.named(self.id)
        return record

    async def _ref(self) -> JobRef:
        if self.queue is None:
            ref = await self._desk.locate(self.id)
            if ref is None:
                raise JobNotFound.named(self.id)
            self.queue = ref.queue
        return JobRef(self.queue, self.id)


def info_of(record: JobRecord, task: "Task[..., Any] | None" = None) -> JobInfo:
    """The public form of any record; what fits today's code no more is shown as it is stored.

    Args:
        record: of a job.
        task: its task, if that is known here; gives arguments and result their types.
    """
    arguments = task.arguments if task else _NO_ARGUMENTS
    results = task.results if task else _ANY
    return JobInfo(
        id=record.job.id,
        task=record.job.task,
        queue=record.job.options.queue,
        state=record.state,
        priority=record.job.options.priority,
        attempt=record.life.attempt,
        max_attempts=record.job.options.max_attempts,
        lapses=record.life.lapses,
        crashes=record.life.crashes,
        reason=record.life.reason,
        errors=failures_of(record.notes.errors),
        arguments=arguments.shown(record.job.payload),
        result=None if record.notes.result is None else results.shown(record.notes.result),
        enqueued_at=datetime_of(record.times.enqueued_at),
        scheduled_at=_datetime_or_none(record.times.scheduled_at),
        started_at=_datetime_or_none(record.times.started_at),
        finished_at=_datetime_or_none(record.times.finished_at),
        key=record.job.key,
        tags=tuple(record.job.options.tags),
        meta=_object(_object(record.job.options.extra).get("meta")),
        progress=_ANY.shown(record.notes.progress) if record.notes.progress else None,
        logs=tuple(record.notes.logs),
    )


def failures_of(errors: Sequence[str]) -> tuple[Failure, ...]:
    """Failed attempts from the texts in which they are stored, whatever these say."""
    return tuple(_failure(text) for text in errors)


def _failure(text: str) -> Failure:
    fields = _object(text)
    attempt, at = fields.get("attempt"), fields.get("at")
    return Failure(
        attempt=attempt if isinstance(attempt, int) else 0,
        type=str(fields.get("type", "unreadable")),
        message=str(fields.get("message", text)),
        traceback=str(fields.get("traceback", "")),
        at=datetime_of(at if isinstance(at, int) else 0),
    )


def _object(stored: object) -> dict[str, Any]:
    """What is stored as a JSON object, or as a text of one; else nothing."""
    value = _ANY.shown(stored) if isinstance(stored, str) else stored
    return value if isinstance(value, dict) else {}


def _datetime_or_none(micros: Micros | None) -> datetime | None:
    return None if micros is None else datetime_of(micros)
