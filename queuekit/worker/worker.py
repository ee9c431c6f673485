"""The worker: its parts put together, and the order in which they start and stop."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from time import monotonic
from typing import TYPE_CHECKING, Self

from queuekit.backend import Backend, Presence
from queuekit.errors import BackendRefused, BackendUnavailable, ConfigurationError
from queuekit.job import Return, ReturnKind, new_id
from queuekit.lifecycle import settle
from queuekit.loading import location_of
from queuekit.log import log
from queuekit.loops import background, current_task, first_of
from queuekit.options import micros
from queuekit.registry import redacted
from queuekit.worker.acker import Acker
from queuekit.worker.board import Board, Interruption, Run
from queuekit.worker.executor import Executor
from queuekit.worker.fetcher import Fetcher
from queuekit.worker.heartbeat import Heartbeat, name_of
from queuekit.worker.isolated import Children
from queuekit.worker.link import Link
from queuekit.worker.options import WorkerOptions
from queuekit.worker.reporter import Reporter
from queuekit.worker.upkeep import Upkeep

if TYPE_CHECKING:
    from queuekit.app import Queuekit

TURN = 0.001
"""Seconds for which all slots together may hold the event loop, if no task awaits anything, before others come on."""
LAST_WORDS = 5.0
"""Seconds in which the last outcomes must reach the store when a worker stops."""


class Worker:
    """Runs the jobs of an app in this process.

    Args:
        app: whose tasks are known.
        options: see `WorkerOptions`.
    """

    def __init__(self, app: "Queuekit", options: WorkerOptions) -> None:
        self._app = app
        self._options = options
        self.queues = tuple(
            options.queues or dict.fromkeys(task.queue for task in app.tasks.values())
        )
        if not self.queues:
            raise ConfigurationError(
                "This app has no task, so there is no queue to serve; define one with @qk.task"
            )
        self.process = f"{socket.gethostname()}-{os.getpid()}-{new_id().hex[-12:]}"
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._parts: _Parts | None = None

    def __repr__(self) -> str:
        state = repr(self._parts.board) if self._parts else "not running"
        return f"<Worker of {', '.join(self.queues)}: {state}>"

    def stop(self) -> None:
        """Claim nothing more, let running jobs finish; called again: stop at once."""
        if self._stop.is_set():
            self._now.set()
        self._stop.set()

    async def run(self) -> None:
        """Fetch and run jobs until stopped; leave nothing half done."""
        backend = await self._app.backend()
        parts = self._parts = _Parts(self._app, self._options, backend, self.queues, self.process)
        await self._app.run_hooks("startup")
        try:
            with _signals(self.stop, enabled=self._options.signals):
                async with (
                    background(*parts.outliving),
                    background(parts.fetcher.exchange, *parts.slots),
                ):
                    log.info(
                        "worker started", queues=self.queues, url=redacted(self._app.settings.url)
                    )
                    await self._until_stopped(parts)
                    parts.board.stopping.set()
                    parts.fetcher.give_back()
                    await self._finish_running(parts)
                    await self._settle_all(parts)
        finally:
            await parts.children.close()
            await self._leave(backend)
            await self._app.run_hooks("shutdown")
            log.info("worker stopped", jobs=parts.board.done)

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Self]:
        """Run beside a block; a worker that fails cancels it."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.run(), name="queuekit worker")
            try:
                yield self
            finally:
                self._stop.set()
                await asyncio.shield(running)

    async def _until_stopped(self, parts: "_Parts") -> None:
        if not self._options.burst:
            await self._stop.wait()
            return
        await first_of(self._stop.wait(), parts.fetcher.found_nothing.wait())

    async def _finish_running(self, parts: "_Parts") -> None:
        board, loop = parts.board, asyncio.get_running_loop()
        end = loop.time() + self._options.grace
        while board.running and loop.time() < end and not self._now.is_set():  # noqa: ASYNC110  # three conditions
            await asyncio.sleep(0.01)
        for run in list(board.running):
            run.interrupt(Interruption.SHUTDOWN)
        end = loop.time() + (0 if self._now.is_set() else 1)
        while board.running and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for run in board.running:
            # A thread can't be interrupted: it goes on to run until the process ends, and its outcome is refused.
            parts.acker.add(Return(run.claim.token, ReturnKind.RELEASE))

    async def _settle_all(self, parts: "_Parts") -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                await parts.acker.settled_all.wait()
        except TimeoutError:
            log.error(
                "the server could not be told what has ended; those jobs run again",
                acker=repr(parts.acker),
            )

    async def _leave(self, backend: Backend) -> None:
        try:
            await backend.absent(self.process)
        except (BackendUnavailable, BackendRefused):
            log.warning("the server could not be told that this worker leaves")


class _Parts:
    """The parts of one running worker."""

    def __init__(
        self,
        app: "Queuekit",
        options: WorkerOptions,
        backend: Backend,
        queues: Sequence[str],
        process: str,
    ) -> None:
        self.backend = backend
        self.reporter = Reporter(backend)
        self.board = board = Board(self.reporter, options.concurrency, options.lease)
        self.acker = acker = Acker(board)
        self.children = Children(lambda: location_of(app), board, options.children)
        self.link = Link(lambda: backend.present(presence), self._give_back_strays)
        self.fetcher = Fetcher(
            backend,
            queues,
            board,
            acker,
            self.link,
            process=process,
            lease=micros(options.lease),
            free_children=lambda: self.children.free,
            burst=options.burst,
        )
        presence = Presence(
            process=process,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("queuekit"),
            queues=queues,
            concurrency=options.concurrency,
            backends=(redacted(app.settings.url),),
        )
        heartbeat = Heartbeat(backend, board, acker, self.link, self.fetcher.woken)
        upkeep = Upkeep(
            backend, queues, board, self.fetcher, self.link, presence, self._give_back_strays
        )
        self._executor = Executor(
            app.tasks, board, options.threads, self.children, self._enqueued_at
        )
        self._tasks = app.tasks
        self._process = process
        self.outliving = (
            self.link.run,
            heartbeat.run,
            upkeep.run,
            self.fetcher.doorbell,
            self.reporter.run,
        )
        self.slots = (self._slot,) * options.concurrency

    async def _slot(self) -> None:
        """Run one job after the other, until the worker stops."""
        board, acker, executor, tasks = self.board, self.acker, self._executor, self._tasks
        slot, share, since = current_task(), TURN / board.concurrency, monotonic()
        while not board.stopping.is_set():
            run = await board.take()
            run.slot = slot
            try:
                outcome = await executor.run(run)
                if run.reported:
                    await self.reporter.flush()
            finally:
                board.end(run)
            if outcome is not None:
                task = tasks.get(run.claim.task)
                acker.add(settle(run.claim, outcome, task.policy.keep if task else None))
            if monotonic() - since >= share:
                await asyncio.sleep(0)
                since = monotonic()

    async def _give_back_strays(self) -> None:
        """Release what was claimed for us in calls whose reply was lost."""
        strays = await self.backend.leases(self._process)
        known = {name_of(run.claim.token) for run in self.board.held()}
        known |= {name_of(token) for token in self.acker.tokens()}
        for held in strays:
            if held.number != self.fetcher.under_way and name_of(held.token) not in known:
                self.acker.add(Return(held.token, ReturnKind.RELEASE))

    async def _enqueued_at(self, run: Run) -> int:
        token = run.claim.token
        try:
            (record,) = await self.backend.inspector.get([token.id], token.queue)
        except (BackendUnavailable, BackendRefused):
            record = None  # it is asked again after the next claim
        return record.enqueued_at if record else token.delivery * 1_000


@contextmanager
def _signals(stop: Callable[[], None], *, enabled: bool) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if enabled else ()
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
