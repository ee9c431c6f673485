"""The worker: the order in which its parts start and stop."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

from queuekit.backend import Backend
from queuekit.errors import BackendRefused, BackendUnavailable, ConfigurationError
from queuekit.job import Return, ReturnKind, new_id
from queuekit.log import log
from queuekit.loops import background, call, ended_within, first_of
from queuekit.registry import redacted
from queuekit.signature import described
from queuekit.store import Store
from queuekit.tasks import Tasks
from queuekit.worker import forks
from queuekit.worker.options import WorkerOptions
from queuekit.worker.orders import HURRIED, LAST_SECOND, LAST_WORDS, Orders, on_signals
from queuekit.worker.parts import Parts
from queuekit.worker.run import Interruption
from queuekit.worker.slots import named
from queuekit.worker.watchdog import Watchdog


class Worker:
    """Runs the jobs of an app in this process.

    Args:
        store: where its jobs are.
        tasks: that are known.
        options: see `WorkerOptions`.

    Attributes:
        queues: that it serves.
        process: its name at the store.
        orders: to finish, and to end at once.
        ends_process: whether the process is ended if the worker can't end as it was told.
    """

    def __init__(self, store: Store, tasks: Tasks, options: WorkerOptions) -> None:
        self._store = store
        self._tasks = tasks
        self._options = options
        self.queues = tuple(options.queues or tasks.queues)
        if not self.queues:
            raise ConfigurationError(
                "This app has no task, so there is no queue to serve; define one with @qk.task"
            )
        self.process = f"{socket.gethostname()}-{os.getpid()}-{new_id().hex[-12:]}"
        self.orders = Orders()
        self.ends_process = options.signals
        self._parts: Parts | None = None
        self._shut_down = False

    def __repr__(self) -> str:
        state = repr(self._parts.board) if self._parts else "not running"
        return f"<Worker of {', '.join(self.queues)}: {state}>"

    @property
    def running(self) -> list[str]:
        """The jobs that run now, by task and id."""
        return named(self._parts.board.running) if self._parts else []

    def stop(self) -> None:
        """Claim nothing more, let running jobs finish; called again: stop at once. From any thread."""
        self.orders.again()

    async def run(self) -> None:
        """Fetch and run jobs until stopped; leave nothing half done.

        Raises:
            LoopEnded: other code of this process ended a part of it, so that it can't go on.
        """
        options, orders = self._options, self.orders
        backend = await self._store.backend()
        orders.obeyed_on(asyncio.get_running_loop())
        with (
            forks.kept_from_the_loop(),
            on_signals(orders.again, enabled=options.signals) as put_back,
            Watchdog(
                orders, options.grace, put_back, ends_process=self.ends_process
            ).watching() as watchdog,
        ):
            async with background(watchdog.beat):
                await self._tasks.run_hooks("startup")
                parts = self._parts = Parts(
                    self._store, self._tasks, options, backend, self.queues, self.process
                )
                watchdog.board = parts.board
                await self._serve(parts)

    async def _serve(self, parts: Parts) -> None:
        try:
            async with background(*parts.loops), parts.slots:
                log.info(
                    "worker started", queues=self.queues, url=redacted(self._store.settings.url)
                )
                await self._until_stopped(parts)
                await self._wind_up(parts)
        finally:
            await parts.children.close(self._patience)
            await self._run_shutdown_hooks()
            await self._leave(parts.backend)
            log.info("worker stopped", jobs=parts.board.done)

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Self]:
        """Run beside a block; a worker that fails cancels it. What either of them raises comes out as it is."""
        raised: BaseException | None = None
        failed: BaseExceptionGroup | None = None
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.run(), name="queuekit worker")
                try:
                    yield self
                except BaseException as error:
                    raised = error
                    raise
                finally:
                    self.orders.finish()
                    await asyncio.shield(running)
        except BaseExceptionGroup as found:
            failed = found
        if failed is not None:
            raise _own_error(raised, failed)

    async def _until_stopped(self, parts: Parts) -> None:
        if not self._options.burst:
            await self.orders.finish_asked.wait()
            return
        await first_of(self.orders.finish_asked.wait(), parts.fetcher.found_nothing.wait())

    async def _wind_up(self, parts: Parts) -> None:
        """Begin nothing more, finish or interrupt what runs, and tell the store all that came of it."""
        parts.board.stopping.set()
        parts.fetcher.give_back()
        await self._finish_running(parts)
        await self._end_running(parts)
        await self._settle_all(parts)
        await self._run_shutdown_hooks()
        await self._give_back_unstoppable(parts)

    async def _finish_running(self, parts: Parts) -> None:
        running, grace = parts.board.running, self._options.grace
        if running:
            log.info("waiting for running jobs", jobs=named(running), grace=grace)
        await self._until(lambda: not running or self.orders.now_asked.is_set(), grace)

    async def _end_running(self, parts: Parts) -> None:
        running = parts.board.running
        interrupted = list(running)
        for run in interrupted:
            run.interrupt(Interruption.SHUTDOWN)
        await self._until(lambda: not running, self._patience)
        await parts.children.end_busy()
        for run in list(running):
            parts.board.abandon(run)
        await self._until(
            lambda: not (parts.children.busy or any(run.abandoned for run in running)), LAST_SECOND
        )
        if interrupted:
            log.info(
                "interrupted jobs that did not finish in time; what was not done runs again",
                jobs=named(interrupted),
            )

    @property
    def _patience(self) -> float:
        """Seconds for what was told to end."""
        return HURRIED if self.orders.now_asked.is_set() else LAST_SECOND

    async def _settle_all(self, parts: Parts) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                await parts.acker.settled_all.wait()
        except TimeoutError:
            log.error(
                "the server could not be told what has ended; those jobs run again",
                acker=repr(parts.acker),
            )

    async def _give_back_unstoppable(self, parts: Parts) -> None:
        """Last of all, as nothing can stop a thread: it goes on to run until the process ends."""
        left = parts.board.running
        if not left:
            return
        log.error(
            "threads can't be stopped: their jobs run again elsewhere, and here until the process ends",
            jobs=named(left),
        )
        for run in left:
            parts.acker.add(Return(run.claim.token, ReturnKind.RELEASE))
        await self._settle_all(parts)

    async def _run_shutdown_hooks(self) -> None:
        """Each gets its share of the time: one that hangs keeps neither the others from running nor the worker."""
        if self._shut_down:
            return
        self._shut_down = True
        hooks = self._tasks.hooks("shutdown")
        for hook in hooks:
            share = LAST_WORDS / len(hooks)
            if not await ended_within(share, call(hook), "queuekit shutdown hook"):
                log.error("a shutdown hook did not end; it is not waited for", hook=described(hook))

    async def _leave(self, backend: Backend) -> None:
        try:
            await backend.absent(self.process)
        except (BackendUnavailable, BackendRefused):
            log.warning("the server could not be told that this worker leaves")

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not done() and loop.time() < end:  # noqa: ASYNC110  # of several conditions
            await asyncio.sleep(0.01)


def _own_error(raised: BaseException | None, failed: BaseExceptionGroup) -> BaseException:
    """What a block beside a worker has raised, else what the worker has, without the groups around a single error."""
    of_worker = [_alone(error) for error in failed.exceptions if error is not raised]
    if raised is None or isinstance(raised, asyncio.CancelledError):
        return of_worker[0]
    if of_worker:
        raised.add_note(f"The worker beside it failed, too: {of_worker[0]!r}")
    return raised


def _alone(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        (error,) = error.exceptions
    return error
