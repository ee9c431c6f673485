"""What a worker holds leases of: claimed and not begun, running, and finished but not yet settled."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from time import monotonic
from typing import Any, Final, Protocol

from queuekit.errors import LeaseLost
from queuekit.job import Claim, Token


class Interruption(Enum):
    """Why a run is interrupted from outside."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"
    TIMED_OUT = "timed out"


class NotBegun(Exception):
    """A run must not begin any more: it was interrupted, or its lease has run out."""


class Reports(Protocol):
    """Where progress and log lines go."""

    def add(self, token: Token, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send in the background."""
        ...


class Run:
    """One claimed job from its claim to its outcome; what `queuekit.context.Context` shows to the task.

    Attributes:
        claimed_at, renewed_at: by `time.monotonic`, as a loop's clock may stand still for a whole turn, stopped or not.
        slot: the asyncio task that runs it, once it has begun.
        interruptible: whether cancelling the slot's asyncio task would reach the task.
        interruption: set when somebody wants it to stop.
        reported: whether there may be reports to store before it is settled.
    """

    __slots__ = (
        "_board",
        "claim",
        "claimed_at",
        "deadline",
        "interruptible",
        "interruption",
        "lease_lost",
        "renewed_at",
        "reported",
        "slot",
    )
    slot: "asyncio.Task[Any]"

    def __init__(self, board: "Board", claim: Claim, now: float) -> None:
        self._board = board
        self.claim = claim
        self.claimed_at = self.renewed_at = now
        self.deadline: datetime | None = None
        self.lease_lost = False
        self.interruption: Interruption | None = None
        self.interruptible = False
        self.reported = False

    def age(self) -> float:
        """Seconds since its claim."""
        return monotonic() - self.claimed_at

    def stale(self) -> bool:
        """Whether its lease has run out by our own clock (we were stopped, or cut off): others may have it."""
        return monotonic() - self.renewed_at > self.claim.lease / 1_000_000

    def check(self) -> None:
        """To be asked before it begins.

        Raises:
            NotBegun: it was interrupted, or may be another worker's.
        """
        if self.interruption is not None or self.stale():
            raise NotBegun

    @property
    def cancelled(self) -> bool:
        """Whether the task should stop."""
        return self.interruption is not None

    @property
    def shutting_down(self) -> bool:
        """Whether the worker stops."""
        return self._board.stopping.is_set()

    def interrupt(self, why: Interruption) -> None:
        """Tell the task to stop; an async one is cancelled."""
        if self.interruption is None:
            self.interruption = why
            if self.interruptible:
                self.slot.cancel()

    def no_more_interrupts(self) -> None:
        """The task has ended; what interrupted it must not end the slot."""
        self.interruptible = False
        if self.interruption is not None:
            while self.slot.cancelling():
                self.slot.uncancel()

    def time_out_after(self, seconds: float) -> None:
        """Set the deadline that the task sees."""
        self.deadline = datetime.now(UTC) + timedelta(seconds=seconds)

    def report(self, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send progress and lines in the background.

        Raises:
            LeaseLost: the server gave the job to another worker.
        """
        if self.interruption is Interruption.LEASE_LOST:
            raise LeaseLost(f"Job {self.claim.token.id} is another worker's now; stop this run")
        self.reported = True
        return self._board.reports.add(self.claim.token, progress, logs)


class Pace:
    """How fast this worker could begin jobs: that bounds what is claimed ahead.

    While claimed jobs wait for slots, it is how fast they begin. When none wait, at least as fast as jobs end.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._begun = 0
        self._begins: float | None = None
        self._seen_at, self._seen, self._ends = 0.0, 0, 0.0

    def filled(self, now: float) -> None:
        """There are claimed jobs that have no slot."""
        if self._since is None:
            self._since, self._begun = now, 0

    def begun(self) -> None:
        """One of them has begun."""
        self._begun += 1

    def emptied(self, now: float) -> None:
        """There are none any more: the last has begun, or they were given back."""
        if self._since is not None:
            self._begins = self._begun / max(now - self._since, 1e-6)
            self._since = None

    def per_second(self, now: float, done: int) -> float | None:
        """Jobs per second, of which `done` have ended ever; None: nothing is known yet."""
        passed = now - self._seen_at
        if passed > 0.01:
            self._ends = (done - self._seen) / passed
            self._seen_at, self._seen = now, done
        if self._since is not None and self._begun:
            return self._begun / max(now - self._since, 1e-6)
        return None if self._begins is None else max(self._begins, self._ends)


class Board:
    """All runs of one worker, and the signals between its parts.

    Attributes:
        buffer: claimed and not begun.
        running: begun.
        changed: something happened that the fetcher may care about.
        hungry: no more than `low` claimed jobs are left.
        pace: how fast they begin.
        stopping: no new job is begun any more.
        beat: seconds between heartbeats; a third of the shortest lease seen.
    """

    def __init__(self, reports: Reports, concurrency: int, lease: float) -> None:
        self.reports = reports
        self.concurrency: Final = concurrency
        self.buffer: deque[Run] = deque()
        self.running: set[Run] = set()
        self.changed = asyncio.Event()
        self.hungry = asyncio.Event()
        self.low = 0
        self.pace = Pace()
        self.stopping = asyncio.Event()
        self.shortened = asyncio.Event()
        self.beat = lease / 3
        self.queued_inside = 0
        """runs that have a slot but wait for a thread or a child"""
        self.done = 0
        """runs that ended, ever"""
        self._idle: list[asyncio.Future[Run]] = []

    def __repr__(self) -> str:
        return f"<Board: {len(self.buffer)} claimed, {len(self.running)} running, {self.done} done>"

    @property
    def free(self) -> int:
        """Slots without a run."""
        return self.concurrency - len(self.running)

    def held(self) -> Iterator[Run]:
        """All that is claimed or running."""
        yield from self.buffer
        yield from self.running

    def deliver(self, claims: "list[Run]") -> None:
        """Hand runs to idle slots, and keep the rest."""
        for run in claims:
            lease = run.claim.lease / 3_000_000
            if lease < self.beat:
                self.beat = lease
                self.shortened.set()
            while self._idle:
                slot = self._idle.pop()
                if not slot.done():
                    self.running.add(run)
                    slot.set_result(run)
                    break
            else:
                self.buffer.append(run)
        if self.buffer:
            self.pace.filled(monotonic())

    async def take(self) -> Run:
        """The next run for a slot."""
        if self.buffer:
            run = self.buffer.popleft()
            self.running.add(run)
            self.pace.begun()
            if not self.buffer:
                self.pace.emptied(monotonic())
            if len(self.buffer) <= self.low:
                self.changed.set()
                self.hungry.set()
            return run
        slot: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._idle.append(slot)
        self.changed.set()
        return await slot

    @asynccontextmanager
    async def place(self, places: asyncio.Semaphore, run: Run) -> AsyncIterator[None]:
        """Hold a thread or a child for a run that has its slot; while it waits for one, nothing is claimed ahead.

        Raises:
            NotBegun: it waited in vain.
        """
        waits = places.locked()
        self.queued_inside += waits
        run.interruptible = True
        try:
            await places.acquire()
        except asyncio.CancelledError:
            if run.interruption is None:
                raise
            run.no_more_interrupts()
            raise NotBegun from None
        finally:
            run.interruptible = False
            self.queued_inside -= waits
        try:
            if waits and self.stopping.is_set():
                raise NotBegun
            run.check()
            yield
        finally:
            places.release()
            self.changed.set()

    def end(self, run: Run) -> None:
        """A run has ended."""
        self.running.discard(run)
        self.done += 1
