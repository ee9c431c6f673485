"""One claimed job, from its claim to its outcome."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextvars import Context
from datetime import UTC, datetime, timedelta
from enum import Enum
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

from queuekit.errors import LeaseLost
from queuekit.job import Claim, JobRef, Token
from queuekit.worker.forks import Here

HEED_WITHIN: Final = 2.0
"""Seconds in which an async task must end once it was interrupted; then it is abandoned."""


class Name(NamedTuple):
    """What makes a token unique."""

    ref: JobRef
    delivery: int


def name_of(token: Token) -> Name:
    """What makes this token unique."""
    return Name(token.ref, token.delivery)


class Interruption(Enum):
    """Why a run is interrupted from outside."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"
    TIMED_OUT = "timed out"


class NotBegun(Exception):
    """A run must not begin any more: it was interrupted, or its lease has run out."""


class Owner(Protocol):
    """What a run needs of its worker: the board that it is on."""

    @property
    def here(self) -> Here:
        """Which copy of the process the worker is."""
        ...

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the worker begins no more jobs."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether every slot is taken."""
        ...

    def report(self, token: Token, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send progress and log lines in the background."""
        ...

    def abandon(self, run: "Run") -> None:
        """End a run whose task does not heed its interruption."""
        ...


class Run:
    """One claimed job from its claim to its outcome; what `queuekit.context.Context` shows to the task.

    Attributes:
        claimed_at, renewed_at: by `time.monotonic`, as a loop's clock may stand still for a whole turn, stopped or not.
        ends_at, deadline: when it times out, by `time.monotonic` and for the task.
        slot: the asyncio task that runs it, once it has begun.
        interruptible: whether cancelling the slot's asyncio task would reach the task.
        interruption: set when somebody wants it to stop.
        reported: whether there may be reports to store before it is settled.
        work, context: of an async task: its coroutine, and the context variables that it runs with.
        kept: whether the task's code may still hold its slot's asyncio task, so that no other run may have that.
        abandoned: its task is never gone on with; the outcome was decided without it.
    """

    slot: "asyncio.Task[Any]"
    # Defaults of the class, as most runs never set them.
    ends_at: float | None = None
    deadline: datetime | None = None
    lease_lost = False
    interruption: Interruption | None = None
    interruptible = False
    reported = False
    kept = False
    abandoned = False
    work: Coroutine[Any, Any, Any] | None = None
    context: Context | None = None

    def __init__(self, owner: Owner, claim: Claim, now: float) -> None:
        self._owner = owner
        self.claim = claim
        self.claimed_at = self.renewed_at = now

    def __repr__(self) -> str:
        claim = self.claim
        return f"<Run of job {claim.token.id}, task {claim.task}, attempt {claim.attempt}>"

    @property
    def here(self) -> Here:
        """Which copy of the process the worker is."""
        return self._owner.here

    def age(self) -> float:
        """Seconds since its claim."""
        return monotonic() - self.claimed_at

    def check(self) -> None:
        """Check that it may begin.

        Raises:
            NotBegun: it was interrupted; or its lease has run out by our own clock, because this process stood still
                or was cut off, so that another worker may have the job.
        """
        held = monotonic() - self.renewed_at
        if self.interruption is not None or held * 1_000_000 > self.claim.lease:
            raise NotBegun

    @property
    def cancelled(self) -> bool:
        """Whether the task should stop."""
        return self.interruption is not None

    @property
    def shutting_down(self) -> bool:
        """Whether the worker stops."""
        return self._owner.stopping.is_set()

    @property
    def crowded(self) -> bool:
        """Whether every slot of its worker is taken: what the task waits for may need one."""
        return self._owner.crowded

    def interrupt(self, why: Interruption) -> None:
        """Tell the task to stop; an async one is cancelled, and abandoned if it does not heed that."""
        if self.interruption is None:
            self.interruption = why
            if self.interruptible:
                self.slot.cancel()
                if self.work is not None:
                    asyncio.get_running_loop().call_later(HEED_WITHIN, self._owner.abandon, self)

    def no_more_interrupts(self) -> None:
        """The interruptible part has ended: take back cancellations that came for it, else they would end the slot."""
        self.interruptible = False
        if self.interruption is not None:
            while self.slot.cancelling():
                self.slot.uncancel()

    def time_out_after(self, seconds: float) -> None:
        """Set the deadline that the task sees."""
        self.ends_at = monotonic() + seconds
        self.deadline = datetime.now(UTC) + timedelta(seconds=seconds)

    def report(self, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send progress and lines in the background.

        Raises:
            LeaseLost: the server gave the job to another worker.
        """
        if self.interruption is Interruption.LEASE_LOST:
            raise LeaseLost(f"Job {self.claim.token.id} is another worker's now; stop this run")
        self.reported = True
        return self._owner.report(self.claim.token, progress, logs)
