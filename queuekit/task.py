"""A task: a function, its options, and how to make jobs of it with the types of its signature."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, Self, TypeVar, Unpack, cast

from queuekit.codec import Arguments, Results
from queuekit.context import Context
from queuekit.errors import InvalidOption, InvalidPayload
from queuekit.job import Job, new_id
from queuekit.options import Executor, Options, Policy, Resolved, Upgrade, checked, resolve
from queuekit.signature import hints_of

if TYPE_CHECKING:
    from queuekit.handle import Handle

P = ParamSpec("P")
R = TypeVar("R")
KEY_LIMIT = 255


class Enqueuer(Protocol):
    """What a task needs of its app."""

    max_payload: int

    async def enqueue(self, job: Job[R], connection: object | None = None) -> "Handle[R]":
        """Store a job."""
        ...

    def enqueue_sync(self, job: Job[R]) -> "Handle[R]":
        """Store a job, from code without an event loop."""
        ...


class Task(Generic[P, R]):
    """A function that can be enqueued; made by `Queuekit.task`, never directly.

    Attributes:
        name: under which its jobs are stored.
        function: as it was written.
        is_async: whether it runs in the event loop.
        executor: ``"auto"`` or ``"process"``.
        aliases: former names.
    """

    def __init__(
        self, app: Enqueuer, function: Callable[..., Any], options: dict[str, Any]
    ) -> None:
        self.function = function
        self.name: str = options.get("name", function.__name__)
        where = f"task {self.name!r}"
        self._options = checked(where, {"name": self.name, **options})
        self.executor: Executor = self._options.get("executor", "auto")
        self.aliases: Sequence[str] = self._options.get("aliases", ())
        self.upgrade: Upgrade | None = self._options.get("upgrade")
        self.is_async = inspect.iscoroutinefunction(function)
        self.context_parameter = _context_parameter(function)
        try:
            filled_in = [self.context_parameter] if self.context_parameter else []
            self.arguments = Arguments(self.name, function, filled_in)
            self.results = Results(self.name, hints_of(function).get("return", Any))
        except InvalidPayload as error:
            raise InvalidOption(str(error)) from error
        self._app = app
        self._call: dict[str, Any] = {}
        self._use(resolve(where, self._options, {}))
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function

    def __repr__(self) -> str:
        return f"<Task {self.name!r} on queue {self._resolved.stored.queue!r}>"

    @property
    def queue(self) -> str:
        """The queue of its jobs."""
        return self._resolved.stored.queue

    @property
    def policy(self) -> Policy:
        """What the worker does about its runs."""
        return self._resolved.policy

    def with_options(self, **options: Unpack[Options]) -> Self:
        """The same task with other options for the calls made through it.

        Raises:
            InvalidOption: one is misspelt or impossible.
        """
        where = f"task {self.name!r}.with_options"
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._call = {**self._call, **checked(where, options)}
        copy._use(resolve(where, self._options, copy._call))
        return copy

    def job(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """A job for `Queuekit.enqueue_many`; nothing is stored yet.

        Raises:
            InvalidPayload: the arguments don't fit the signature.
        """
        bound = self.arguments.bind(args, kwargs)
        payload = self.arguments.dump(bound, self._app.max_payload)
        key = self._key(bound) if self._keyed else None
        own = self._own_id
        return Job(own or new_id(), self.name, payload, self._stored, key, own is None)

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> "Handle[R]":
        """Store a job, to be run by a worker.

        Returns:
            A handle to it; of the job that holds the key if there is one (`Handle.deduplicated`).

        Raises:
            InvalidPayload: the arguments don't fit the signature.
            BackendUnavailable: the server can't be reached; nothing was stored.
            BackendRefused: the server does not take it.
            OutcomeUnknown: no answer came for a minute; the id is on the error.
        """
        return await self._app.enqueue(self.job(*args, **kwargs), self._resolved.connection)

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> "Handle[R]":
        """`enqueue`, from code without an event loop; from any thread, and after a fork."""
        if self._resolved.connection is not None:
            raise InvalidOption(f"task {self.name!r}: connection= needs enqueue, not enqueue_sync")
        return self._app.enqueue_sync(self.job(*args, **kwargs))

    def _use(self, resolved: Resolved) -> None:
        self._resolved = resolved
        # Spelt out, because every look-up here is paid for each job.
        self._stored, self._own_id, self._keyed = (
            resolved.stored,
            resolved.id,
            resolved.key is not None,
        )

    def _key(self, bound: dict[str, Any]) -> str | None:
        key = self._resolved.key
        if callable(key):
            call = self.arguments.spread(bound)
            key = key(*call.args, **call.kwargs)
        if key is None:
            return None
        return _storable_key(f"task {self.name!r}", key)


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Call the function here and now."""
        return cast("Awaitable[R]", self.function(*args, **kwargs))


class SyncTask(Task[P, R]):
    """A task whose function is an ordinary function; workers run it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        return cast("R", self.function(*args, **kwargs))


def _context_parameter(function: Callable[..., Any]) -> str | None:
    found = [
        name for name, hint in hints_of(function).items() if hint is Context and name != "return"
    ]
    if len(found) > 1:
        raise InvalidOption(
            f"task {function.__name__!r}: only one parameter may be annotated Context"
        )
    return found[0] if found else None


def _storable_key(where: str, key: str) -> str:
    try:
        data = key.encode()
    except UnicodeEncodeError:
        data = b"\0"
    if not data or b"\0" in data:
        raise InvalidOption(
            f"{where}: key={key!r}: a key is text, not empty, without NUL or lone surrogates"
        )
    return key if len(data) <= KEY_LIMIT else f"sha256:{sha256(data).hexdigest()}"


__all__ = ["AsyncTask", "Enqueuer", "SyncTask", "Task"]
