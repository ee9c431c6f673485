"""What a running task may know and do, and what it may raise to say how the run ends."""

import json
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from queuekit.errors import InvalidOption, QueuekitError
from queuekit.failure import kind_of, printable, repr_of
from queuekit.job import Claim, Micros
from queuekit.times import Seconds, micros, within_range

LINE_CAP: Final = 1_000
MOST_PROGRESS: Final = 1e15


class Snooze(QueuekitError):
    """Raised by a task: run again after `delay` seconds (or a timedelta) without using up an attempt.

    Raises:
        InvalidOption: the delay is none, or out of the range.
    """

    def __init__(self, delay: Seconds) -> None:
        self.delay = micros(delay, "Snooze: delay")
        super().__init__(f"again in {delay}")


class Retry(QueuekitError):
    """Raised by a task: this attempt failed; try again after `delay` seconds (or a timedelta) instead of the backoff's.

    Raises:
        InvalidOption: the delay is none, or out of the range.
    """

    def __init__(
        self, *, delay: Seconds = 0, reason: object = "the task asked for another attempt"
    ) -> None:
        self.delay = micros(delay, "Retry: delay")
        super().__init__(printable(reason))


class GiveUp(QueuekitError):
    """Raised by a task: it failed for good, whatever attempts remain."""

    def __init__(self, reason: object = "the task gave up") -> None:
        super().__init__(printable(reason))


class Cancel(QueuekitError):
    """Raised by a task: the job ends as cancelled."""

    def __init__(self, reason: object = "the task cancelled its job") -> None:
        self.reason = printable(reason)
        super().__init__(self.reason)


def delay_asked(asked: Snooze | Retry) -> Micros:
    """The delay that a task asked for, whatever a subclass made of it. Raises `InvalidOption`."""
    try:
        return within_range(getattr(asked, "delay", None))
    except InvalidOption as why:
        kind = kind_of(asked)
        raise InvalidOption(f"{kind}.delay: {why}; let {kind} call super().__init__") from None


class Run(Protocol):
    """One run as the worker tracks it; `Context` shows it to the task."""

    @property
    def claim(self) -> Claim:
        """The claimed job."""
        ...

    @property
    def deadline(self) -> datetime | None:
        """When it times out."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether it should stop."""
        ...

    @property
    def lease_lost(self) -> bool:
        """Whether no heartbeat got through for a whole lease."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether every slot of its worker is taken."""
        ...

    @property
    def shutting_down(self) -> bool:
        """Whether the worker stops."""
        ...

    def report(self, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send progress and lines in the background; awaited, it is done when they are stored."""
        ...


class Context:
    """The job that is running. Cheap to make, so it is made only where it is asked for."""

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __repr__(self) -> str:
        return f"<Context of job {self.job_id}, attempt {self.attempt} of {self.max_attempts}>"

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self._run.claim.token.id

    @property
    def queue(self) -> str:
        """The queue it came from."""
        return self._run.claim.token.queue

    @property
    def attempt(self) -> int:
        """This run's number among those that count, from 1."""
        return self._run.claim.attempt

    @property
    def max_attempts(self) -> int:
        """How many runs may count."""
        return self._run.claim.max_attempts

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure of this run is final."""
        return self.attempt >= self.max_attempts

    @property
    def meta(self) -> Mapping[str, Any]:
        """The option `meta` of the job."""
        extra = self._run.claim.extra
        meta: Mapping[str, Any] = json.loads(extra).get("meta", {}) if extra else {}
        return meta

    @property
    def scheduled_for(self) -> datetime | None:
        """The nominal time of the tick that made the job, aware, in its schedule's zone; None: no tick has made it.

        It is a time that clocks may leap over: then it is the one that was meant, and the job came right after it.
        """
        extra = self._run.claim.extra
        known: Mapping[str, Any] = json.loads(extra) if extra else {}
        if "tick" not in known:
            return None
        local, _, second = known["tick"].partition("#")
        zone = ZoneInfo(known["zone"])
        return datetime.fromisoformat(local).replace(tzinfo=zone, fold=1 if second else 0)

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts and for a person's retries: for calls to others that must count once."""
        return str(self.job_id)

    @property
    def attempt_token(self) -> int:
        """A new, growing number for each run: for writes that must be fenced."""
        return self._run.claim.token.delivery

    @property
    def deadline(self) -> datetime | None:
        """When the attempt times out (UTC); None without a timeout."""
        return self._run.deadline

    @property
    def cancelled(self) -> bool:
        """Whether the run should stop: somebody cancelled the job, its time is over, or its lease is lost."""
        return self._run.cancelled

    @property
    def lease_lost(self) -> bool:
        """Whether another worker may be running this job, because no heartbeat got through for a whole lease."""
        return self._run.lease_lost

    @property
    def shutting_down(self) -> bool:
        """Whether the worker stops; what is not finished within its grace period runs again elsewhere."""
        return self._run.shutting_down

    def progress(self, value: float, note: object = None) -> Awaitable[None]:
        """Keep how far the job is.

        Args:
            value: a number, from 0 to 1 by custom.
            note: a few words about it (1,000 characters).

        Returns:
            Something to await if you want to be sure that it is stored; it is sent in any case.

        Raises:
            InvalidOption: the value is no finite number.
        """
        words = None if note is None else printable(note, LINE_CAP)
        return self._run.report(json.dumps({"value": _finite(value), "note": words}), ())

    def log(self, line: object) -> Awaitable[None]:
        """Keep a line with the job (the last 100, 1,000 characters each); await it to be sure it is stored."""
        return self._run.report(None, (printable(line, LINE_CAP),))


def _finite(value: object) -> float:
    # In this form, as NaN is neither less nor greater.
    if not isinstance(value, int | float) or not -MOST_PROGRESS <= value <= MOST_PROGRESS:
        raise InvalidOption(
            f"ctx.progress({repr_of(value, 40)}): pass a finite number, say 0.5; words go into note="
        )
    return value


current_run: ContextVar[Run] = ContextVar("queuekit_run")


def current() -> Context:
    """The Context of the job that is running here.

    Raises:
        LookupError: no job is running here.
    """
    try:
        return Context(current_run.get())
    except LookupError:
        raise LookupError("queuekit.current() works only inside a running task") from None
