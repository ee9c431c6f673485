"""A task: a function, its options, and how to make jobs of it with the types of its signature."""

import inspect
from collections.abc import Callable, Coroutine, Sequence
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Union,
    Unpack,
    cast,
    get_args,
    get_origin,
)

from queuekit.codec import Arguments, Call, Results
from queuekit.context import Context, current
from queuekit.errors import InvalidOption, InvalidPayload
from queuekit.job import Job, new_id
from queuekit.keying import key_maker
from queuekit.options import (
    DECORATOR_ONLY,
    NAME,
    Executor,
    Options,
    Policy,
    Resolved,
    Upgrade,
    checked,
    resolve,
)
from queuekit.signature import described, is_async, refuse_unfit, signature_of

if TYPE_CHECKING:
    from queuekit.handle import Handle

P = ParamSpec("P")
R = TypeVar("R")


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
        upgrade: makes today's arguments of stored ones that fit no more; None: there is no such function.
        policy: what the worker does about its runs.
        context_parameter: the parameter that gets the `Context`, if it has one.
        arguments, results: how they are written and read.
    """

    def __init__(
        self, app: Enqueuer, function: Callable[..., Any], options: dict[str, Any]
    ) -> None:
        if isinstance(function, Task):
            raise InvalidOption(f"{function!r} is a task already; pass its function")
        refuse_unfit(function)
        self.function = function
        self.name: str = options["name"] if "name" in options else _own_name(function)
        where = f"task {self.name!r}"
        self._options = checked(where, {"name": self.name, **options})
        self.executor: Executor = self._options.get("executor", "auto")
        self.aliases: Sequence[str] = self._options.get("aliases", ())
        self.upgrade: Upgrade | None = self._options.get("upgrade")
        self.is_async = is_async(function)
        self._signature = signature_of(function)
        self.context_parameter = _context_parameter(where, self._signature)
        self.__signature__ = _without(self._signature, self.context_parameter)
        self.arguments, self.results = self._codecs()
        self._app = app
        self._call: dict[str, Any] = {}
        self._use(where, resolve(where, self._options, {}))
        self.__doc__ = function.__doc__
        self.__module__ = getattr(function, "__module__", None) or type(self).__module__
        self.__wrapped__ = function

    def __repr__(self) -> str:
        return f"<Task {self.name!r} on queue {self._resolved.stored.queue!r}>"

    @property
    def queue(self) -> str:
        """The queue of its jobs."""
        return self._resolved.stored.queue

    def with_options(self, **options: Unpack[Options]) -> Self:
        """The same task with other options for the calls made through it.

        Raises:
            InvalidOption: one is misspelt or impossible.
        """
        where = f"task {self.name!r}.with_options"
        if misplaced := DECORATOR_ONLY & options.keys():
            raise InvalidOption(f"{where}: {', '.join(sorted(misplaced))}: on the decorator alone")
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._call = {**self._call, **checked(where, options)}
        copy._use(where, resolve(where, self._options, copy._call))
        return copy

    def job(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """A job for `Queuekit.enqueue_many`; nothing is stored yet.

        Raises:
            InvalidPayload: the arguments don't fit the signature.
            InvalidOption: the key function failed, or made no key.
        """
        if self._connected:
            raise InvalidOption(
                f"task {self.name!r}: connection= does not travel with a job; pass it to enqueue_many"
            )
        return self._made(self.arguments.bind(args, kwargs))

    def job_of_json(self, text: str) -> Job[R]:
        """`job`, with the arguments as a JSON object; they are stored as they are written.

        Raises:
            InvalidPayload: the arguments don't fit the signature.
        """
        return self._made(*self.arguments.take(text, self._app.max_payload))

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> "Handle[R]":
        """Store a job, to be run by a worker.

        Returns:
            A handle to it; of the job that holds the key if there is one (`Handle.deduplicated`).

        Raises:
            InvalidPayload: the arguments don't fit the signature.
            InvalidOption: the key function failed, or made no key.
            BackendUnavailable: the server can't be reached; nothing was stored.
            BackendRefused: the server does not take it.
            OutcomeUnknown: no answer came for a minute; the id is on the error.
        """
        return await self._app.enqueue(
            self._made(self.arguments.bind(args, kwargs)), self._resolved.connection
        )

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> "Handle[R]":
        """`enqueue`, from code without an event loop; from any thread, and after a fork."""
        if self._connected:
            raise InvalidOption(f"task {self.name!r}: connection= needs enqueue, not enqueue_sync")
        return self._app.enqueue_sync(self._made(self.arguments.bind(args, kwargs)))

    def _made(self, bound: dict[str, Any], payload: str | None = None) -> Job[R]:
        if payload is None:
            payload = self.arguments.dump(bound, self._app.max_payload)
        key = self._make_key(bound) if self._make_key is not None else None
        own = self._own_id
        return Job(own or new_id(), self.name, payload, self._stored, key, own is None)

    def _codecs(self) -> tuple[Arguments, Results]:
        filled_in = [self.context_parameter] if self.context_parameter else []
        result = self._signature.return_annotation
        try:
            arguments = Arguments(self.name, self.function, filled_in)
            return arguments, Results(
                self.name, Any if result is inspect.Parameter.empty else result
            )
        except InvalidPayload as error:
            raise InvalidOption(str(error)) from error
        except Exception as error:  # pydantic's, and whatever the types' own hooks raise
            raise InvalidOption(
                f"task {self.name!r}: pydantic can't store a type of its signature: {error}"
            ) from error

    def _use(self, where: str, resolved: Resolved) -> None:
        self._resolved = resolved
        self.policy: Policy = resolved.policy
        # Spelt out, because every look-up here is paid for each job.
        self._stored, self._own_id, self._connected = (
            resolved.stored,
            resolved.id,
            resolved.connection is not None,
        )
        self._make_key = (
            None if resolved.key is None else key_maker(where, resolved.key, self.__signature__)
        )

    def _here(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the function gives when it is called here and now."""
        if self.context_parameter is None:
            return self.function(*args, **kwargs)
        call = self._with_context(self.context_parameter, args, kwargs)
        return self.function(*call.args, **call.kwargs)

    def _with_context(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        try:
            passed = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"task {self.name!r}: {error}; callers pass {self.__signature__}, and the Context is filled in"
            ) from None
        context = self._context(self._signature.parameters[name])
        whole = inspect.BoundArguments(self._signature, passed.arguments | {name: context})
        whole.apply_defaults()
        return Call(whole.args, whole.kwargs)

    def _context(self, parameter: inspect.Parameter) -> Any:
        """Of the job that runs this code; without one the parameter's default."""
        try:
            return current()
        except LookupError:
            if parameter.default is not parameter.empty:
                return parameter.default
            raise LookupError(
                f"task {self.name!r} takes a Context, and no job is running here; enqueue it, "
                "or call its `function` with a Context of your own"
            ) from None


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function here and now; a Context is that of the job that runs this code.

        Raises:
            LookupError: it takes a Context without a default, and no job is running here.
        """
        return cast("Coroutine[Any, Any, R]", self._here(args, kwargs))


class SyncTask(Task[P, R]):
    """A task whose function is an ordinary function; workers run it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now; a Context is that of the job that runs this code.

        Raises:
            LookupError: it takes a Context without a default, and no job is running here.
        """
        return cast("R", self._here(args, kwargs))


def _own_name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, "__name__", "")
    if not NAME.fullmatch(name):
        raise InvalidOption(f"{described(function)} has no name that a task can have; pass name=")
    return name


def _context_parameter(where: str, signature: inspect.Signature) -> str | None:
    found = [p for p in signature.parameters.values() if _is_context(p.annotation)]
    if len(found) > 1:
        raise InvalidOption(f"{where}: only one parameter may be annotated Context")
    if any(p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD} for p in found):
        raise InvalidOption(f"{where}: a Context is one parameter; annotate one without * or **")
    return found[0].name if found else None


def _is_context(hint: Any) -> bool:
    """Whether it is Context, or Context and None, with or without metadata."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _is_context(get_args(hint)[0])
    if origin is Union or origin is UnionType:
        parts = [part for part in get_args(hint) if part is not NoneType]
        return all(_is_context(part) for part in parts)
    return hint is Context


def _without(signature: inspect.Signature, name: str | None) -> inspect.Signature:
    return signature.replace(
        parameters=[p for p in signature.parameters.values() if p.name != name]
    )


__all__ = ["AsyncTask", "Enqueuer", "SyncTask", "Task"]
