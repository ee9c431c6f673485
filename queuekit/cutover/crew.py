"""What goes on beside the jobs in every worker: movers, repair, and helping a flip that somebody left half-way."""

import asyncio
import random
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from queuekit.backend import Kind
from queuekit.cutover.gates import help_raise
from queuekit.cutover.movers import Movers
from queuekit.cutover.pair import AWAY, Pair
from queuekit.cutover.phase import View
from queuekit.cutover.repair import Repair
from queuekit.cutover.schedules import bring_schedules
from queuekit.errors import StoreGone
from queuekit.log import Repeated
from queuekit.loops import start

SHORT_REST: Final = 0.5
LONG_REST: Final = 4.0
"""Seconds until the next round if there was nothing to do in the last one: each time twice as long."""


class Crew:
    """Looks after the queues of a pair for as long as it is open."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._movers = Movers(pair)
        self._repair = Repair(pair)
        self._queues: set[str] = set()
        self._work: asyncio.Task[None] | None = None
        self._away = Repeated("a side of the cutover does not answer; going on when it does")
        self._broken = Repeated("a step of the cutover failed; trying again")

    def serve(self, queues: Collection[str]) -> None:
        """Look after these, too."""
        self._queues.update(queues)
        if self._work is None or self._work.done():
            self._work = start(self._run(), "queuekit cutover")

    async def close(self) -> None:
        """End it."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    async def _run(self) -> None:
        rest = SHORT_REST
        while True:
            try:
                busy = await self._round()
            except StoreGone:
                return  # whoever uses the backend hears of it, too
            except AWAY as error:
                self._away.happened(error)
                busy = False
            except Exception as error:  # noqa: BLE001  # whatever one copy says, the others must go on
                self._broken.happened(error)
                busy = False
            else:
                self._away.over()
            rest = SHORT_REST if busy else min(2 * rest, LONG_REST)
            if not busy:
                with suppress(TimeoutError):
                    async with asyncio.timeout(rest * random.uniform(0.5, 1)):
                        await self._pair.changed([*self._queues])
                        rest = SHORT_REST

    async def _round(self) -> bool:
        """A page of each queue; whether there is more to do."""
        views = await self._pair.views(self._queues)
        busy = False
        for queue in sorted(self._queues):
            if views[queue].begun:
                busy = await self._look_after(queue, views[queue]) or busy
        return busy

    async def _look_after(self, queue: str, view: View) -> bool:
        if not view.agreed:
            await help_raise(self._pair, queue, view)
            await self._pair.look([queue])
            return False
        if view.home:
            return False
        moved = await bring_schedules(self._pair, queue, view)
        moved += await self._movers.move(queue, view, Kind.LIVE)
        moved += await self._movers.move(queue, view, Kind.FAILED)
        if not moved:
            moved = await self._movers.move(queue, view, Kind.MOVING)
        return await self._repair.go_on(queue, view) or moved > 0
