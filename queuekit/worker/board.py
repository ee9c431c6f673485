"""The jobs of a worker, claimed or running, and the signals between its parts."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, Protocol

from queuekit.job import Token
from queuekit.worker import forks
from queuekit.worker.pace import Pace
from queuekit.worker.run import NotBegun, Run


class Reports(Protocol):
    """Where progress and log lines go."""

    def add(self, token: Token, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send in the background."""
        ...


class Board:
    """All runs of one worker from their claim to their outcome, and the signals between its parts.

    Attributes:
        concurrency: how many run at once, at most.
        buffer: runs that are claimed and have no slot yet.
        running: runs that have a slot.
        queued_inside: how many of these wait for a thread or a child.
        done: how many have ended, ever.
        pace: how fast runs begin.
        changed: set by all that may change the next step of the fetcher.
        stirred: set when jobs were claimed, or the doorbell has rung: this is no idle worker.
        refill_at: how few runs must be left in the buffer until it decides anew.
        refill: set when no more are left.
        stopping: set when no run is begun any more.
        beat: seconds between heartbeats, a third of the shortest lease seen.
        shortened: set when that has become less.
        here: which copy of the process this is.
        abandoning: ends a run whose task does not heed its interruption; set by the slots.
    """

    def __init__(self, reports: Reports, concurrency: int, lease: float) -> None:
        self.report = reports.add
        self.here: Final = forks.here()
        self.abandoning: Callable[[Run], None] = lambda _run: None
        self.concurrency: Final = concurrency
        self.buffer: deque[Run] = deque()
        self.running: set[Run] = set()
        self.changed = asyncio.Event()
        self.stirred = asyncio.Event()
        self.refill = asyncio.Event()
        self.refill_at = 0
        self.pace = Pace()
        self.stopping = asyncio.Event()
        self.shortened = asyncio.Event()
        self.beat = lease / 3
        self.queued_inside = 0
        self.done = 0
        self._idle: list[asyncio.Future[Run]] = []

    def __repr__(self) -> str:
        return f"<Board: {len(self.buffer)} claimed, {len(self.running)} running, {self.done} done>"

    @property
    def free(self) -> int:
        """Slots without a run."""
        return self.concurrency - len(self.running)

    @property
    def crowded(self) -> bool:
        """Whether every slot is taken."""
        return self.free <= 0

    def held(self) -> Iterator[Run]:
        """All that is claimed or running."""
        yield from self.buffer
        yield from self.running

    def deliver(self, claims: list[Run]) -> None:
        """Hand runs to idle slots, and keep the rest."""
        if claims:
            self.stirred.set()
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

    async def next_change(self) -> None:
        """Wait until something changes from now on; what has changed before is known."""
        self.changed.clear()
        await self.changed.wait()

    async def take(self) -> Run:
        """The next run for a slot; waits for one if none is claimed."""
        if self.buffer:
            run = self.buffer.popleft()
            self.running.add(run)
            self.pace.begun()
            if not self.buffer:
                self.pace.emptied(monotonic())
            if len(self.buffer) <= self.refill_at:
                self.changed.set()
                self.refill.set()
            return run
        slot: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._idle.append(slot)
        self.changed.set()
        return await slot

    @asynccontextmanager
    async def place(self, places: asyncio.Semaphore, run: Run) -> AsyncIterator[None]:
        """Hold a thread or a child for a run that has a slot; while a run waits for one, nothing is claimed.

        Raises:
            NotBegun: it was interrupted while it waited, the worker stops, or its lease has run out.
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

    def abandon(self, run: Run) -> None:
        """End a run whose task does not heed its interruption."""
        self.abandoning(run)

    def end(self, run: Run) -> None:
        """A run has ended."""
        self.running.discard(run)
        self.done += 1
