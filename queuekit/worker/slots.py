"""The slots of a worker: each runs one job after the other."""

import asyncio
import ctypes
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from inspect import CORO_CLOSED, getcoroutinestate
from itertools import islice
from time import monotonic
from typing import Any, Final

from queuekit.failure import failure
from queuekit.lifecycle import Failed, Outcome
from queuekit.log import log
from queuekit.loops import current_task, start
from queuekit.worker import forks
from queuekit.worker.board import Board
from queuekit.worker.executor import AFTER_TROUBLE, Executor
from queuekit.worker.orders import LAST_SECOND
from queuekit.worker.reporter import Reporter
from queuekit.worker.run import Interruption, Run
from queuekit.worker.steps import Clean

NAMED: Final = 20
"""So many jobs are named in a line of the log."""
TURN: Final = 0.001
"""Seconds for which all slots together may hold the event loop, if no task awaits anything, before others come on."""


class Slots:
    """As many asyncio tasks as jobs may run at once; one that has served a run that may still hold it is replaced.

    Args:
        clean: the context variables of each.
        settle: is told what came of each run.
    """

    def __init__(
        self,
        board: Board,
        executor: Executor,
        reporter: Reporter,
        clean: Clean,
        settle: Callable[[Run, Outcome], None],
    ) -> None:
        self._board = board
        self._executor = executor
        self._reporter = reporter
        self._clean = clean
        self._settle = settle
        self._slots: set[asyncio.Task[None]] = set()
        self._closed = False
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
        await self._close()

    def _abandon(self, run: Run) -> None:
        """End a run whose task does not heed its interruption: it stays where it stands, its slot is free."""
        if run.abandoned or run.work is None or run not in self._board.running:
            return
        run.abandoned = True
        assert run.interruption is not None
        log.error(
            "a task did not stop when it was interrupted; it was abandoned where it stood",
            why=run.interruption.value,
            **about(run),
        )
        assert run.context is not None
        with suppress(BaseException):  # what it cleans up on its way is its own affair
            run.context.run(run.work.close)
        if getcoroutinestate(run.work) != CORO_CLOSED:
            _keep_for_ever(run.work)
        self._replace(run.slot, run, self._executor.abandoned(run))
        run.slot.cancel()

    async def _close(self) -> None:
        self._closed = True
        if self._board.running and not self._board.stopping.is_set():
            log.error(
                "the worker ends in the middle of its jobs; they run again when their leases are over",
                jobs=named(self._board.running),
            )
        self._board.stopping.set()
        for run in list(self._board.running):
            run.interrupt(Interruption.SHUTDOWN)
        slots = list(self._slots)
        for slot in slots:
            slot.cancel()
        if slots:  # those that were idle may have ended by themselves
            await asyncio.wait(slots, timeout=LAST_SECOND)

    def _replace(self, slot: "asyncio.Task[None]", run: Run, outcome: Outcome | None) -> None:
        """Let another slot finish the run: this one ends, whatever happens to it on its way."""
        self._slots.discard(slot)
        self._open_one(run, outcome)

    def _open_one(self, run: Run | None = None, outcome: Outcome | None = None) -> None:
        slot = start(self._serve(run, outcome), "queuekit slot", self._clean.copy())
        self._slots.add(slot)
        slot.add_done_callback(self._ended)

    async def _serve(self, run: Run | None, outcome: Outcome | None) -> None:
        """Finish a run that another slot has begun, then run one job after the other, until the worker stops."""
        board, executor = self._board, self._executor
        slot, here = current_task(), board.here
        share, since = TURN / board.concurrency, monotonic()
        if run is not None:
            await self._finish(run, outcome)
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
                await self._finish(run, outcome)
            else:
                board.end(run)
                if outcome is not None:
                    self._settle(run, outcome)
            if monotonic() - since >= share:
                await asyncio.sleep(0)
                since = monotonic()

    async def _finish(self, run: Run, outcome: Outcome | None) -> None:
        try:
            if run.reported:
                await self._reporter.flush()
        finally:
            self._board.end(run)
            if outcome is not None:
                self._settle(run, outcome)

    def _broken(self, run: Run, error: BaseException) -> Outcome | None:
        run.kept = True
        if self._closed:
            return None
        log.error("a slot was ended from outside, or by a fault", exc_info=error, **about(run))
        return Failed(failure(error, run.claim.attempt), delay=AFTER_TROUBLE)

    def _ended(self, slot: "asyncio.Task[None]") -> None:
        """Replace one that did not end by itself."""
        if slot not in self._slots:
            return
        self._slots.discard(slot)
        error = None if slot.cancelled() else slot.exception()
        if error is not None:
            log.error("a slot has ended by a fault; another one is opened", exc_info=error)
        if (slot.cancelled() or error is not None) and not self._closed:
            self._open_one()


def _keep_for_ever(work: Coroutine[Any, Any, Any]) -> None:
    """Python closes a coroutine that nobody refers to any more, even while it exits: this one would go on for that."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(work))


def named(runs: Collection[Run]) -> list[str]:
    """How a line of the log names some of them."""
    names = [f"{run.claim.task} {run.claim.token.id}" for run in islice(runs, NAMED)]
    return names if len(runs) <= NAMED else [*names, f"and {len(runs) - NAMED} more"]


def about(run: Run) -> Mapping[str, Any]:
    """What a line of the log says of a run."""
    claim = run.claim
    return {
        "task": claim.task,
        "job_id": str(claim.token.id),
        "queue": claim.token.queue,
        "attempt": f"{claim.attempt} of {claim.max_attempts}",
    }
