"""The options of a task and of one call, checked and turned into what is stored and what the worker needs.

Options on the decorator are a task's defaults: the worker reads its own definition of them. Options on one call travel
with the job, in `JobOptions` or in its ``extra`` text.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from queuekit.difference import is_deeper
from queuekit.errors import InvalidOption
from queuekit.failure import repr_of
from queuekit.job import DEATHS_ALLOWED, LAPSES_ALLOWED, JobOptions, Keep, KeyPolicy, Micros
from queuekit.retry import Backoff, Exponential, Fixed, exponential, type_name
from queuekit.signature import refuse_uncallable
from queuekit.times import SHORTEST, SHORTEST_LEASE, Seconds, micros, moment, seconds
from queuekit.values import LEVELS

NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
DEFAULT_BACKOFF: Final = exponential(1)
MOST_KEPT: Final = 1_000_000_000
MOST_META: Final = 64_000
"""Bytes of an option `meta` as JSON: it travels with every claim of the job."""

Executor: TypeAlias = Literal["auto", "process"]
KeyFunction: TypeAlias = Callable[..., str | None]
Upgrade: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


class Options(TypedDict, total=False):
    """Options of one call, for `with_options`; each is also an option of the decorator.

    Attributes:
        queue: any name; made by its first job.
        priority: from -100 to 100; a smaller number runs earlier.
        delay: seconds or timedelta until it may run.
        at: an aware datetime before which it won't run.
        max_attempts: runs that count, the first included.
        backoff: `fixed`, `exponential`, or (on the decorator) a function of attempt and error that gives seconds.
        retry_on: only these exception types are worth another attempt.
        give_up_on: these are not.
        timeout: seconds or timedelta for one attempt.
        expires: seconds or timedelta after the enqueue; if it has not begun by then it fails as ``expired``.
        key: a string, or a function of the arguments, unique within the queue.
        key_policy: what happens if another job holds the key.
        key_until: how long a job holds its key: until ``"started"``, ``"finished"``, or for seconds.
        keep: how long its record stays once finished: seconds, timedelta, ``"never"``, or a pair of age and count,
            the most succeeded jobs of the task that are kept.
        lease: seconds or timedelta after which a worker that was not heard of counts as dead.
        max_crashes: deaths, seen while it ran alone, that fail it.
        max_lapses: lapsed leases that fail it.
        tags: short words to find it by.
        meta: a JSON object for the job's own use (`Context.meta`).
        durability: ``"replicated"``: enqueue returns once a replica has it, too.
        id: your own UUID, by which sending again is recognised.
        connection: a Postgres connection with a transaction open: the job exists if and only if it commits.
    """

    queue: str
    priority: int
    delay: Seconds
    at: datetime | None
    max_attempts: int
    backoff: Backoff
    retry_on: Sequence[type[BaseException]]
    give_up_on: Sequence[type[BaseException]]
    timeout: Seconds | None
    expires: Seconds | None
    key: str | KeyFunction | None
    key_policy: Literal["reject", "replace", "debounce", "throttle"]
    key_until: Literal["started", "finished"] | Seconds
    keep: Seconds | tuple[Seconds, int] | Literal["never"]
    lease: Seconds | None
    max_crashes: int
    max_lapses: int
    tags: Sequence[str]
    meta: Mapping[str, Any]
    durability: Literal["server", "replicated"]
    id: UUID
    connection: Any


class TaskOptions(Options, total=False):
    """Options of the decorator.

    Attributes:
        name: the task's name; default: the function's.
        executor: ``"process"`` runs it in a child process.
        aliases: former names of the task, under which jobs may still be stored.
        upgrade: turns the arguments of an older signature into today's.
    """

    name: str
    executor: Executor
    aliases: Sequence[str]
    upgrade: Upgrade


def _or_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _named(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("1 to 128 letters, digits or one of _ . : / - are allowed")
    return value


def _exceptions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Collection) or not all(
        isinstance(kind, type) and issubclass(kind, BaseException) for kind in value
    ):
        raise ValueError("pass a sequence of exception types, such as [ConnectionError]")
    return tuple(type_name(kind) for kind in value)


def _backoff(value: Any) -> Any:
    if not callable(value):
        raise ValueError("pass fixed(...), exponential(...) or a function of attempt and error")  # noqa: TRY004
    refuse_uncallable("a backoff function", value, "attempt", "error")
    return value


def _upgrade(value: Any) -> Any:
    refuse_uncallable("an upgrade function", value, "the stored arguments")
    return value


def _keep(value: Any) -> Keep:
    match value:
        case "never":
            return Keep(age=0)
        case (age, int(count)) if 0 <= count <= MOST_KEPT:
            return Keep(micros(age), count)
        case int() | float() | timedelta():
            return Keep(age=micros(value))
        case _:
            raise ValueError(
                'pass a duration, a pair of it and a count (0 to 1,000,000,000), or "never"'
            )


def _key_until(value: Any) -> Micros | str:
    match value:
        case "started" | "finished":
            return str(value)
        case int() | float() | timedelta():
            return micros(value, least=SHORTEST)
        case _:
            raise ValueError('pass "started", "finished" or a duration')


_Name = Annotated[str, AfterValidator(_named)]
_Duration = Annotated[Any, AfterValidator(seconds)]
_Positive = Annotated[Any, AfterValidator(_or_none(partial(seconds, least=SHORTEST)))]
_Lease = Annotated[Any, AfterValidator(_or_none(partial(seconds, least=SHORTEST_LEASE)))]
_Count = Annotated[int, Field(ge=1, le=32_767, strict=True)]


class _Checked(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True, strict=True)  # type: ignore[misc]

    queue: _Name
    priority: Annotated[int, Field(ge=-100, le=100)]
    delay: _Duration
    at: Annotated[Any, AfterValidator(_or_none(moment))]
    max_attempts: _Count
    backoff: Annotated[Any, AfterValidator(_backoff)]
    retry_on: Annotated[Any, AfterValidator(_exceptions)]
    give_up_on: Annotated[Any, AfterValidator(_exceptions)]
    timeout: _Positive
    expires: _Positive
    key: Any
    key_policy: Literal["reject", "replace", "debounce", "throttle"]
    key_until: Annotated[Any, AfterValidator(_key_until)]
    keep: Annotated[Any, AfterValidator(_keep)]
    lease: _Lease
    max_crashes: _Count
    max_lapses: _Count
    tags: Annotated[Sequence[_Name], Field(max_length=32)]
    meta: Mapping[str, Any]
    durability: Literal["server", "replicated"]
    id: UUID
    connection: Any
    name: _Name
    executor: Executor
    aliases: Sequence[_Name]
    upgrade: Annotated[Any, AfterValidator(_upgrade)]


_CHECKED: Final = TypeAdapter(_Checked)
DECORATOR_ONLY: Final = frozenset(
    TaskOptions.__annotations__.keys() - Options.__annotations__.keys()
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the worker does about one run: its own definition, with what the job carries laid over it."""

    backoff: Backoff = DEFAULT_BACKOFF
    retry_on: tuple[str, ...] = ()
    give_up_on: tuple[str, ...] = ()
    timeout: float | None = None
    keep: Keep | None = None
    lease: float | None = None

    def overlaid(self, extra: Mapping[str, Any]) -> "Policy":
        """With the options of one call, as they travelled."""
        known = {
            name: extra[name] for name in ("retry_on", "give_up_on", "timeout") if name in extra
        }
        if "backoff" in extra:
            kind, *numbers = extra["backoff"]
            known["backoff"] = {"fixed": Fixed, "exponential": Exponential}[kind](*numbers)
        return replace(self, **known)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Options in use: what is stored, what the worker does, and what concerns one call alone."""

    stored: JobOptions
    policy: Policy
    key: str | KeyFunction | None = None
    id: UUID | None = None
    connection: object | None = None


def checked(where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with one form each (seconds as float, names of exception types, `Keep`, microseconds).

    Raises:
        InvalidOption: one is misspelt or impossible; all that are wrong are named.
    """
    try:
        values: dict[str, Any] = dict(_CHECKED.validate_python(dict(options)))
    except ValidationError as error:
        known = ", ".join(sorted(_Checked.__annotations__))
        lines = [
            f"{detail['loc'][0]}={repr_of(detail['input'])}: {detail['msg'].removeprefix('Value error, ')}"
            if detail["type"] != "extra_forbidden"
            else f"{detail['loc'][0]} is no option; known are {known}"
            for detail in error.errors(include_url=False, include_context=False)
        ]
        raise InvalidOption(f"{where}: {'; '.join(dict.fromkeys(lines))}") from None
    _refuse_contradictions(where, values)
    return values


def _refuse_contradictions(where: str, values: Mapping[str, Any]) -> None:
    if values.get("delay") and values.get("at") is not None:
        raise InvalidOption(f"{where}: delay and at contradict each other; pass one of them")
    policy = values.get("key_policy")
    if policy == "debounce" and not values.get("delay"):
        raise InvalidOption(
            f'{where}: key_policy="debounce" needs delay=, the quiet time to wait for'
        )
    if policy == "throttle" and isinstance(values.get("key_until", "finished"), str):
        raise InvalidOption(
            f'{where}: key_policy="throttle" needs key_until= in seconds, the window'
        )
    key = values.get("key")
    if key is not None and not isinstance(key, str) and not callable(key):
        raise InvalidOption(f"{where}: key={key!r}: pass a string, or a function of the arguments")
    if values.get("delay") and values.get("expires") and values["expires"] <= values["delay"]:
        raise InvalidOption(
            f"{where}: it would expire before its delay is over; expires counts from the enqueue"
        )


def resolve(where: str, task: Mapping[str, Any], call: Mapping[str, Any]) -> Resolved:
    """Merge a task's checked options with those of one call.

    Args:
        where: for messages.
        task: the decorator's.
        call: what `with_options` adds; it goes before the task's and travels with the job.

    Raises:
        InvalidOption: together they are impossible.
    """
    both = {**task, **call}
    if "delay" in call:
        both["at"] = call.get("at")
    elif call.get("at") is not None:
        both.pop("delay", None)
    _refuse_contradictions(where, both)
    stored = JobOptions(
        queue=both.get("queue", "default"),
        priority=both.get("priority", 0),
        max_attempts=both.get("max_attempts", 5),
        delay=micros(both.get("delay", 0)),
        due=both.get("at"),
        expires=micros(both["expires"]) if both.get("expires") else None,
        lease=micros(both["lease"]) if both.get("lease") else None,
        max_crashes=both.get("max_crashes", DEATHS_ALLOWED),
        max_lapses=both.get("max_lapses", LAPSES_ALLOWED),
        key_policy=KeyPolicy(both.get("key_policy", "reject")),
        key_until=both.get("key_until", "finished"),
        keep=call.get("keep"),
        tags=tuple(both.get("tags", ())),
        extra=_extra(where, both.get("meta"), call),
        replicated=both.get("durability") == "replicated",
    )
    policy = Policy(
        backoff=task.get("backoff", DEFAULT_BACKOFF),
        retry_on=task.get("retry_on", ()),
        give_up_on=task.get("give_up_on", ()),
        timeout=task.get("timeout"),
        keep=task.get("keep"),
        lease=stored.lease and stored.lease / 1_000_000,
    )
    return Resolved(stored, policy, both.get("key"), both.get("id"), both.get("connection"))


def _extra(where: str, meta: Mapping[str, Any] | None, call: Mapping[str, Any]) -> str:
    extra: dict[str, Any] = {
        name: call[name] for name in ("timeout", "retry_on", "give_up_on") if name in call
    }
    match call.get("backoff"):
        case None:
            pass
        case Fixed(seconds):
            extra["backoff"] = ["fixed", seconds]
        case Exponential(base, factor, cap, jitter):
            extra["backoff"] = ["exponential", base, factor, cap, jitter]
        case _:
            raise InvalidOption(
                f"{where}: a function can't travel with a job; set it as backoff= on the decorator, "
                "or pass fixed(...) or exponential(...)"
            )
    if meta:
        extra["meta"] = _plain(where, dict(meta))
    return json.dumps(extra, separators=(",", ":")) if extra else ""


def _plain(where: str, meta: dict[str, Any]) -> dict[str, Any]:
    if is_deeper(meta, LEVELS):
        raise InvalidOption(
            f"{where}: meta is nested more than {LEVELS} deep, or within itself; pass it flatter"
        )
    try:
        text = json.dumps(meta, allow_nan=False, separators=(",", ":"))
        plain: dict[str, Any] = json.loads(text)
        same = plain == meta
    except (TypeError, ValueError) as error:
        raise InvalidOption(f"{where}: meta must be plain JSON: {error}") from None
    if not same:
        raise InvalidOption(
            f"{where}: meta must be plain JSON: lists instead of tuples, and text as the keys of objects"
        )
    if len(text) > MOST_META:
        raise InvalidOption(
            f"{where}: meta has {len(text):,} bytes as JSON, {MOST_META:,} are allowed; "
            "pass a reference (a path, a key) instead"
        )
    return plain


__all__ = [
    "DECORATOR_ONLY",
    "DEFAULT_BACKOFF",
    "Executor",
    "Options",
    "Policy",
    "Resolved",
    "Seconds",
    "TaskOptions",
    "checked",
    "micros",
    "resolve",
]
