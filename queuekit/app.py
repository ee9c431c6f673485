"""`Queuekit`: where tasks are defined and jobs are enqueued."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    cast,
    overload,
)
from uuid import UUID

from queuekit import config
from queuekit.backend import Answer, Backend, Change, Stored
from queuekit.context import Context, current_run
from queuekit.errors import BackendRefused, InvalidOption, UnknownTask
from queuekit.handle import Handle
from queuekit.inspect import Inspect
from queuekit.job import Job, JobRecord, JobRef, State
from queuekit.lifecycle import Event
from queuekit.log import log
from queuekit.loops import Portal, call
from queuekit.options import TaskOptions
from queuekit.producer import Producer
from queuekit.registry import backend_class, redacted
from queuekit.signature import described, is_async, refuse_uncallable
from queuekit.task import AsyncTask, SyncTask, Task
from queuekit.worker.options import WorkerKeywords, WorkerOptions

if TYPE_CHECKING:
    from queuekit.worker.beside import Beside
    from queuekit.worker.worker import Worker

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Hook = TypeVar("Hook", bound=Callable[[], Any])

POLL_RESULT = 20.0
"""Seconds of one wait for a result; longer waits are made of several."""
LOOK_AT_SLOTS = 1.0
"""Seconds of one wait by a task that has taken the last slot: the job that it waits for may need one."""


class _Anything:
    """A type that no function names: a parameter that takes it takes any value, so its Context is not meant."""


class _Open(Protocol[P, R_co]):
    """A function whose first parameter takes anything."""

    @overload
    def __call__(self, first: _Anything, /, *args: Any, **kwargs: Any) -> Any: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class _Decorate(Protocol):
    """`Queuekit.task` with its options given."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: _Open[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: _Open[P, R]) -> SyncTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R]) -> SyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> SyncTask[P, R]: ...


class Queuekit:
    """Tasks, and the store that their jobs go to.

    Args:
        url: of the backend, such as ``redis://localhost``, ``postgres://localhost/app`` or ``sqlite://`` (in memory).
            Default: ``QUEUEKIT_URL``, else ``[tool.queuekit]`` in pyproject.toml, else ``sqlite:///queuekit.db``.
        settings: any of `queuekit.config.Settings`.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    def __init__(self, url: str | None = None, **settings: Any) -> None:
        self.settings = config.load(url=url, **settings)
        self.max_payload = self.settings.max_payload
        self.tasks: dict[str, Task[..., Any]] = {}
        self.inspect = Inspect(self)
        self._startup: list[Callable[[], Any]] = []
        self._shutdown: list[Callable[[], Any]] = []
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._portal = Portal()
        self._waited_in_vain: set[str] = set()
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<Queuekit on {redacted(self.settings.url)}: {len(self.tasks)} tasks>"

    # Defining

    @overload
    def task(  # type: ignore[overload-overlap]
        self, function: _Open[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: _Open[P, R]) -> SyncTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def task(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]]) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def task(self, function: Callable[Concatenate[Context, P], R]) -> SyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R]) -> SyncTask[P, R]: ...
    @overload
    def task(self, **options: Unpack[TaskOptions]) -> _Decorate: ...
    def task(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Make a function a task: ``@qk.task`` or ``@qk.task(queue="email", ...)``.

        Raises:
            InvalidOption: an option is misspelt or impossible, or the name is taken.
        """
        if function is None:
            return cast("_Decorate", lambda given: self._register(given, options))
        return self._register(function, options)

    def on_startup(self, hook: Hook) -> Hook:
        """Call a function (or coroutine function) before a worker of this app takes its first job.

        Raises:
            InvalidOption: it can't be called without arguments.
        """
        self._startup.append(_hook("on_startup", hook))
        return hook

    def on_shutdown(self, hook: Hook) -> Hook:
        """Call a function (or coroutine function) after a worker of this app has settled its last job.

        Raises:
            InvalidOption: it can't be called without arguments.
        """
        self._shutdown.append(_hook("on_shutdown", hook))
        return hook

    # Enqueueing

    async def enqueue(self, job: Job[R], connection: object | None = None) -> Handle[R]:
        """Store one job; what `Task.enqueue` calls."""
        line = await self._line()
        if connection is None:
            answer = await line.producer.enqueue(job)
        else:
            (answer,) = await line.producer.enqueue_now([job], atomic=True, connection=connection)
        return self._handle(job, answer)

    @overload
    async def enqueue_many(
        self, jobs: Iterable[Job[R]], *, atomic: bool = True, connection: object | None = None
    ) -> list[Handle[R]]: ...
    @overload
    async def enqueue_many(
        self, jobs: Iterable[Job[Any]], *, atomic: bool = True, connection: object | None = None
    ) -> list[Handle[Any]]: ...
    async def enqueue_many(
        self, jobs: Iterable[Job[Any]], *, atomic: bool = True, connection: object | None = None
    ) -> list[Handle[Any]]:
        """Store jobs in one round trip.

        Args:
            jobs: made by `Task.job`, of one task or of several.
            atomic: all or nothing; without it a refused job is refused alone.
            connection: as in the option of that name.

        Raises:
            BackendRefused: the server does not take one of them.
            InvalidOption: the backend can't span their queues in one transaction; pass ``atomic=False``.
            BackendUnavailable, OutcomeUnknown: as `Task.enqueue`.
        """
        jobs = list(jobs)
        if not {Job}.issuperset(map(type, jobs)):
            raise InvalidOption("enqueue_many takes jobs; make each with task.job(...)")
        if not jobs:
            return []
        line = await self._line()
        answers = await line.producer.enqueue_now(jobs, atomic=atomic, connection=connection)
        return [self._handle(job, answer) for job, answer in zip(jobs, answers, strict=True)]

    def enqueue_sync(self, job: Job[R]) -> Handle[R]:
        """Store one job, from code without an event loop; what `Task.enqueue_sync` calls."""
        return self._portal.call(lambda: self.enqueue(job))

    @overload
    def handle(
        self, job_id: UUID | str, *, task: Task[..., R], queue: str | None = None
    ) -> Handle[R]: ...
    @overload
    def handle(
        self, job_id: UUID | str, *, task: None = None, queue: str | None = None
    ) -> Handle[Any]: ...
    def handle(
        self, job_id: UUID | str, *, task: Task[..., Any] | None = None, queue: str | None = None
    ) -> Handle[Any]:
        """A handle to a job known by its id, say in another process.

        Args:
            job_id: as `Handle.id` gave it, or that as text.
            task: whose job it is; gives the result its type.
            queue: saves asking every queue.

        Raises:
            InvalidOption: the text is no id, or `task` no task.
        """
        if task is not None and not isinstance(task, Task):
            raise InvalidOption(f"task={task!r} is no task; pass what @qk.task has made")
        return Handle(self, _id(job_id), queue, task)

    # Opening and closing

    async def open(self) -> None:
        """Connect from this event loop; the first enqueue does so, too.

        Raises:
            BackendUnavailable: the server can't be reached.
            ConfigurationError: it is not one that queuekit can use.
        """
        await self._line()

    async def close(self) -> None:
        """Send what waits and give back this event loop's connections."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.close()

    def close_sync(self) -> None:
        """End what ``*_sync`` calls opened."""
        self._portal.call(self.close)
        self._portal.stop()

    async def __aenter__(self) -> Self:
        (await self._line()).users += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        line = await self._line()
        line.users -= 1
        if not line.users:
            await self.close()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Open for as long as the block lasts, if it was not; what was open stays so, an in-memory store above all."""
        was_open = asyncio.get_running_loop() in self._lines
        await self.open()
        try:
            yield
        finally:
            if not was_open:
                await self.close()

    async def backend(self) -> Backend:
        """The opened backend of this event loop."""
        return (await self._line()).backend

    # Running

    async def run_worker(
        self, queues: Sequence[str] | None = None, **options: Unpack[WorkerKeywords]
    ) -> None:
        """Run jobs until stopped by SIGTERM or SIGINT, or (``burst=True``) until there are none.

        Args:
            queues: to serve; None: those of the app's tasks.
            options: `concurrency`, `burst`, `grace`, and more of `queuekit.worker.options.WorkerOptions`.

        Raises:
            InvalidOption: one is misspelt or impossible.
        """
        from queuekit.worker.worker import Worker

        async with self._opened():
            await Worker(self, WorkerOptions.of(self.settings, queues=queues, **options)).run()

    def worker(
        self, queues: Sequence[str] | None = None, **options: Unpack[WorkerKeywords]
    ) -> "Beside":
        """A worker beside the block, say inside a web server's lifespan; leaving it lets running jobs finish.

        Args:
            queues: to serve; None: those of the app's tasks.
            options: as of `run_worker`, but `signals` is false unless it is given.

        Raises:
            InvalidOption: an option is misspelt or impossible.
        """
        from queuekit.worker.beside import Beside

        chosen: WorkerKeywords = {"signals": False, **options}
        checked = WorkerOptions.of(self.settings, queues=queues, **chosen)
        return Beside(lambda: self._beside(checked))

    @asynccontextmanager
    async def _beside(self, options: WorkerOptions) -> "AsyncIterator[Worker]":
        from queuekit.worker.worker import Worker

        worker = Worker(self, options)
        async with self._opened(), worker.beside():
            yield worker

    def find_task(self, name: str) -> Task[..., Any]:
        """The task of a name or former name. Raises `UnknownTask`."""
        try:
            return self.tasks[name]
        except KeyError:
            known = ", ".join(sorted({task.name for task in self.tasks.values()})) or "none"
            raise UnknownTask(f"No task {name!r} in this app; known are: {known}") from None

    def hooks(self, when: str) -> Sequence[Callable[[], Any]]:
        """Those of ``startup`` or ``shutdown``, in the order in which they are called."""
        return self._startup if when == "startup" else self._shutdown[::-1]

    async def run_hooks(self, when: str) -> None:
        """Call them one after the other."""
        for hook in self.hooks(when):
            await call(hook)

    # What handles need

    async def record(self, ref: JobRef) -> JobRecord | None:
        """What is known of a job."""
        (record,) = await (await self.backend()).inspector.get([ref])
        return record

    async def locate(self, job_id: UUID) -> JobRef | None:
        """Where the job of an id is; the one enqueued last if several queues have one."""
        (ref,) = await (await self.backend()).inspector.locate([job_id])
        return ref

    async def finished(self, ref: JobRef, wait_for: float | None) -> JobRecord:
        """Wait for a job's end. Raises `TimeoutError`, `JobNotFound`."""
        backend, loop = await self.backend(), asyncio.get_running_loop()
        end = None if wait_for is None else loop.time() + wait_for
        while True:
            poll = LOOK_AT_SLOTS if self._may_wait_in_vain() else POLL_RESULT
            left = poll if end is None else min(poll, end - loop.time())
            records = await backend.results([ref], max(left, 0))
            if ref in records:
                return records[ref]
            if end is not None and loop.time() >= end:
                raise TimeoutError(
                    f"Job {ref.id} has not ended within {wait_for:g} s; is a worker running?"
                )
            if self._may_wait_in_vain():
                await self._warn_if_no_slot_is_left(ref)

    async def cancel(self, ref: JobRef) -> Change:
        """Cancel, or say why not."""
        (change,) = await (await self.backend()).inspector.steer(Event.CANCEL, [ref])
        return change

    def _may_wait_in_vain(self) -> bool:
        """Whether a task waits, in a worker without a free slot, and nobody was told of that yet."""
        run = current_run.get(None)
        return run is not None and run.crowded and run.claim.task not in self._waited_in_vain

    async def _warn_if_no_slot_is_left(self, ref: JobRef) -> None:
        """The job may wait for the slot of the task that waits for it."""
        run, record = current_run.get(), await self.record(ref)
        if record is not None and record.state is State.READY:
            self._waited_in_vain.add(run.claim.task)
            log.warning(
                "a task waits for a job while every slot of its worker is taken: if all wait, none goes on; raise "
                "concurrency, or serve the other queue by another worker",
                task=run.claim.task,
                waits_for=record.task,
            )

    def run_sync(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine from code without an event loop."""
        try:
            return self._portal.call(lambda: coroutine)
        finally:
            coroutine.close()

    def _register(self, function: Callable[..., Any], options: dict[str, Any]) -> Task[..., Any]:
        plain = function.__func__ if isinstance(function, staticmethod) else function
        kind = AsyncTask if is_async(plain) else SyncTask
        task: Task[..., Any] = kind(self, plain, options)
        names = dict.fromkeys((task.name, *task.aliases))
        for name in names:
            if name in self.tasks:
                raise InvalidOption(
                    f"The name {name!r} is taken by {described(self.tasks[name].function)}; pass another name="
                )
        self.tasks.update(dict.fromkeys(names, task))
        return task

    def _handle(self, job: Job[R], answer: Answer) -> Handle[R]:
        task = self.tasks.get(job.task)
        kind = answer.kind
        if kind is Stored.STORED:
            return Handle(self, job.id, job.options.queue, task)
        if kind is Stored.REFUSED:
            raise BackendRefused(f"Job {job.id} of task {job.task!r} was refused: {answer.error}")
        return Handle(self, answer.id or job.id, job.options.queue, task, True)

    async def _line(self) -> "_Line":
        if self._pid != os.getpid():
            self._lines, self._pid = {}, os.getpid()
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            self._lines = {
                known: line for known, line in self._lines.items() if not known.is_closed()
            }
            backend = backend_class(self.settings.url)(self.settings.url, self.settings.backend)
            line = self._lines[loop] = _Line(backend)
        await line.open()
        return line


class _Line:
    """One event loop's connection to the store."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.producer = Producer(backend)
        self.users = 0
        self._opening = asyncio.Lock()
        self._opened = False

    async def open(self) -> None:
        if not self._opened:
            async with self._opening:
                if not self._opened:
                    await self.backend.open()
                    self._opened = True

    async def close(self) -> None:
        await self.producer.close()
        await self.backend.close()


def _hook(where: str, hook: Hook) -> Hook:
    try:
        refuse_uncallable(f"{where}: a hook", hook, awaited=True)
    except ValueError as error:
        raise InvalidOption(f"{error}; got {described(hook)}") from None
    return hook


def _id(given: UUID | str) -> UUID:
    if isinstance(given, UUID):
        return given
    try:
        return UUID(given)
    except (ValueError, AttributeError, TypeError):
        raise InvalidOption(f"{given!r} is no job's id; pass a UUID, or its text") from None
