"""The loop of a slot: take a job, run it, settle what came of it; one job after the other."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias

from queuekit.failure import failure
from queuekit.lifecycle import Failed, Outcome
from queuekit.log import log
from queuekit.loops import current_task
from queuekit.worker import forks, journal
from queuekit.worker.board import Board
from queuekit.worker.executor import AFTER_TROUBLE, Executor
from queuekit.worker.outbox import Outbox
from queuekit.worker.reporter import Reporter
from queuekit.worker.run import Run

TURN: Final = 0.001
"""Seconds for which all slots together may hold the event loop, if no task awaits anything, before others come on."""

Replace: TypeAlias = "Callable[[asyncio.Task[None], Run, Outcome | None], None]"


class Slot:
    """What each slot of a worker does.

    Args:
        board: gives the jobs.
        executor: runs them.
        reporter: must have stored their reports before they are settled.
        outbox: takes their outcomes.
        replace: opens another slot in place of one whose asyncio task the job's code may still hold.

    Attributes:
        closing: whether slots are cancelled because the worker ends; the jobs in them are not at fault.
    """

    def __init__(
        self,
        board: Board,
        executor: Executor,
        reporter: Reporter,
        outbox: Outbox,
        replace: Replace,
    ) -> None:
        self._board = board
        self._executor = executor
        self._reporter = reporter
        self._outbox = outbox
        self._replace = replace
        self.closing = False

    async def serve(self, run: Run | None = None, outcome: Outcome | None = None) -> None:
        """Run one job after the other until the worker stops.

        Args:
            run: of a slot that was replaced: it is settled first.
            outcome: what came of it.
        """
        board, executor = self._board, self._executor
        slot, here = current_task(), board.here
        share, since = TURN / board.concurrency, monotonic()
        if run is not None:
            await self._settle(run, outcome)
        while not board.stopping.is_set():
            run = await board.take()
            run.slot = slot
            try:
                outcome = await executor.run(run)
            except BaseException as error:  # noqa: BLE001  # no fault of ours may cost a slot, or a job its end
                outcome = self._broken(run, error)
            forks.leave(here)
            if run.kept:
                if not run.abandoned:
                    self._replace(slot, run, outcome)
                return
            if run.reported:
                await self._settle(run, outcome)
            else:  # the same without a coroutine
                board.end(run)
                if outcome is not None:
                    self._outbox.settle(run, outcome)
            if monotonic() - since >= share:
                await asyncio.sleep(0)
                since = monotonic()

    async def _settle(self, run: Run, outcome: Outcome | None) -> None:
        try:
            if run.reported:
                await self._reporter.flush()
        finally:
            self._board.end(run)
            if outcome is not None:
                self._outbox.settle(run, outcome)

    def _broken(self, run: Run, error: BaseException) -> Outcome | None:
        run.kept = True
        if self.closing:
            return None
        log.error(
            "a slot was ended from outside, or by a fault",
            exc_info=error,
            **journal.about(run.claim),
        )
        return Failed(failure(error, run.claim.attempt), delay=AFTER_TROUBLE)
