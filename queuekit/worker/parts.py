"""The parts of one running worker, put together."""

import os
import socket
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version

from queuekit.backend import Backend, Presence
from queuekit.location import location_of
from queuekit.options import micros
from queuekit.recurrence import zone_data
from queuekit.registry import redacted
from queuekit.store import Store
from queuekit.tasks import Tasks
from queuekit.worker.board import Board
from queuekit.worker.children import Children
from queuekit.worker.doorbell import Doorbell
from queuekit.worker.executor import Executor, enqueued_at
from queuekit.worker.fetcher import Fetcher
from queuekit.worker.heartbeat import Heartbeat
from queuekit.worker.options import WorkerOptions
from queuekit.worker.outage import Outage
from queuekit.worker.outbox import Outbox
from queuekit.worker.reporter import Reporter
from queuekit.worker.slots import Slots
from queuekit.worker.steps import Clean
from queuekit.worker.ticker import Ticker
from queuekit.worker.upkeep import Upkeep


class Parts:
    """Everything that a worker consists of while it runs.

    Attributes:
        loops: what goes on beside the slots for as long as the worker runs.
    """

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        options: WorkerOptions,
        backend: Backend,
        queues: Sequence[str],
        process: str,
    ) -> None:
        self.backend = backend
        self.presence = presence = Presence(
            process=process,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("queuekit"),
            queues=queues,
            concurrency=options.concurrency,
            backends=(redacted(store.settings.url),),
            zone_data=zone_data(),
        )
        self.reporter = Reporter(backend)
        self.board = board = Board(self.reporter, options.concurrency, options.lease)
        self.outbox = Outbox(board, tasks)
        self.outage = Outage(self._probe)
        self.doorbell = Doorbell(backend, queues, board, self.outage, process)
        self.children = Children(lambda: location_of(tasks), board, options.children)
        self.fetcher = Fetcher(
            backend,
            queues,
            board,
            self.outbox,
            self.outage,
            self.doorbell,
            process=process,
            lease=micros(options.lease),
            free_children=lambda: self.children.free,
            burst=options.burst,
        )
        self.heartbeat = Heartbeat(backend, board, self.outbox, self.outage, self.doorbell.rung)
        self.ticker = Ticker(backend, queues, self.outage)
        self.upkeep = Upkeep(
            backend,
            queues,
            board,
            self.fetcher,
            self.outage,
            presence,
            self.ticker,
            tasks.shortest_lease(options.lease),
        )
        clean = Clean()
        executor = Executor(
            tasks, board, options.threads, self.children, partial(enqueued_at, backend), clean
        )
        self.slots = Slots(board, executor, self.reporter, self.outbox, clean)
        self.loops = (
            self.outage.run,
            self.heartbeat.run,
            self.upkeep.run,
            self.ticker.run,
            self.doorbell.run,
            self.fetcher.run,
            self.reporter.run,
        )

    async def _probe(self) -> None:
        """Succeed if the server is back; before anything else, claims that were not received go back."""
        await self.backend.present(self.presence)
        await self.fetcher.give_back_unreceived()
