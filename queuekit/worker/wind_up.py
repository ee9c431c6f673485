"""The end of a worker, step by step."""

import asyncio
from collections.abc import Callable

from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.lifecycle import Released
from queuekit.log import log
from queuekit.loops import call, ended_within
from queuekit.signature import described
from queuekit.tasks import Tasks
from queuekit.worker.journal import named
from queuekit.worker.orders import HURRIED, LAST_SECOND, LAST_WORDS, Orders
from queuekit.worker.parts import Parts
from queuekit.worker.run import Interruption


class WindUp:
    """Ends a worker: finishes or interrupts what runs, and tells the store all that came of it.

    Args:
        parts: of the worker.
        tasks: whose shutdown hooks are run.
        orders: the second one cuts the waiting short.
        grace: seconds that running jobs get to finish.
    """

    def __init__(self, parts: Parts, tasks: Tasks, orders: Orders, grace: float) -> None:
        self._parts = parts
        self._tasks = tasks
        self._orders = orders
        self._grace = grace
        self._hooks_ran = False

    async def run(self) -> None:
        """Wind up while the loops of the worker go on."""
        self._parts.board.stopping.set()
        self._parts.fetcher.give_back_unbegun()
        await self._finish_running()
        await self._interrupt_running()
        await self._settle_all()
        await self._run_shutdown_hooks()
        await self._give_back_unstoppable()

    async def close(self) -> None:
        """Close what was opened, also after a failure."""
        parts = self._parts
        await parts.children.close(self._patience)
        await self._run_shutdown_hooks()
        try:
            await parts.backend.absent(parts.presence.process)
        except (BackendUnavailable, BackendRefused):
            log.warning("the server could not be told that this worker leaves")

    async def _finish_running(self) -> None:
        running = self._parts.board.running
        if running:
            log.info("waiting for running jobs", jobs=named(running), grace=self._grace)
        await _until(lambda: not running or self._orders.now_asked.is_set(), self._grace)

    async def _interrupt_running(self) -> None:
        """Interrupt async tasks, kill children, and abandon what does not heed that."""
        board, children = self._parts.board, self._parts.children
        interrupted = list(board.running)
        for run in interrupted:
            run.interrupt(Interruption.SHUTDOWN)
        await _until(lambda: not board.running, self._patience)
        await children.end_busy()
        for run in list(board.running):
            board.abandon(run)
        await _until(
            lambda: not (children.busy or any(run.abandoned for run in board.running)), LAST_SECOND
        )
        if interrupted:
            log.info(
                "interrupted jobs that did not finish in time; what was not done runs again",
                jobs=named(interrupted),
            )

    @property
    def _patience(self) -> float:
        """Seconds for what was told to end."""
        return HURRIED if self._orders.now_asked.is_set() else LAST_SECOND

    async def _settle_all(self) -> None:
        outbox = self._parts.outbox
        try:
            async with asyncio.timeout(LAST_WORDS):
                await outbox.settled_all.wait()
        except TimeoutError:
            log.error(
                "the server could not be told what has ended; those jobs run again",
                outbox=repr(outbox),
            )

    async def _run_shutdown_hooks(self) -> None:
        """Run each hook once, for its share of the time: one that hangs keeps neither the others nor the worker."""
        if self._hooks_ran:
            return
        self._hooks_ran = True
        hooks = self._tasks.hooks("shutdown")
        for hook in hooks:
            share = LAST_WORDS / len(hooks)
            if not await ended_within(share, call(hook), "queuekit shutdown hook"):
                log.error("a shutdown hook did not end; it is not waited for", hook=described(hook))

    async def _give_back_unstoppable(self) -> None:
        """Release the jobs of threads last of all, because a thread goes on until the process ends."""
        left = self._parts.board.running
        if not left:
            return
        log.error(
            "threads can't be stopped: their jobs run again elsewhere, and here until the process ends",
            jobs=named(left),
        )
        for run in left:
            self._parts.outbox.settle(run, Released())
        await self._settle_all()


async def _until(done: Callable[[], bool], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not done() and loop.time() < end:  # noqa: ASYNC110  # of several conditions
        await asyncio.sleep(0.01)
