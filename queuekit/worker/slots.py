"""The slots of a worker: opened, replaced, and closed."""

import asyncio
import ctypes
from collections.abc import Coroutine
from contextlib import suppress
from inspect import CORO_CLOSED, getcoroutinestate
from typing import Any

from queuekit.lifecycle import Outcome
from queuekit.log import log
from queuekit.loops import start
from queuekit.worker import journal
from queuekit.worker.board import Board
from queuekit.worker.executor import Executor
from queuekit.worker.orders import LAST_SECOND
from queuekit.worker.outbox import Outbox
from queuekit.worker.reporter import Reporter
from queuekit.worker.run import Interruption, Run
from queuekit.worker.slot import Slot
from queuekit.worker.steps import Clean


class Slots:
    """As many asyncio tasks as jobs may run at once.

    One that a job's code may still hold is replaced, because a late cancellation, or a context variable, would hit the
    next job.

    Args:
        clean: the context variables of each.
    """

    def __init__(
        self, board: Board, executor: Executor, reporter: Reporter, outbox: Outbox, clean: Clean
    ) -> None:
        self._board = board
        self._executor = executor
        self._clean = clean
        self._slot = Slot(board, executor, reporter, outbox, self._replace)
        self._slots: set[asyncio.Task[None]] = set()
        board.abandoning = self._abandon

    def __repr__(self) -> str:
        return f"<Slots: {len(self._slots)} of {self._board.concurrency}>"

    async def __aenter__(self) -> None:
        """Run jobs for as long as the block lasts.

        What can't be ended then, as its task does not heed that it was cancelled, is never gone on with.
        """
        for _ in range(self._board.concurrency):
            self._open_one()

    async def __aexit__(self, *_: object) -> None:
        running, stopping = self._board.running, self._board.stopping
        self._slot.closing = True
        if running and not stopping.is_set():
            log.error(
                "the worker ends in the middle of its jobs; they run again when their leases are over",
                jobs=journal.named(running),
            )
        stopping.set()
        for run in list(running):
            run.interrupt(Interruption.SHUTDOWN)
        slots = list(self._slots)
        for slot in slots:
            slot.cancel()
        if slots:  # those that were idle may have ended by themselves
            await asyncio.wait(slots, timeout=LAST_SECOND)

    def _open_one(self, run: Run | None = None, outcome: Outcome | None = None) -> None:
        slot = start(self._slot.serve(run, outcome), "queuekit slot", self._clean.copy())
        self._slots.add(slot)
        slot.add_done_callback(self._ended)

    def _replace(self, slot: "asyncio.Task[None]", run: Run, outcome: Outcome | None) -> None:
        """Let another slot settle the run: this one ends, whatever happens to it on its way."""
        self._slots.discard(slot)
        self._open_one(run, outcome)

    def _ended(self, slot: "asyncio.Task[None]") -> None:
        """Open another one for a slot that did not end by itself."""
        if slot not in self._slots:
            return
        self._slots.discard(slot)
        error = None if slot.cancelled() else slot.exception()
        if error is not None:
            log.error("a slot has ended by a fault; another one is opened", exc_info=error)
        if (slot.cancelled() or error is not None) and not self._slot.closing:
            self._open_one()

    def _abandon(self, run: Run) -> None:
        """End a run whose task does not heed its interruption: it stays where it stands, its slot is free."""
        if run.abandoned or run.work is None or run not in self._board.running:
            return
        run.abandoned = True
        assert run.interruption is not None
        log.error(
            "a task did not stop when it was interrupted; it was abandoned where it stood",
            why=run.interruption.value,
            **journal.about(run.claim),
        )
        assert run.context is not None
        with suppress(BaseException):  # what it cleans up on its way is its own affair
            run.context.run(run.work.close)
        if getcoroutinestate(run.work) != CORO_CLOSED:
            _keep_for_ever(run.work)
        self._replace(run.slot, run, self._executor.abandoned(run))
        run.slot.cancel()


def _keep_for_ever(work: Coroutine[Any, Any, Any]) -> None:
    """Python closes a coroutine that nobody refers to any more, even while it exits: this one would go on for that."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(work))
