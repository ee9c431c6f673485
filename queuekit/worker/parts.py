"""The parts of one running worker, put together."""

import os
import socket
from collections.abc import Sequence
from importlib.metadata import version

from queuekit.backend import Backend, Presence
from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.job import Return, ReturnKind
from queuekit.lifecycle import Outcome, Succeeded, settle
from queuekit.location import location_of
from queuekit.options import micros
from queuekit.registry import redacted
from queuekit.store import Store
from queuekit.tasks import Tasks
from queuekit.worker import journal
from queuekit.worker.acker import Acker
from queuekit.worker.board import Board
from queuekit.worker.doorbell import Doorbell
from queuekit.worker.executor import Executor
from queuekit.worker.fetcher import Fetcher
from queuekit.worker.heartbeat import Heartbeat, name_of
from queuekit.worker.isolated import Children
from queuekit.worker.link import Link
from queuekit.worker.options import WorkerOptions
from queuekit.worker.reporter import Reporter
from queuekit.worker.run import Run
from queuekit.worker.slots import Slots
from queuekit.worker.steps import Clean
from queuekit.worker.upkeep import Upkeep


class Parts:
    """Everything that a worker consists of while it runs.

    Attributes:
        loops: what must go on as long as the worker runs.
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
        self.reporter = Reporter(backend)
        self.board = board = Board(self.reporter, options.concurrency, options.lease)
        self.acker = acker = Acker(board)
        self.children = Children(lambda: location_of(tasks), board, options.children)
        self.link = Link(lambda: backend.present(presence), self._give_back_strays)
        doorbell = Doorbell(backend, queues, board, self.link, process)
        self.fetcher = Fetcher(
            backend,
            queues,
            board,
            acker,
            self.link,
            doorbell,
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
            backends=(redacted(store.settings.url),),
        )
        heartbeat = Heartbeat(backend, board, acker, self.link, doorbell.rung)
        upkeep = Upkeep(
            backend, queues, board, self.fetcher, self.link, presence, self._give_back_strays
        )
        clean = Clean()
        executor = Executor(tasks, board, options.threads, self.children, self._enqueued_at, clean)
        self.slots = Slots(board, executor, self.reporter, clean, self._settle)
        self._tasks = tasks
        self._process = process
        self.loops = (
            self.link.run,
            heartbeat.run,
            upkeep.run,
            doorbell.run,
            self.fetcher.run,
            self.reporter.run,
        )

    def _settle(self, run: Run, outcome: Outcome) -> None:
        claim = run.claim
        task = self._tasks.get(claim.task)
        settled = settle(claim, outcome, task.policy.keep if task else None)
        self.acker.add(settled)
        if type(outcome) is not Succeeded:
            journal.tell(claim, outcome, settled)

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
            (record,) = await self.backend.inspector.get([token.ref])
        except (BackendUnavailable, BackendRefused):
            record = None  # it is asked again after the next claim
        return record.enqueued_at if record else token.delivery * 1_000
