"""Fires the ticks of schedules: sleeps until one is due, and stores its job. Any number of workers may do so."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from queuekit.backend import Backend, Change, Refusal
from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.failure import message_of
from queuekit.job import Micros
from queuekit.log import Repeated, log
from queuekit.plan import decide, difference
from queuekit.schedule import Firing, Schedule, ScheduleRef
from queuekit.worker.outage import Outage

LOOK_AT: Final = 500
"""Schedules that are read at once."""
AT_ONCE: Final = 250
"""Ticks of one call; while the server stores them the next ones are decided."""
SPREAD: Final = 0.02
"""Seconds over which the others come after the worker that fired last, so that most of them find that all is done."""
BROKEN_AGAIN: Final[Micros] = 60_000_000
"""After so long a schedule that can't be read here is tried again, perhaps by a worker that can."""

_Tried: TypeAlias = tuple[ScheduleRef, str, str | None]


class Ticker:
    """Fires what is due in some queues."""

    def __init__(self, backend: Backend, queues: Sequence[str], outage: Outage) -> None:
        self._schedules = backend.schedules
        self._queues = queues
        self._outage = outage
        self._due_at: float | None = None
        self._changed = asyncio.Event()
        self._refused = Repeated("the server refuses ticks of schedules")
        self._differing: set[ScheduleRef] = set()
        self._came_first = False

    def expect(self, due_in: Micros | None) -> None:
        """The next schedule is due in so long; None: none is."""
        loop = asyncio.get_running_loop()
        self._due_at = None if due_in is None else loop.time() + due_in / 1_000_000
        self._changed.set()

    async def run(self) -> None:
        """Fire what comes due, for ever."""
        while True:
            await self._until_due()
            if not self._came_first:
                await asyncio.sleep(random.uniform(0, SPREAD))
            await self._outage.over.wait()
            try:
                self.expect(await self.fire())
            except BackendUnavailable as error:
                self._outage.begin(error)
            except StoreGone:
                raise
            except BackendRefused as error:
                self._refused.happened(error)
            else:
                self._refused.over()

    async def fire(self) -> Micros | None:
        """Fire all that is due; microseconds until the next one is."""
        tried: set[_Tried] = set()
        while True:
            due = await self._schedules.due(self._queues, LOOK_AT)
            if not due.schedules:
                return due.due_in
            # One after the other they are decided, and one batch while the server has another.
            batches = (due.schedules[at : at + AT_ONCE] for at in range(0, LOOK_AT, AT_ONCE))
            await asyncio.gather(*(self._fire(some, due.now, tried) for some in batches if some))

    async def _fire(self, some: Sequence[Schedule], now: Micros, tried: set[_Tried]) -> None:
        firings = [self._decided(one, now, tried) for one in some]
        done = await self._schedules.fire(firings)
        self._came_first = all(one is not None for one in done)
        for firing, changes in zip(firings, done, strict=True):
            self._tell(firing, changes or ())

    def _decided(self, one: Schedule, now: Micros, tried: set[_Tried]) -> Firing:
        seen = (one.ref, one.rule, one.tick)
        if seen in tried:
            return self._put_off(one, now, "the store does not let its tick fire")
        tried.add(seen)
        try:
            self._warn_if_clocks_differ(one)
            return decide(one, now)
        except Exception as error:  # noqa: BLE001  # whatever its texts say, it must not stop the others
            why = "it can't be read here: is this worker's version, or its time-zone data, too old?"
            return self._put_off(one, now, f"{why} {message_of(error)}")

    def _put_off(self, one: Schedule, now: Micros, why: str) -> Firing:
        """The tick stays the next one, and is looked at again in a while."""
        log.error("a schedule is put off for a minute", **_about(one.ref), why=why)
        return Firing(one.ref, one.rule, one.tick or "", [], one.tick, now + BROKEN_AGAIN)

    def _tell(self, firing: Firing, done: Iterable[Change]) -> None:
        for (tick, _), change in zip(firing.jobs, done, strict=False):
            if change.refused is Refusal.UNSTORABLE:
                why = change.detail
                log.error("a tick made no job", **_about(firing.ref), tick=tick, why=why)

    def _warn_if_clocks_differ(self, one: Schedule) -> None:
        if one.ref not in self._differing and (how := difference(one)):
            self._differing.add(one.ref)
            log.warning(how, **_about(one.ref))

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due_at is None or self._due_at > loop.time():
            self._changed.clear()
            left = None if self._due_at is None else self._due_at - loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
        self._due_at = None


def _about(ref: ScheduleRef) -> dict[str, str]:
    """The fields of a line about a schedule."""
    return {"schedule": ref.name, "queue": ref.queue}
