"""`Queuekit`: where tasks are defined and jobs are enqueued."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    cast,
    overload,
)
from uuid import UUID

from queuekit import config
from queuekit.backend import Backend
from queuekit.context import Context
from queuekit.decorator import Decorate, Open
from queuekit.errors import InvalidOption
from queuekit.handle import Handle
from queuekit.inspect import Inspect
from queuekit.job import Job
from queuekit.options import TaskOptions
from queuekit.recurrence import When
from queuekit.registry import redacted
from queuekit.schedules import ScheduleKeywords, Schedules, of_task
from queuekit.store import Store
from queuekit.task import AsyncTask, SyncTask, Task
from queuekit.tasks import Hook, Tasks
from queuekit.worker.options import WorkerKeywords, WorkerOptions

if TYPE_CHECKING:
    from queuekit.worker.beside import Beside
    from queuekit.worker.worker import Worker

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=Task[..., Any])


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
        self.tasks = Tasks()
        self._store = Store(config.load(url=url, **settings), self.tasks)
        self.inspect = Inspect(self._store)
        self.schedules = Schedules(self._store)

    def __repr__(self) -> str:
        return f"<Queuekit on {redacted(self.settings.url)}: {len(self.tasks)} tasks>"

    @property
    def settings(self) -> config.Settings:
        """All settings, wherever they come from."""
        return self._store.settings

    @settings.setter
    def settings(self, settings: config.Settings) -> None:
        """Go by others from now on; what is open stays as it is."""
        self._store.use(settings)

    # Defining

    @overload
    def task(  # type: ignore[overload-overlap]
        self, function: Open[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Open[P, R]) -> SyncTask[P, R]: ...  # type: ignore[overload-overlap]
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
    def task(self, **options: Unpack[TaskOptions]) -> Decorate: ...
    def task(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Make a function a task: ``@qk.task`` or ``@qk.task(queue="email", ...)``.

        Raises:
            InvalidOption: an option is misspelt or impossible, or the name is taken.
        """
        if function is None:
            return cast("Decorate", lambda given: self.tasks.register(self._store, given, options))
        return self.tasks.register(self._store, function, options)

    def schedule(
        self,
        when: str | When,
        *,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[ScheduleKeywords],
    ) -> Callable[[T], T]:
        """Enqueue a task again and again: ``@qk.schedule("0 2 * * *", timezone="Europe/Berlin")`` above ``@qk.task``.

        The schedule is stored when a worker of the app starts, in place of the one of its name that was stored before.

        Args:
            when: a cron expression (5 fields, 6 with seconds first), `cron`, or `every`.
            name: of the schedule; default: the task's name. Several schedules of one task need names of their own.
            args: the task's arguments by place.
            kwargs: the task's arguments by name.
            options: `timezone`, `start`, `end`, `count`, `jitter`, `misfire`, `overlap`; see `ScheduleKeywords`.

        Raises:
            InvalidOption: something of it is misspelt or impossible, or the name is taken.
            InvalidPayload: the arguments don't fit the task's signature.
        """

        def define(task: T) -> T:
            of_task(self.tasks, task, when, args, kwargs or {}, name, options)
            return task

        return define

    def on_startup(self, hook: Hook) -> Hook:
        """Call a function (or coroutine function) before a worker of this app takes its first job.

        Raises:
            InvalidOption: it can't be called without arguments.
        """
        return self.tasks.hook("startup", hook)

    def on_shutdown(self, hook: Hook) -> Hook:
        """Call a function (or coroutine function) after a worker of this app has settled its last job.

        Raises:
            InvalidOption: it can't be called without arguments.
        """
        return self.tasks.hook("shutdown", hook)

    # Enqueueing

    async def enqueue(self, job: Job[R], connection: object | None = None) -> Handle[R]:
        """Store one job that `Task.job` has made; what `Task.enqueue` does with its own.

        Args:
            job: to be stored.
            connection: as in the option of that name.

        Raises:
            BackendRefused, InvalidOption, BackendUnavailable, OutcomeUnknown: as `Task.enqueue`.
        """
        return await self._store.enqueue(job, connection)

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
        return await self._store.enqueue_many(jobs, atomic=atomic, connection=connection)

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
        return Handle(self._store, _id(job_id), queue, task)

    # Opening and closing

    async def open(self) -> None:
        """Connect from this event loop; the first enqueue does so, too.

        Raises:
            BackendUnavailable: the server can't be reached.
            ConfigurationError: it is not one that queuekit can use.
        """
        await self._store.backend()

    async def close(self) -> None:
        """Send what waits and give back this event loop's connections."""
        await self._store.close()

    def close_sync(self) -> None:
        """End what ``*_sync`` calls opened."""
        self._store.close_sync()

    async def __aenter__(self) -> Self:
        await self._store.enter()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._store.leave()

    async def backend(self) -> Backend:
        """The opened backend of this event loop."""
        return await self._store.backend()

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
        chosen = WorkerOptions.of(self.settings, queues=queues, **options)
        async with self._store.opened():
            await worker_of(self, chosen).run()

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
        return Beside(self._store, lambda: worker_of(self, checked))


def worker_of(app: Queuekit, options: WorkerOptions) -> "Worker":
    """A worker of an app, not yet running; for programs that are about nothing else."""
    from queuekit.worker.worker import Worker

    return Worker(app._store, app.tasks, options)  # noqa: SLF001  # of this module


def _id(given: UUID | str) -> UUID:
    if isinstance(given, UUID):
        return given
    try:
        return UUID(given)
    except (ValueError, AttributeError, TypeError):
        raise InvalidOption(f"{given!r} is no job's id; pass a UUID, or its text") from None
