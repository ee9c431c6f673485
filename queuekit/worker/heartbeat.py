"""The heartbeat: extends leases in bulk, and brings lost leases and cancel requests to their runs."""

import asyncio
from collections.abc import Iterable
from time import monotonic

from queuekit.backend import Backend
from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.job import Token
from queuekit.log import Repeated
from queuekit.loops import first_of
from queuekit.worker.board import Board
from queuekit.worker.outage import Outage
from queuekit.worker.outbox import Outbox
from queuekit.worker.run import Interruption, Name, Run, name_of


class Heartbeat:
    """Renews the leases of all that a worker holds; outlives its last job.

    Args:
        rung: set by the doorbell, because there may be a cancel request.
    """

    def __init__(
        self, backend: Backend, board: Board, outbox: Outbox, outage: Outage, rung: asyncio.Event
    ) -> None:
        self._backend = backend
        self._board = board
        self._outbox = outbox
        self._outage = outage
        self._rung = rung
        self._refused = Repeated("the server refuses heartbeats")

    async def run(self) -> None:
        """Beat a third of a lease after the last beat, and at once after a ring of the doorbell."""
        board = self._board
        while True:
            board.shortened.clear()
            try:
                async with asyncio.timeout(board.beat):
                    await first_of(self._rung.wait(), board.shortened.wait())
            except TimeoutError:
                pass
            everything = self._rung.is_set()
            self._rung.clear()
            await self.beat(everything=everything)

    async def beat(self, *, everything: bool) -> None:
        """Renew what is due, or everything, which also brings cancel requests."""
        now = monotonic()
        due = {
            name_of(run.claim.token): run
            for run in self._board.held()
            if everything or now - run.renewed_at >= run.claim.lease / 3_000_000 * 0.9
        }
        tokens = [run.claim.token for run in due.values()]
        tokens += self._outbox.tokens() if not everything else ()
        if not tokens:
            return
        try:
            pulse = await self._backend.heartbeat(tokens)
        except (BackendUnavailable, BackendRefused) as error:
            self._not_delivered(error, now)
            return
        self._refused.over()
        for run in due.values():
            run.renewed_at, run.lease_lost = now, False
        self._tell(due, pulse.lost, Interruption.LEASE_LOST)
        self._tell(due, pulse.cancels, Interruption.CANCELLED)

    def _tell(self, runs: "dict[Name, Run]", tokens: Iterable[Token], why: Interruption) -> None:
        for token in tokens:
            run = runs.get(name_of(token))
            if run is not None:
                run.lease_lost = why is Interruption.LEASE_LOST
                run.interrupt(why)

    def _not_delivered(self, error: Exception, now: float) -> None:
        """Tell each task whose lease is over without a heartbeat that another worker may have its job."""
        if isinstance(error, BackendUnavailable):
            self._outage.begin(error)
        else:
            self._refused.happened(error)
        for run in self._board.running:
            run.lease_lost = now - run.renewed_at > run.claim.lease / 1_000_000
