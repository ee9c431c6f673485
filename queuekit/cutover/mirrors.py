"""Mirrors at the passive side: held copies of what was enqueued, tombstones of what has ended."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from queuekit.backend import ABSENT, Change, Kind, Stamp
from queuekit.backend.model import enqueued
from queuekit.cutover import rules
from queuekit.cutover.acts import Bounds, Wanted, carry_out
from queuekit.cutover.pair import ACT_WITHIN, AWAY, Pair
from queuekit.cutover.phase import View
from queuekit.job import FINISHED, Job, JobRef
from queuekit.log import Repeated
from queuekit.loops import start

AT_ONCE: Final = 500
MOST_WAITING: Final = 50_000
"""Ends that wait to be told to the other side; beyond that repair finds them."""


class End(NamedTuple):
    """A job has ended at a side."""

    ref: JobRef
    generation: int
    side: int


class Mirrors:
    """Keeps the passive side's copies up to date, as far as it can be reached: repair does the rest."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._ends: list[End] = []
        self._teller: asyncio.Task[None] | None = None
        self._away = Repeated("the passive side of the cutover does not take mirrors; repair will")

    async def hold(self, jobs: Sequence[Job[Any]], view: View, *, strict: bool) -> None:
        """Mirror jobs that were just stored at the active side (rule 6).

        Raises:
            BackendUnavailable, BackendRefused: the passive side does not take them, and `strict` asks for it.
        """
        if not view.mirrored or not jobs or (self._pair.rests(view.passive) and not strict):
            return
        try:
            now = self._pair.moment(view.active)
            bounds = Bounds(view.epoch, self._pair.moment(view.passive) + ACT_WITHIN)
            mirrors = [rules.mirror_of(enqueued(job, now)) for job in jobs]
            wanted = {one.ref: Wanted(partial(rules.held, mirror=one), ABSENT) for one in mirrors}
            await carry_out(self._pair.sides[view.passive], wanted, bounds)
        except AWAY as error:
            self._pair.rest(view.passive)
            if strict:
                raise
            self._away.happened(error)
        else:
            self._away.over()

    async def hold_again(self, refs: Sequence[JobRef], view: View) -> None:
        """Write the mirrors of jobs anew, as they are at the active side now."""
        records = await self._pair.backends[view.active].inspector.get(refs)
        if view.mirrored:
            mirrors = [rules.mirror_of(one) for one in records if one and not one.finished]
            wanted = {one.ref: Wanted(partial(rules.held_again, mirror=one)) for one in mirrors}
            until = self._pair.moment(view.passive) + ACT_WITHIN
            await carry_out(self._pair.sides[view.passive], wanted, Bounds(view.epoch, until))

    def ended(self, changes: Iterable[Change], side: int) -> None:
        """Jobs have come to their end at a side: tell the other one (rule 12), in a while."""
        ends = [End(one.ref, one.generation, side) for one in changes if one.now in FINISHED]
        self._ends += ends[: MOST_WAITING - len(self._ends)]
        if self._ends and (self._teller is None or self._teller.done()):
            self._teller = start(self._tell(), "queuekit ends")

    async def close(self) -> None:
        """Tell what waits."""
        if self._teller is not None:
            with suppress(asyncio.CancelledError):
                await self._teller

    async def _tell(self) -> None:
        while self._ends:
            batch, self._ends = self._ends[:AT_ONCE], self._ends[AT_ONCE:]
            try:
                for side in (0, 1):
                    await self._tell_side(1 - side, [one for one in batch if one.side == side])
            except AWAY as error:
                self._away.happened(error)
            else:
                self._away.over()

    async def _tell_side(self, side: int, ends: Sequence[End]) -> None:
        views = await self._pair.views({one.ref.queue for one in ends})
        by_epoch: dict[int, list[End]] = {}
        for one in ends:
            gate = views[one.ref.queue][side]
            if gate is not None and not gate.shut:
                by_epoch.setdefault(gate.epoch, []).append(one)
        for epoch, some in by_epoch.items():
            wanted = {
                one.ref: Wanted(
                    partial(rules.settled, generation=one.generation),
                    Stamp(Kind.HELD, one.generation),
                )
                for one in some
            }
            until = self._pair.moment(side) + ACT_WITHIN
            await carry_out(self._pair.sides[side], wanted, Bounds(epoch, until))
