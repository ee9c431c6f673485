"""Outcomes on their way to the store: decided by `queuekit.lifecycle.settle`, sent with the next call for jobs."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from queuekit.backend import Change, Changes, Refusal
from queuekit.job import Ack, Return, ReturnKind, Token
from queuekit.lifecycle import Outcome, Succeeded, settle
from queuekit.log import log
from queuekit.task import Task
from queuekit.worker import journal
from queuekit.worker.board import Board
from queuekit.worker.run import Run


class Outbox:
    """Collects what is to be settled; the fetcher takes it along, and tells what became of it.

    Attributes:
        waiting: not sent yet.
        sent: sent, and not answered yet.
        settled_all: set while there is neither.
    """

    def __init__(self, board: Board, tasks: Mapping[str, Task[..., Any]]) -> None:
        self._board = board
        self._tasks = tasks
        self.waiting: list[Ack | Return] = []
        self.sent: Sequence[Ack | Return] = ()
        self.settled_all = asyncio.Event()
        self.settled_all.set()

    def __repr__(self) -> str:
        return f"<Outbox: {len(self.waiting)} waiting, {len(self.sent)} sent>"

    def settle(self, run: Run, outcome: Outcome) -> None:
        """Decide what the outcome of a run means for its job, and log it unless it went well."""
        claim = run.claim
        task = self._tasks.get(claim.task)
        settled = settle(claim, outcome, task.policy.keep if task else None)
        self.add(settled)
        if type(outcome) is not Succeeded:
            journal.tell(claim, outcome, settled)

    def add(self, outcome: Ack | Return) -> None:
        """Send it with the next call."""
        if not self.waiting:
            self.settled_all.clear()
        self.waiting.append(outcome)
        self._board.changed.set()

    def take(self) -> Sequence[Ack | Return]:
        """All that waits, to be settled in one call; `settled` or `put_back` must follow."""
        self.sent, self.waiting = self.waiting, []
        return self.sent

    def settled(self, changes: Changes) -> None:
        """The store's answer to those taken."""
        for place, change in changes.odd.items():
            _explain(self.sent[place], change)
        self.sent = ()
        if not self.waiting:
            self.settled_all.set()

    def put_back(self) -> None:
        """Those taken were not delivered, or got no answer: they are sent again."""
        self.waiting = [*self.sent, *self.waiting]
        self.sent = ()

    def tokens(self) -> Iterator[Token]:
        """Of what is not settled yet: the leases must not lapse meanwhile."""
        for outcome in (*self.sent, *self.waiting):
            yield outcome.token


def _explain(outcome: Ack | Return, change: Change) -> None:
    job = str(outcome.token.id)
    if change.done:
        journal.tell_end(change)
    elif isinstance(outcome, Return) and outcome.kind is ReturnKind.RELEASE:
        pass  # what is not ours any more need not be given back
    elif change.refused is Refusal.LOST:
        log.warning(
            "the lease was lost before the job was settled; it runs again elsewhere", job_id=job
        )
    else:
        log.error(
            "the server would not store the result; the job has failed (invalid_result)", job_id=job
        )
