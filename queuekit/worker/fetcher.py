"""The exchange with the store: claim jobs for free slots, and settle what has ended in the same call."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

from queuekit.backend import Ask, Backend, Fetched
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.job import Ack, Claimant, Micros, Return, ReturnKind
from queuekit.lifecycle import Released
from queuekit.log import Repeated
from queuekit.worker import journal
from queuekit.worker.board import Board
from queuekit.worker.claiming import Do, Known, Step, decide
from queuekit.worker.doorbell import Doorbell
from queuekit.worker.outage import Outage
from queuekit.worker.outbox import Outbox
from queuekit.worker.run import Run, name_of

GATHER_FOR: Final = 0.03
"""Seconds that outcomes wait at most for the next claim."""
REFUSED_PAUSE: Final = 1.0


class Fetcher:
    """Claims jobs for free slots and a little beyond, and takes outcomes along.

    Args:
        free_children: how many suspects could begin now.
        burst: look again after each end of a job, and say when there is nothing left.

    Attributes:
        found_nothing: set when a burst has nothing left to run.
    """

    def __init__(
        self,
        backend: Backend,
        queues: Sequence[str],
        board: Board,
        outbox: Outbox,
        outage: Outage,
        doorbell: Doorbell,
        *,
        process: str,
        lease: Micros,
        free_children: Callable[[], int],
        burst: bool = False,
    ) -> None:
        self._backend = backend
        self._queues = queues
        self._board = board
        self._outbox = outbox
        self._outage = outage
        self._doorbell = doorbell
        self._process = process
        self._lease = lease
        self._free_children = free_children
        self._burst = burst
        self._gathered = False
        self._refused = Repeated("the server refuses to serve jobs; trying again")
        self._claims = 0
        self._under_way: int | None = None
        """number of the claim whose answer is not here yet"""
        self.found_nothing = asyncio.Event()

    async def run(self) -> None:
        """Decide, act, and note what came; for ever.

        Raises:
            StoreGone: there is nothing to serve any more.
        """
        board = self._board
        while True:
            step = decide(self._known())
            board.refill_at = step.refill_at
            match step.do:
                case Do.CLAIM | Do.SETTLE:
                    await self._call(step)
                case Do.GATHER:
                    await self._gather()
                case Do.WAIT_FOR_SERVER:
                    await self._outage.over.wait()
                case Do.WAIT_FOR_WORK | Do.WAIT_FOR_SLOT:
                    await board.next_change()
                case Do.STOP:
                    self.found_nothing.set()
                    await board.next_change()

    def give_back_unbegun(self, older_than: float = 0.0) -> None:
        """Release claims that found no slot for so many seconds."""
        now = monotonic()
        while self._board.buffer and now - self._board.buffer[0].claimed_at >= older_than:
            run = self._board.buffer.popleft()
            self._outbox.settle(run, Released())
        if not self._board.buffer:
            self._board.pace.emptied(now)

    async def give_back_unreceived(self) -> None:
        """Release what was claimed for us in calls whose reply was lost."""
        leases = await self._backend.leases(self._process)
        known = {name_of(run.claim.token) for run in self._board.held()}
        known |= {name_of(token) for token in self._outbox.tokens()}
        for held in leases:
            if held.number != self._under_way and name_of(held.token) not in known:
                self._outbox.add(Return(held.token, ReturnKind.RELEASE))

    def _known(self) -> Known:
        board = self._board
        return Known(
            concurrency=board.concurrency,
            free=board.free,
            claimed=len(board.buffer),
            queued_inside=board.queued_inside,
            pace=board.pace.per_second(monotonic(), board.done),
            free_children=self._free_children(),
            outcomes=len(self._outbox.waiting),
            gathered=self._gathered,
            queues_empty=self._doorbell.for_work,
            stopping=board.stopping.is_set(),
            outage=not self._outage.over.is_set(),
            burst=self._burst,
        )

    async def _gather(self) -> None:
        self._board.refill.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_FOR):
                await self._board.refill.wait()
        self._gathered = True

    async def _call(self, step: Step) -> None:
        """One round trip; outcomes that were not delivered, or got no answer, are sent again."""
        self._gathered = False
        outcomes, asked_at = self._outbox.take(), monotonic()
        try:
            fetched = await self._fetch(step, outcomes)
        except BackendUnavailable as error:
            self._outbox.put_back()
            self._outage.begin(error)
        except StoreGone:
            raise
        except BackendRefused as error:
            self._outbox.put_back()
            self._refused.happened(error)
            await asyncio.sleep(REFUSED_PAUSE)
        else:
            self._refused.over()
            self._note(step, outcomes, fetched, asked_at)

    async def _fetch(self, step: Step, outcomes: Sequence[Ack | Return]) -> Fetched:
        self._claims += 1
        self._under_way = self._claims
        try:
            ask = Ask(
                self._queues if step.limit else (),
                step.limit,
                Claimant(self._process, self._claims),
                self._lease,
                step.suspects,
            )
            return await self._backend.fetch(ask, settle=outcomes)
        finally:
            self._under_way = None

    def _note(
        self, step: Step, outcomes: Sequence[Ack | Return], fetched: Fetched, asked_at: float
    ) -> None:
        board = self._board
        self._outbox.settled(fetched.settled)
        for change in fetched.expired:
            journal.tell_end(change)
        board.deliver([Run(board, claim, asked_at) for claim in fetched.claims])
        if self._burst and outcomes:
            self._doorbell.listen(for_work=False)  # those jobs may have enqueued others
        elif step.limit:
            empty = len(fetched.claims) < step.limit and not any(map(_goes_back, outcomes))
            self._doorbell.listen(for_work=empty)
        if board.stopping.is_set():
            self.give_back_unbegun()


def _goes_back(outcome: Ack | Return) -> bool:
    """Whether the job may be ready again at once, without a doorbell."""
    return isinstance(outcome, Return) and outcome.kind is not ReturnKind.SNOOZE
