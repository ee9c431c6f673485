"""Outcomes on their way to the store."""

import asyncio
from collections.abc import Iterator, Sequence

from queuekit.backend import Change, Changes, Refusal
from queuekit.job import Ack, Return, ReturnKind, Token
from queuekit.log import log
from queuekit.worker import journal
from queuekit.worker.board import Board


class Acker:
    """Collects outcomes; the fetcher takes them along, and says what became of them."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.waiting: list[Ack | Return] = []
        self.sent: Sequence[Ack | Return] = ()
        """taken and not answered yet"""
        self.settled_all = asyncio.Event()
        self.settled_all.set()

    def __repr__(self) -> str:
        return f"<Acker: {len(self.waiting)} waiting, {len(self.sent)} sent>"

    def add(self, outcome: Ack | Return) -> None:
        """An outcome to settle."""
        if not self.waiting:
            self.settled_all.clear()
        self.waiting.append(outcome)
        self._board.changed.set()

    def take(self) -> Sequence[Ack | Return]:
        """All that waits, to be settled in one call; `settled` or `put_back` must follow."""
        self.sent, self.waiting = self.waiting, []
        return self.sent

    def settled(self, changes: Changes) -> None:
        """What became of those taken."""
        for place, change in changes.odd.items():
            self._explain(self.sent[place], change)
        self.sent = ()
        if not self.waiting:
            self.settled_all.set()

    def put_back(self) -> None:
        """They could not be delivered, or no answer came: they are sent again."""
        self.waiting = [*self.sent, *self.waiting]
        self.sent = ()

    def tokens(self) -> Iterator[Token]:
        """Of outcomes not settled yet: their leases must not lapse meanwhile."""
        for outcome in (*self.sent, *self.waiting):
            yield outcome.token

    def _explain(self, outcome: Ack | Return, change: Change) -> None:
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
                "the server would not store the result; the job has failed (invalid_result)",
                job_id=job,
            )
