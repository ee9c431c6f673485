"""Periodic housekeeping in every worker: call `maintain`, refresh presence, release claims that it cannot run."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import Final

from queuekit.backend import HEARD_WITHIN, Backend, Presence, Upkeep as Done
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.log import Repeated, log
from queuekit.worker import journal
from queuekit.worker.board import Board
from queuekit.worker.fetcher import Fetcher
from queuekit.worker.outage import Outage
from queuekit.worker.ticker import Ticker

TICK: Final = 1.0
PRESENT_EVERY: Final = 20.0
"""Seconds between two words of this process that it is there."""
UNSERVED_EVERY: Final = 60.0
"""Seconds between two looks for queues that nobody serves."""
UNBEGUN_FOR: Final = 0.5
"""Seconds after which a claimed job that found no slot is given back to others."""
LATE_CLAIMS_FOR: Final = 30.0
"""Seconds after an outage in which a claim sent before it may still be carried out."""


class Upkeep:
    """Calls `maintain` on a jittered beat, in every worker: there is no leader to lose.

    A worker that holds jobs ticks about once a second. One that is idle ticks when something is due, and else so often
    that a lease that runs out is found in time although its owner, who ticked, is gone.

    Args:
        lease: seconds, the shortest that a job here may have.
    """

    def __init__(
        self,
        backend: Backend,
        queues: Sequence[str],
        board: Board,
        fetcher: Fetcher,
        outage: Outage,
        presence: Presence,
        ticker: Ticker,
        lease: float,
    ) -> None:
        self._backend = backend
        self._queues = queues
        self._board = board
        self._fetcher = fetcher
        self._outage = outage
        self._presence = presence
        self._ticker = ticker
        self._lease = lease
        self._present_at = self._unserved_at = 0.0
        self._again_in = inf
        self._idle = False
        self._refused = Repeated("the server refuses upkeep")

    async def run(self) -> None:
        """Tick, for ever."""
        while True:
            await self._outage.over.wait()
            try:
                await self.tick()
            except BackendUnavailable as error:
                self._outage.begin(error)
            except StoreGone:
                raise
            except BackendRefused as error:
                self._refused.happened(error)
            else:
                self._refused.over()
            await self._rest()

    async def tick(self) -> None:
        """One round."""
        self._board.stirred.clear()
        now = asyncio.get_running_loop().time()
        late_claims_may_come = now - self._outage.ended_at < LATE_CLAIMS_FOR
        # Only what was so before this tick counts: what has ended since may have made something due.
        self._idle = not late_claims_may_come and next(self._board.held(), None) is None
        if now >= self._present_at:
            await self._backend.present(self._presence)
            self._present_at = now + PRESENT_EVERY
        if now >= self._unserved_at:
            await self._maintain(await self._backend.unserved())
            self._unserved_at = now + UNSERVED_EVERY * random.uniform(0.5, 1)
        done = await self._maintain(self._queues)
        self._ticker.expect(done.due_in)
        self._again_in = inf if done.again_in is None else done.again_in / 1_000_000
        if late_claims_may_come:
            await self._fetcher.give_back_unreceived()
        self._fetcher.give_back_unbegun(UNBEGUN_FOR)

    async def _maintain(self, queues: Sequence[str]) -> Done:
        if not queues:
            return Done()
        done = await self._backend.maintain(queues)
        for change in (*done.rescued, *done.expired):
            journal.tell_end(change)
        if done.rescued:
            log.warning("rescued jobs whose worker was not heard of", count=len(done.rescued))
        return done

    async def _rest(self) -> None:
        """Wait for the next tick."""
        busy, idle = pauses(self._board.beat, self._lease)
        await asyncio.sleep(busy * random.uniform(0.8, 1))
        if self._idle:
            with suppress(TimeoutError):
                async with asyncio.timeout(
                    min(idle * random.uniform(0.8, 1), self._again_in) - busy
                ):
                    await self._board.stirred.wait()


def pauses(beat: float, lease: float) -> tuple[float, float]:
    """Seconds between ticks, while a worker holds jobs and while it does not.

    Three ticks of an owner come in a lease at least, else the store would take each pause for an outage. If he is gone
    the next tick of another worker finds such a pause, and lets his leases last for half of their length and
    `HEARD_WITHIN` (see `queuekit.backend.model.spared_until`): if it comes in time they end no later than without it.

    Args:
        beat: seconds between its heartbeats, a third of the shortest lease seen.
        lease: the shortest of the tasks.
    """
    busy = min(TICK, beat * 0.75)
    idle = min(3 * beat, lease) / 2 - HEARD_WITHIN / 1_000_000
    return busy, max(busy, min(idle, PRESENT_EVERY))
