"""The worker: how it starts, serves, and winds up."""

import asyncio
import os
import socket

from queuekit.errors import ConfigurationError
from queuekit.job import new_id
from queuekit.log import log
from queuekit.loops import background, first_of
from queuekit.registry import redacted
from queuekit.schedules import store_declared
from queuekit.store import Store
from queuekit.tasks import Tasks
from queuekit.worker import forks
from queuekit.worker.journal import named
from queuekit.worker.options import WorkerOptions
from queuekit.worker.orders import Orders, on_signals
from queuekit.worker.parts import Parts
from queuekit.worker.watchdog import Watchdog
from queuekit.worker.wind_up import WindUp


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
                await store_declared(backend, self._tasks)
                parts = self._parts = Parts(
                    self._store, self._tasks, options, backend, self.queues, self.process
                )
                watchdog.board = parts.board
                await self._serve(parts)

    async def _serve(self, parts: Parts) -> None:
        """Run jobs until told to stop, then wind up; close what was opened, whatever happens."""
        wind_up = WindUp(parts, self._tasks, self.orders, self._options.grace)
        try:
            if self._options.burst:
                await parts.ticker.fire()
            async with background(*parts.loops), parts.slots:
                log.info(
                    "worker started", queues=self.queues, url=redacted(self._store.settings.url)
                )
                await self._until_stopped(parts)
                await wind_up.run()
        finally:
            await wind_up.close()
            log.info("worker stopped", jobs=parts.board.done)

    async def _until_stopped(self, parts: Parts) -> None:
        if not self._options.burst:
            await self.orders.finish_asked.wait()
            return
        await first_of(self.orders.finish_asked.wait(), parts.fetcher.found_nothing.wait())
