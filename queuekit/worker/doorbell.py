"""The doorbell: a wait at the store that ends when there may be work, or a cancel request."""

import asyncio
from collections.abc import Sequence
from typing import Final

from queuekit.backend import Backend
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.log import Repeated
from queuekit.loops import first_of
from queuekit.worker.board import Board
from queuekit.worker.outage import Outage

LISTEN_FOR: Final = 600.0
"""Seconds of one wait; its end counts as a ring."""
POLL_EVERY: Final = 1.0
"""Seconds between two looks while the server refuses to wait."""


class Doorbell:
    """Listens for work while the queues are empty, and for cancel requests at all times.

    Attributes:
        for_work: whether it listens for work; the next ring ends that.
        rung: set by each ring, for the heartbeat, because there may be a cancel request.
    """

    def __init__(
        self, backend: Backend, queues: Sequence[str], board: Board, outage: Outage, process: str
    ) -> None:
        self._backend = backend
        self._queues = queues
        self._board = board
        self._outage = outage
        self._process = process
        self._listens_to: Sequence[str] = ()
        self._listen_anew = asyncio.Event()
        self._refused = Repeated("the server refuses to wait for jobs; polling")
        self.for_work = False
        self.rung = asyncio.Event()

    def listen(self, *, for_work: bool) -> None:
        """Listen for work, too, or for cancel requests alone."""
        self.for_work = for_work
        if for_work and not self._listens_to:
            self._listen_anew.set()

    async def run(self) -> None:
        """Listen, for ever.

        Raises:
            StoreGone: there is nothing to serve any more.
        """
        while True:
            await self._outage.over.wait()
            self._listen_anew.clear()
            self._listens_to = self._queues if self.for_work else ()
            ring = self._backend.wait(self._listens_to, LISTEN_FOR, self._process)
            try:
                await first_of(ring, self._listen_anew.wait())
            except BackendUnavailable as error:
                self._outage.begin(error)
                continue
            except StoreGone:
                raise
            except BackendRefused as error:
                self._refused.happened(error)
                await asyncio.sleep(POLL_EVERY)
            else:
                self._refused.over()
            if not self._listen_anew.is_set():
                self.for_work = False
                self.rung.set()
                self._board.changed.set()
                self._board.stirred.set()
