"""Periodic housekeeping in every worker: call `maintain`, refresh presence, release claims that it cannot run."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from queuekit.backend import Backend, Presence
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.job import Micros
from queuekit.log import Repeated, log
from queuekit.worker import journal
from queuekit.worker.board import Board
from queuekit.worker.fetcher import Fetcher
from queuekit.worker.outage import Outage
from queuekit.worker.ticker import Ticker

TICK: Final = 1.0
PRESENT_EVERY: Final = 20.0
"""Seconds between two words of this process that it is there; as often it looks after queues that nobody serves."""
UNBEGUN_FOR: Final = 0.5
"""Seconds after which a claimed job that found no slot is given back to others."""
LATE_CLAIMS_FOR: Final = 30.0
"""Seconds after an outage in which a claim sent before it may still be carried out."""


class Upkeep:
    """Calls `maintain` on a jittered beat, in every worker: there is no leader to lose."""

    def __init__(
        self,
        backend: Backend,
        queues: Sequence[str],
        board: Board,
        fetcher: Fetcher,
        outage: Outage,
        presence: Presence,
        ticker: Ticker,
    ) -> None:
        self._backend = backend
        self._queues = queues
        self._board = board
        self._fetcher = fetcher
        self._outage = outage
        self._presence = presence
        self._ticker = ticker
        self._present_at = 0.0
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
            await asyncio.sleep(self._pause())

    async def tick(self) -> None:
        """One round."""
        now = asyncio.get_running_loop().time()
        if now >= self._present_at:
            await self._backend.present(self._presence)
            self._present_at = now + PRESENT_EVERY
            await self._maintain(await self._backend.unserved())
        self._ticker.expect(await self._maintain(self._queues))
        if now - self._outage.ended_at < LATE_CLAIMS_FOR:
            await self._fetcher.give_back_unreceived()
        self._fetcher.give_back_unbegun(UNBEGUN_FOR)

    async def _maintain(self, queues: Sequence[str]) -> Micros | None:
        """Microseconds until a schedule of these is due."""
        if not queues:
            return None
        done = await self._backend.maintain(queues)
        for change in (*done.rescued, *done.expired):
            journal.tell_end(change)
        if done.rescued:
            log.warning("rescued jobs whose worker was not heard of", count=len(done.rescued))
        return done.due_in

    def _pause(self) -> float:
        """Seconds between ticks: three come in a lease at least, else the store would take each pause for an outage."""
        return min(TICK, self._board.beat * 0.75) * random.uniform(0.8, 1)
