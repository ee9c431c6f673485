"""The exchange with the store: settle what has ended, claim what there is, sleep when there is nothing."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from queuekit.backend import Ask, Backend, Fetched
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.job import Ack, Claimant, Micros, Return, ReturnKind
from queuekit.lifecycle import Released, settle
from queuekit.log import Repeated
from queuekit.loops import first_of
from queuekit.worker import journal
from queuekit.worker.acker import Acker
from queuekit.worker.board import Board
from queuekit.worker.link import Link
from queuekit.worker.run import Run

MOST_AT_ONCE: Final = 1_000
PREFETCH_FOR: Final = 0.05
"""Seconds of work that may be claimed beyond the free slots, at the pace at which jobs begin."""
RIDE_ALONG: Final = 0.03
"""Seconds that outcomes wait at most for the next claim."""
UNREAD_AFTER: Final = 0.5
"""Seconds after which a claimed job that found no slot is given back to others."""
SLEEP_FOR: Final = 30.0
REFUSED_PAUSE: Final = 1.0


class Fetcher:
    """Claims jobs for free slots and a little beyond, and takes outcomes along.

    Args:
        free_children: how many suspects could be run now.
        burst: look again after each end of a job, and say when there is nothing left.
    """

    def __init__(
        self,
        backend: Backend,
        queues: Sequence[str],
        board: Board,
        acker: Acker,
        link: Link,
        *,
        process: str,
        lease: Micros,
        free_children: Callable[[], int],
        burst: bool = False,
    ) -> None:
        self._backend = backend
        self._queues = queues
        self._board = board
        self._acker = acker
        self._link = link
        self._process = process
        self._lease = lease
        self._free_children = free_children
        self._burst = burst
        self._dry = False
        self._asleep_on: Sequence[str] = ()
        self._mode = asyncio.Event()
        self.woken = asyncio.Event()
        """set by each doorbell: there may be a cancel request"""
        self.found_nothing = asyncio.Event()
        self._refused = Repeated("the server refuses to serve jobs; trying again")
        self._deaf = Repeated("the server refuses to wait for jobs; polling")
        self._claims = 0
        self.under_way: int | None = None
        """number of the claim whose answer is not here yet"""

    async def exchange(self) -> None:
        """Settle and claim, for ever.

        Raises:
            StoreGone: there is nothing to serve any more.
        """
        board = self._board
        while True:
            await self._link.up.wait()
            room = self._room()
            if not room and self._acker.waiting and board.buffer:
                await self._ride_along()
                room = self._room()
            outcomes = self._acker.take()
            if not room and not outcomes:
                board.changed.clear()
                await board.changed.wait()
                continue
            try:
                await self._once(room)
            except BackendUnavailable as error:
                self._acker.put_back()
                self._link.lost(error)
            except StoreGone:
                raise
            except BackendRefused as error:
                self._acker.put_back()
                self._refused.happened(error)
                await asyncio.sleep(REFUSED_PAUSE)
            else:
                self._refused.over()

    async def doorbell(self) -> None:
        """Wait for work while there is none, and for cancel requests at all times."""
        while True:
            await self._link.up.wait()
            self._mode.clear()
            self._asleep_on = self._queues if self._dry else ()
            try:
                await first_of(
                    self._backend.wait(self._asleep_on, SLEEP_FOR, self._process), self._mode.wait()
                )
            except BackendUnavailable as error:
                self._link.lost(error)
                continue
            except StoreGone:
                raise
            except BackendRefused as error:
                self._deaf.happened(error)
                await asyncio.sleep(REFUSED_PAUSE)
            else:
                self._deaf.over()
            if not self._mode.is_set():
                self._dry = False
                self.woken.set()
                self._board.changed.set()

    def give_back(self, older_than: float = 0.0) -> None:
        """Release claims that found no slot for so many seconds."""
        now = monotonic()
        while self._board.buffer and now - self._board.buffer[0].claimed_at >= older_than:
            run = self._board.buffer.popleft()
            self._acker.add(settle(run.claim, Released()))
        if not self._board.buffer:
            self._board.pace.emptied(now)

    async def _ride_along(self) -> None:
        """While there is work here, outcomes wait a moment for the next claim: one round trip for both."""
        self._board.hungry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RIDE_ALONG):
                await self._board.hungry.wait()

    async def _once(self, room: int) -> None:
        outcomes = self._acker.sent
        asked_at = monotonic()
        fetched = await self._ask(room)
        self._acker.settled(fetched.settled)
        for change in fetched.expired:
            journal.tell_end(change)
        board = self._board
        board.deliver([Run(board, claim, asked_at) for claim in fetched.claims])
        returned = any(_goes_back(one) for one in outcomes)
        if room:
            self._set_dry(len(fetched.claims) < room and not returned)
        if self._burst:
            if outcomes:
                self._dry = False
            elif room and not fetched.claims and board.free == board.concurrency:
                self.found_nothing.set()
        if board.stopping.is_set():
            self.give_back()

    async def _ask(self, room: int) -> Fetched:
        self._claims += 1
        self.under_way = self._claims
        try:
            ask = Ask(
                self._queues if room else (),
                room,
                Claimant(self._process, self._claims),
                self._lease,
                min(room, self._free_children()) if room else 0,
            )
            return await self._backend.fetch(ask, settle=self._acker.sent)
        finally:
            self.under_way = None

    def _set_dry(self, dry: bool) -> None:
        """Dry: sleep until a doorbell."""
        self._dry = dry
        if dry and not self._asleep_on:
            self._mode.set()

    def _room(self) -> int:
        board = self._board
        if board.stopping.is_set() or self._dry or board.queued_inside:
            return 0
        pace = board.pace.per_second(monotonic(), board.done)
        ahead = board.concurrency if pace is None else int(pace * PREFETCH_FOR)
        target = min(board.free + ahead, 2 * MOST_AT_ONCE)
        # Claim when half of what is wanted is gone: batches stay large, and the next is on its way while this one runs.
        board.low = target // 2
        have = len(board.buffer)
        return min(target - have, MOST_AT_ONCE) if have <= board.low and target > have else 0


def _goes_back(outcome: Ack | Return) -> bool:
    """Whether it may be ready again at once, without a doorbell."""
    return isinstance(outcome, Return) and outcome.kind is not ReturnKind.SNOOZE
