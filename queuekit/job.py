"""A job and what becomes of it, as values without I/O.

Times are integer microseconds UTC (`Micros`), durations too; only the public `JobInfo` has datetimes and `Failure`s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar, cast
from uuid import UUID, SafeUUID

from uuid_utils import uuid7

__all__ = [
    "DEATHS_ALLOWED",
    "FINISHED",
    "LAPSES_ALLOWED",
    "LAST_MOMENT",
    "LONGEST",
    "SOLITARY_AFTER",
    "SUSPECT_AFTER",
    "Ack",
    "Claim",
    "Claimant",
    "Failure",
    "Job",
    "JobInfo",
    "JobOptions",
    "JobRef",
    "Keep",
    "KeyPolicy",
    "Micros",
    "Reason",
    "Return",
    "ReturnKind",
    "State",
    "Token",
    "bounded",
    "id_of",
    "new_id",
]

R = TypeVar("R")
Micros: TypeAlias = int

SUSPECT_AFTER: Final = 2
"""From this many lapses on a job runs in a child process, where its death is seen and is its own."""
SOLITARY_AFTER: Final = 10
"""From this many lapses on only one such job a queue runs at a time."""
LAPSES_ALLOWED: Final = 20
DEATHS_ALLOWED: Final = 3
LAST_MOMENT: Final[Micros] = 253_402_300_799_000_000
"""The last second of the year 9999: no due time is later, so that no store's sums fail, and people can see it."""
LONGEST: Final[Micros] = 1_000 * 366 * 86_400_000_000
"""No duration is longer; what people may ask for is less."""
_MOST_KEPT: Final = 2_147_483_647


# UUID's own constructor checks and converts for 0.5 us, which at a million jobs is half a second of nothing else;
# on Python 3.11 a member of an enum is a slow look-up.
_blank = cast("Any", object.__new__)
_set_int = cast("Any", UUID).int.__set__
_set_safe = cast("Any", UUID).is_safe.__set__
_UNKNOWN: Final = SafeUUID.unknown


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): its order is that of the moments at which they were made."""
    return id_of(uuid7().int)


def id_of(number: int) -> UUID:
    """The UUID of its 128-bit number."""
    made: UUID = _blank(UUID)
    _set_int(made, number)
    _set_safe(made, _UNKNOWN)
    return made


def bounded(duration: Micros) -> Micros:
    """The nearest duration that a store can keep and reckon with."""
    return min(max(duration, 0), LONGEST)


class State(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING = "waiting"
    """for other jobs to finish"""
    BLOCKED = "blocked"
    """by a limit that is full"""


FINISHED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Reason(StrEnum):
    """Why a job failed for good."""

    EXHAUSTED = "exhausted"
    GAVE_UP = "gave_up"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    INVALID_RESULT = "invalid_result"
    CRASHED = "crashed"
    EXPIRED = "expired"


class KeyPolicy(StrEnum):
    """What an enqueue does when another job holds its key."""

    REJECT = "reject"
    REPLACE = "replace"
    DEBOUNCE = "debounce"
    THROTTLE = "throttle"


@dataclass(frozen=True, slots=True)
class Keep:
    """How long the record of a finished job stays.

    Attributes:
        age: microseconds after its end; 0 keeps no record.
        count: at most so many succeeded jobs of one task and queue; None sets no bound.
    """

    age: Micros
    count: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "age", bounded(self.age))
        if self.count is not None:
            object.__setattr__(self, "count", min(max(self.count, 0), _MOST_KEPT))


@dataclass(frozen=True, slots=True)
class JobOptions:
    """All that a job's storage and run depend on besides its arguments; shared by the jobs of one task.

    Attributes:
        due: not before this moment; None: `delay` after the server's now (0: at once).
        expires: fails as `expired` if it has not begun so long after it was stored.
        lease: the job's own lease; None: the worker's.
        key_until: ``"started"``, ``"finished"``, or microseconds from the enqueue.
        keep: the job's own retention; None: the backend's default.
        extra: what only the worker needs (timeout, backoff, meta, ...), a JSON object as text, ``""`` if empty.
        replicated: enqueue returns only when a replica has the job, too.
        plain: nothing but queue, priority and max_attempts is set, so a batch of such jobs can take the short way.
    """

    queue: str = "default"
    priority: int = 0
    max_attempts: int = 5
    delay: Micros = 0
    due: Micros | None = None
    expires: Micros | None = None
    lease: Micros | None = None
    max_crashes: int = DEATHS_ALLOWED
    max_lapses: int = LAPSES_ALLOWED
    key_policy: KeyPolicy = KeyPolicy.REJECT
    key_until: Micros | str = "finished"
    keep: Keep | None = None
    tags: tuple[str, ...] = ()
    extra: str = ""
    replicated: bool = False
    plain: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        until = self.key_until if isinstance(self.key_until, int) else 0
        durations = (self.delay, self.expires or 0, self.lease or 0, until)
        if min(durations) < 0 or max(durations) > LONGEST:
            self._bound_durations()
        if self.due is not None and not 0 <= self.due <= LAST_MOMENT:
            object.__setattr__(self, "due", min(max(self.due, 0), LAST_MOMENT))
        rare = (
            self.delay,
            self.due,
            self.expires,
            self.lease,
            self.keep,
            self.tags,
            self.extra,
            self.replicated,
        )
        usual_limits = self.max_crashes == DEATHS_ALLOWED and self.max_lapses == LAPSES_ALLOWED
        object.__setattr__(self, "plain", usual_limits and not any(rare))

    def _bound_durations(self) -> None:
        object.__setattr__(self, "delay", bounded(self.delay))
        for name in ("expires", "lease", "key_until"):
            given = getattr(self, name)
            if isinstance(given, int):
                object.__setattr__(self, name, bounded(given) or 1)


class Job(NamedTuple, Generic[R]):
    """One request to run a task, before it is stored.

    Attributes:
        payload: UTF-8 JSON text (see `queuekit.codec`); no backend looks into it or encodes it anew.
        key: the unique key within the queue, at most 255 bytes.
        fresh: the id was made for this very call, so no history can know it; False for a repeat, a derived
            or a caller's own id.
    """

    id: UUID
    task: str
    payload: str
    options: JobOptions
    key: str | None = None
    fresh: bool = True

    @property
    def ref(self) -> "JobRef":
        """Which job it is."""
        return JobRef(self.options.queue, self.id)


class JobRef(NamedTuple):
    """Which job: ids belong to their queue, and another queue may have a job of the same id."""

    queue: str
    id: UUID

    def __str__(self) -> str:
        return f"{self.id} of queue {self.queue!r}"


class Claimant(NamedTuple):
    """Who claims: a process (its name has a nonce, so that it never comes back) and the number of its fetch."""

    process: str
    number: int


class Token(NamedTuple):
    """The right to settle one run of a job: no two claims ever have the same queue, id and delivery.

    Attributes:
        delivery: a number that grows with every claim of the job.
        address: the backend's own, of the claim; opaque.
        generation: how often people had run the job again.
    """

    queue: str
    id: UUID
    delivery: int
    address: Any = None
    generation: int = 0

    @property
    def ref(self) -> JobRef:
        """Whose run it is."""
        return JobRef(self.queue, self.id)


class Claim(NamedTuple):
    """A job as a worker gets it.

    Attributes:
        attempt: this run's number, from 1.
        lapses: leases of it that ran out so far; from `SUSPECT_AFTER` on it must run in a child process.
        expires_in: microseconds left to begin it, counted from the claim; None: any time will do.
        lease: the length of its lease.
        extra: as in `JobOptions`.
    """

    token: Token
    task: str
    payload: str
    attempt: int
    max_attempts: int
    lapses: int
    crashes: int
    lease: Micros
    expires_in: Micros | None
    extra: str

    @property
    def generation(self) -> int:
        """How often people had run the job again."""
        return self.token.generation


class Ack(NamedTuple):
    """A running job has ended.

    Attributes:
        state: succeeded, failed or cancelled.
        result: JSON text of the return value; None unless succeeded.
        reason: of a failure (a `Reason`) or a cancellation (free text).
        error: JSON object text with ``attempt``, ``type``, ``message``, ``traceback``; the backend adds ``at``.
        keep: retention that the worker's own task definition asks for; the job's own goes before it.
    """

    token: Token
    task: str
    state: State
    result: str | None = None
    reason: str | None = None
    error: str | None = None
    keep: Keep | None = None


class ReturnKind(StrEnum):
    """Why a running job goes back."""

    RETRY = "retry"
    SNOOZE = "snooze"
    RELEASE = "release"
    DEATH = "death"


class Return(NamedTuple):
    """A running job goes back, for a later or an uncounted attempt.

    Attributes:
        delay: microseconds from the server's now until it is due; 0: at once; at most `LONGEST`, whatever it says.
        error: as in `Ack`; of retries and deaths.
    """

    token: Token
    kind: ReturnKind
    delay: Micros = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt.

    Attributes:
        attempt: its number, from 1.
        type: the exception's class name.
        message: its text, capped.
        traceback: its traceback, capped.
        at: when it was recorded, by the server's clock (UTC).
    """

    attempt: int
    type: str
    message: str
    traceback: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """All that is known of a job. Times are aware UTC datetimes; fields mean what they mean in the life of a job.

    Attributes:
        arguments: by the names of the task's parameters, as they were given; a surplus is called ``*args`` and
            ``**kwargs``. What fits the task's signature no more, or whose task is not known here, is shown as the
            JSON values that are stored.
        result: likewise.
    """

    id: UUID
    task: str
    queue: str
    state: State
    priority: int
    attempt: int
    max_attempts: int
    lapses: int
    crashes: int
    reason: str | None
    errors: tuple[Failure, ...]
    arguments: Mapping[str, Any]
    result: Any
    enqueued_at: datetime
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    key: str | None
    tags: tuple[str, ...]
    meta: Mapping[str, Any]
    progress: Any
    logs: tuple[str, ...]

    @property
    def ref(self) -> JobRef:
        """Which job it is: its queue and its id; what the verbs of `qk.inspect` take."""
        return JobRef(self.queue, self.id)
