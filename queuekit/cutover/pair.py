"""What a process knows of both sides: their gates, queue by queue, and their clocks."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final, TypeVar, cast

from queuekit.backend import Backend, Gate, HasSides, Side
from queuekit.cutover.phase import View
from queuekit.errors import BackendRefused, BackendUnavailable, ConfigurationError, StoreGone
from queuekit.job import Micros
from queuekit.log import log
from queuekit.loops import start

T = TypeVar("T")

LOOK_EVERY: Final = 1.0
"""Seconds after which what is known of the gates is looked up again: so each process learns of a flip within two."""
LOOK_WITHIN: Final = 2.0
"""Seconds for which a side is waited for that does not answer."""
REST: Final = 5.0
"""Seconds for which it is left alone then."""
CLOCKS_EVERY: Final = 20.0
LIST_EVERY: Final = 20.0
"""Seconds after which the queues are listed that are in a cutover, those that nobody here has asked for among them."""
ACT_WITHIN: Final[Micros] = 15_000_000
"""The deadline of the later steps of an act, counted from its first (rule 2)."""
APART: Final[Micros] = 1_000_000
"""Clocks that differ by more are refused (rule 2)."""

AWAY: Final = (BackendUnavailable, BackendRefused, TimeoutError)
"""What a side raises that can't be reached, or does not serve."""


class Pair:
    """Two backends, the first of which serves until a queue is moved.

    Args:
        first: where the jobs are.
        second: where they are to go.

    Attributes:
        backends, sides: both, by the number of the side.

    Raises:
        ConfigurationError: one of them can take no part in a cutover.
    """

    def __init__(self, first: Backend, second: Backend) -> None:
        self.backends = (first, second)
        self.sides = (_side_of(first), _side_of(second))
        self._views: dict[str, View] = {}
        self._ahead: list[Micros | None] = [None, None]
        """of our own clock, by `time.monotonic`"""
        self._opened = [False, False]
        self._rests_until = [0.0, 0.0]
        self._looked_at = self._listed_at = float("-inf")
        self._clocks_at = [float("-inf"), float("-inf")]
        self._looking: asyncio.Task[None] | None = None
        self._turned = asyncio.Event()

    async def open(self) -> None:
        """Open both; one that can't be reached now is opened later, but without the first nothing can begin."""
        await self.backends[0].open()
        self._opened[0] = True
        try:
            await self._open_second()
        except AWAY as error:
            log.warning("the other side of the cutover can't be reached", error=str(error))
        await self.look()

    async def close(self) -> None:
        """Give back what `open` took."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        for backend in self.backends:
            await backend.close()

    async def views(self, queues: Collection[str]) -> Mapping[str, View]:
        """What is known of these queues; they are looked up at once only if nothing is."""
        if not self._views.keys() >= set(queues):
            await self.look(queues)
        elif monotonic() - self._looked_at > LOOK_EVERY and (
            self._looking is None or self._looking.done()
        ):
            self._looking = start(self._look_again(), "queuekit gates")
        return self._views

    async def look(self, queues: Iterable[str] = ()) -> Mapping[str, View]:
        """Look up these queues and all that are known, at both sides.

        Raises:
            BackendUnavailable, BackendRefused: the first side does not answer, and nothing is known of these queues.
        """
        names = [*{*self._views, *queues, *await self._gated()}]
        self._looked_at = monotonic()
        found = await asyncio.gather(*(self._gates(side, names) for side in (0, 1)))
        if None in found:
            self._keep_known(names, found)
        else:
            first, second = (cast(Sequence[Gate | None], one) for one in found)
            self._note(dict(zip(names, map(View, first, second), strict=True)))
        return self._views

    @property
    def known(self) -> Mapping[str, View]:
        """What is known of each queue that was asked for."""
        return self._views

    @property
    def begun(self) -> bool:
        """Whether a cutover of any queue was started."""
        return any(view.begun for view in self._views.values())

    @property
    def active(self) -> set[int]:
        """The sides that serve a queue."""
        return {view.active for view in self._views.values()} or {0}

    def rest(self, side: int) -> None:
        """A side that serves no queue is away: what can go on without it does, for a while."""
        self._rests_until[side] = monotonic() + REST

    def rests(self, side: int) -> bool:
        """Whether a side was away just now."""
        return monotonic() < self._rests_until[side]

    async def at_each(
        self, act: Callable[[int], Awaitable[T]], *, before: bool = False
    ) -> dict[int, T]:
        """Do something at both sides, by their numbers; what each of them gives. One that serves no queue may be away.

        Args:
            act: what is done.
            before: whether at the second one, too, before a cutover is known to have been started.
        """
        active = self.active
        given: dict[int, T] = {}
        for side in (0, 1):
            if side in active:
                given[side] = await act(side)
            elif self._counts(side, before=before):
                try:
                    given[side] = await act(side)
                except AWAY:
                    self.rest(side)
        return given

    def _counts(self, side: int, *, before: bool) -> bool:
        """Whether a side that serves no queue is to be asked."""
        wanted = self.begun or before
        return wanted and self._opened[side] and not self.rests(side)

    async def reached(self) -> list[int]:
        """The sides that are there now, as far as they count (see `at_each`)."""
        return [*await self.at_each(lambda side: self.sides[side].clock())]

    async def changed(self, queues: Collection[str]) -> None:
        """Return when the gates of these queues are others than now."""
        before = [self._views.get(queue) for queue in queues]
        while before == [self._views.get(queue) for queue in queues]:
            self._turned.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._turned.wait()
                    continue
            await self._look_again()

    def moment(self, side: int) -> Micros:
        """What the clock of a side's server says now, as far as is known.

        Raises:
            BackendUnavailable: it was not heard of yet.
        """
        ahead = self._ahead[side]
        if ahead is None:
            raise BackendUnavailable("The other side of the cutover was not reached yet.")
        return ahead + _now()

    @property
    def apart(self) -> Micros | None:
        """By how much the clocks of both servers differ; None: that is not known."""
        first, second = self._ahead
        return None if first is None or second is None else abs(first - second)

    async def _look_again(self) -> None:
        with suppress(*AWAY):
            await self.look()

    async def _gated(self) -> set[str]:
        """The queues that either side knows to be in a cutover, now and then."""
        if monotonic() - self._listed_at < LIST_EVERY:
            return set()
        self._listed_at = monotonic()
        found: set[str] = set()
        for side in (0, 1):
            with suppress(*AWAY):
                if self._opened[side]:
                    async with asyncio.timeout(LOOK_WITHIN):
                        found.update(await self.sides[side].gated())
        return found

    async def _gates(self, side: int, queues: Sequence[str]) -> Sequence[Gate | None] | None:
        """None: the side does not answer."""
        if self.rests(side):
            return None
        try:
            async with asyncio.timeout(LOOK_WITHIN):
                if side and not self._opened[side]:
                    await self._open_second()
                await self._set_clock(side)
                return await self.sides[side].gates(queues)
        except StoreGone:
            raise
        except AWAY:
            if side not in self.active:
                self.rest(side)
            return None

    async def _set_clock(self, side: int) -> None:
        if self._ahead[side] is None or monotonic() - self._clocks_at[side] > CLOCKS_EVERY:
            asked = _now()
            now = await self.sides[side].clock()
            self._ahead[side] = now - (asked + _now()) // 2
            self._clocks_at[side] = monotonic()

    async def _open_second(self) -> None:
        await self.backends[1].open()
        self._opened[1] = True

    def _keep_known(
        self, queues: Sequence[str], found: Sequence[Sequence[Gate | None] | None]
    ) -> None:
        """One side, or both, did not answer: what was known of it holds."""
        first, second = found
        if first is None and not self._views.keys() >= set(queues):
            raise BackendUnavailable("The first side of the cutover can't be reached.")
        views = {}
        for place, queue in enumerate(queues):
            known = self._views.get(queue, View())
            views[queue] = View(
                known.first if first is None else first[place],
                known.second if second is None else second[place],
            )
        self._note(views)

    def _note(self, views: Mapping[str, View]) -> None:
        if views != self._views:
            self._turned.set()
        self._views.update(views)


def _side_of(backend: Backend) -> Side:
    if not isinstance(backend, HasSides):
        raise ConfigurationError(
            f"{type(backend).__name__} can take no part in a cutover: it lacks queuekit.backend.HasSides"
        )
    return backend.side


def _now() -> Micros:
    return round(monotonic() * 1_000_000)
