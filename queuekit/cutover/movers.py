"""Movers: they bring what waits, and what has failed, from the passive side to the active one (rule 11)."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from queuekit.backend import Copy, Kind, Stamp
from queuekit.cutover import rules
from queuekit.cutover.acts import Bounds, Wanted, carry_out, swap
from queuekit.cutover.pair import ACT_WITHIN, Pair
from queuekit.cutover.phase import View
from queuekit.errors import BackendRefused
from queuekit.job import JobRef
from queuekit.log import Repeated

AT_ONCE: Final = 500


class Movers:
    """Moves jobs of a pair; any number of processes may do so at once, and any may die between two steps."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._refused = Repeated("the active side of a cutover does not take a job; it waits there")
        self._cursors: dict[tuple[str, Kind], str | None] = {}

    async def move(self, queue: str, view: View, kind: Kind) -> int:
        """Bring a page of copies of a kind; how many copies were there to be brought."""
        side = self._pair.sides[view.passive]
        cursor = self._cursors.get((queue, kind))
        page = await side.page(queue, kind, cursor=cursor, limit=AT_ONCE)
        self._cursors[queue, kind] = page.cursor
        ours = [one for one in page.copies if one.record is None or one.record.job.key is None]
        await self.bring(ours, view)
        return len(ours)

    async def bring(self, copies: Sequence[Copy], view: View) -> None:
        """Take these, import them, and release what was imported."""
        until = [self._pair.moment(side) + ACT_WITHIN for side in (0, 1)]
        here = self._pair.sides[view.passive]
        takes = [(one, new) for one in copies if (new := rules.taken(one, view.epoch)) is not None]
        taken = await swap(here, *_two(takes), Bounds(view.epoch))
        imported = await self._import(taken, Bounds(view.epoch, until[view.active]), view)
        left = [(one, rules.released(one)) for one in imported]
        await swap(here, *_two(left), Bounds(view.epoch, until[view.passive]))

    async def _import(self, taken: Sequence[Copy], bounds: Bounds, view: View) -> list[Copy]:
        """Those that the active side has now; one that it can't store stays behind, and its companions do not."""
        side = self._pair.sides[view.active]
        wanted: dict[JobRef, Wanted] = {}
        for one in taken:
            record = rules.whole(one)
            likely = Stamp(Kind.HELD, one.stamp.generation)
            wanted[one.ref] = Wanted(partial(rules.imported, job=record), likely)
        try:
            refused = await carry_out(side, wanted, bounds)
        except BackendRefused as error:
            if len(taken) == 1:
                self._refused.happened(error)
                return []
            half = len(taken) // 2
            return [
                *await self._import(taken[:half], bounds, view),
                *await self._import(taken[half:], bounds, view),
            ]
        return [one for one in taken if one.ref not in refused]


def _two(pairs: Sequence[tuple[Copy, Copy]]) -> tuple[list[Copy], list[Copy]]:
    return [one for one, _ in pairs], [new for _, new in pairs]
