"""Movers: they bring what waits, and what has failed, from the passive side to the active one (rule 11)."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

from queuekit.backend import Copy, Kind, Stamp
from queuekit.cutover import rules
from queuekit.cutover.acts import Bounds, Wanted, carry_out, swap
from queuekit.cutover.pair import ACT_WITHIN, Pair
from queuekit.cutover.phase import View
from queuekit.errors import BackendRefused
from queuekit.job import JobRef, Micros
from queuekit.log import Repeated
from queuekit.record import JobRecord

AT_ONCE: Final = 500


class Taken(NamedTuple):
    """Copies that move, and are not brought over yet.

    Attributes:
        view: that the act goes by.
        moving: they, as they are at the passive side.
        jobs: what they are.
        until: the deadline of the act, by the clock of each side.
    """

    view: View = View()
    moving: Sequence[Copy] = ()
    jobs: Mapping[JobRef, JobRecord] = MappingProxyType({})
    until: Sequence[Micros] = ()


class Movers:
    """Moves jobs of a pair; any number of processes may do so at once, and any may die between two steps."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._refused = Repeated("the active side of a cutover does not take a job; it waits there")
        self._cursors: dict[tuple[str, Kind], str | None] = {}
        self._taken: dict[tuple[str, Kind], Taken] = {}

    async def move(self, queue: str, view: View, kind: Kind) -> int:
        """Take a page of copies of a kind, while those of the page before are brought over; how many these are."""
        before = self._taken.pop((queue, kind), Taken())
        taken, _ = await asyncio.gather(self._take_page(queue, view, kind), self._bring(before))
        if taken.moving:
            self._taken[queue, kind] = taken
        return len(taken.moving) + len(before.moving)

    async def bring(self, copies: Sequence[Copy], view: View) -> None:
        """Take these, import them, and release what was imported."""
        await self._bring(await self._take(copies, view))

    async def _take_page(self, queue: str, view: View, kind: Kind) -> Taken:
        side = self._pair.sides[view.passive]
        cursor = self._cursors.get((queue, kind))
        page = await side.page(queue, kind, cursor=cursor, limit=AT_ONCE)
        ours = await self._without_pairs(queue, view, page.copies)
        # What was taken is gone from there, so the next ones are where these were; behind what stays it goes on.
        all_go = cursor is None and len(ours) == len(page.copies)
        self._cursors[queue, kind] = None if all_go else page.cursor
        return await self._take(ours, view)

    async def _take(self, copies: Sequence[Copy], view: View) -> Taken:
        until = [self._pair.moment(side) + ACT_WITHIN for side in (0, 1)]
        jobs = {one.ref: rules.whole(one) for one in copies if rules.is_movable(one)}
        takes = [one for one in copies if one.ref in jobs]
        moving = [rules.taken(one, view.epoch) for one in takes]
        side = self._pair.sides[view.passive]
        taken = await swap(side, takes, moving, Bounds(view.epoch), jobs)
        return Taken(view, taken, jobs, until)

    async def _bring(self, taken: Taken) -> None:
        if taken.moving:
            view, moving, jobs, until = taken
            imported = await self._import(
                moving, jobs, Bounds(view.epoch, until[view.active]), view
            )
            left = [rules.released(one, jobs[one.ref]) for one in imported]
            side = self._pair.sides[view.passive]
            await swap(side, imported, left, Bounds(view.epoch, until[view.passive]), jobs)

    async def _without_pairs(
        self, queue: str, view: View, copies: Sequence[Copy]
    ) -> Sequence[Copy]:
        """Without those that wait for the end of another, and those whose end is waited for.

        Two of one key stay together, and run where they are: workers claim there, too.
        """
        free = [one for one in copies if one.record is None or one.record.follows is None]
        keyed = {one.record.job.key: one for one in free if one.record and one.record.job.key}
        names = [name for name in keyed if name is not None]
        if not names:
            return free
        _, holders = await self._pair.sides[view.passive].holders(queue, names)
        awaited = {holder.id for holder in holders if holder is not None and holder.followed}
        return [one for one in free if one.ref.id not in awaited]

    async def _import(
        self,
        taken: Sequence[Copy],
        jobs: Mapping[JobRef, JobRecord],
        bounds: Bounds,
        view: View,
    ) -> list[Copy]:
        """Those that the active side has now; one that it can't store stays behind, and its companions do not."""
        side = self._pair.sides[view.active]
        wanted: dict[JobRef, Wanted] = {}
        for one in taken:
            likely = Stamp(Kind.HELD, one.stamp.generation)
            wanted[one.ref] = Wanted(partial(rules.imported, job=jobs[one.ref]), likely)
        try:
            refused = await carry_out(side, wanted, bounds)
        except BackendRefused as error:
            if len(taken) == 1:
                self._refused.happened(error)
                return []
            half = len(taken) // 2
            return [
                *await self._import(taken[:half], jobs, bounds, view),
                *await self._import(taken[half:], jobs, bounds, view),
            ]
        return [one for one in taken if one.ref not in refused]
