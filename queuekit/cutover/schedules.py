"""Recurring work while both sides are there: schedules tick at the active side of their queue alone (rule 21)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from queuekit.backend import Change, Changes, Due, Refusal, Schedules
from queuekit.backend.model import refused
from queuekit.cutover.keys import may_be_held_there
from queuekit.cutover.pair import Pair
from queuekit.cutover.phase import View
from queuekit.job import Job
from queuekit.schedule import Firing, Schedule, ScheduleRef

T = TypeVar("T")

UNSTORABLE: Final = "\ud800"
"""A payload that no store takes: a tick whose key is held at the other side is noted, and makes no job."""


async def bring_schedules(pair: Pair, queue: str, view: View) -> int:
    """Bring the schedules of a queue from the passive side to the active one; how many.

    There they are first, and here no more after that: whoever dies between the two leaves them at both, and the passive
    side's do not tick.
    """
    here, there = (pair.backends[side].schedules for side in (view.passive, view.active))
    found = await here.find([queue])
    if found:
        await there.schedule(found)
        await here.unschedule([one.ref for one in found])
    return len(found)


class BothSchedules:
    """The schedules of both sides as one."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    async def schedule(self, schedules: Sequence[Schedule]) -> None:
        """Store schedules at the active side of their queues."""
        for side, places in (await self._by_side([one.ref for one in schedules])).items():
            await self._at(side).schedule([schedules[n] for n in places])

    async def due(self, queues: Sequence[str], limit: int) -> Due:
        """Schedules of these queues whose next tick is due; those of one side at once, as each has its own clock."""
        views = await self._pair.views(queues)
        found: list[Due] = []
        for side in {views[queue].active for queue in queues}:
            some = [queue for queue in queues if views[queue].active == side]
            found.append(await self._at(side).due(some, limit))
        if not found:
            return Due([], 0, None)
        first = max(found, key=lambda one: len(one.schedules))
        others = [one for one in found if one is not first]
        waits = [0 if one.schedules else one.due_in for one in others] + [first.due_in]
        return first._replace(due_in=min((one for one in waits if one is not None), default=None))

    async def fire(self, firings: Sequence[Firing]) -> Sequence[Changes | None]:
        """Store the jobs of ticks and move their schedules on."""
        done: dict[int, Changes | None] = {}
        for side, places in (await self._by_side([one.ref for one in firings])).items():
            held = [await self._held_there(firings[n]) for n in places]
            some = [_without(firings[n], why) for n, why in zip(places, held, strict=True)]
            for n, why, changes in zip(places, held, await self._at(side).fire(some), strict=True):
                told = {**changes.odd, **why} if changes is not None else {}
                jobs = [job for _, job in firings[n].jobs]
                done[n] = None if changes is None else Changes(jobs, told)
        return [done[n] for n in range(len(firings))]

    async def get(self, refs: Sequence[ScheduleRef]) -> Sequence[Schedule | None]:
        """Schedules, in this order."""
        found = await self._at_each(lambda one: one.get(refs))
        return [self._better(*some) for some in zip(*found.values(), strict=True)]

    async def find(self, queues: Sequence[str] | None = None) -> Sequence[Schedule]:
        """All schedules of some queues, by queue and name."""
        return self._merged(await self._at_each(lambda one: one.find(queues)))

    async def named(self, name: str) -> Sequence[Schedule]:
        """Schedules of a name, by queue."""
        return self._merged(await self._at_each(lambda one: one.named(name)))

    async def pause(self, refs: Sequence[ScheduleRef], *, paused: bool) -> Sequence[bool]:
        """Let none of their ticks fire, or let them fire again."""
        found = await self._at_each(lambda one: one.pause(refs, paused=paused))
        return [any(some) for some in zip(*found.values(), strict=True)]

    async def unschedule(self, refs: Sequence[ScheduleRef]) -> Sequence[bool]:
        """Remove schedules, wherever they are."""
        found = await self._at_each(lambda one: one.unschedule(refs))
        return [any(some) for some in zip(*found.values(), strict=True)]

    async def _held_there(self, firing: Firing) -> dict[int, Change]:
        """The refusals of its jobs whose keys are held at the passive side (rule 19), by their places."""
        view = (await self._pair.views([firing.ref.queue]))[firing.ref.queue]
        refusals: dict[int, Change] = {}
        for n, (_, job) in enumerate(firing.jobs):
            if job.key is not None and may_be_held_there(job, view):
                side = self._pair.sides[view.passive]
                (holder,) = (await side.holders(firing.ref.queue, [job.key])).holders
                if holder is not None and holder.id != job.id:
                    refusals[n] = refused(job.ref, Refusal.KEY_HELD, holder=holder.id)
        return refusals

    async def _by_side(self, refs: Sequence[ScheduleRef]) -> dict[int, list[int]]:
        views = await self._pair.views({ref.queue for ref in refs})
        places: dict[int, list[int]] = {}
        for n, ref in enumerate(refs):
            places.setdefault(views[ref.queue].active, []).append(n)
        return places

    def _merged(self, found: Mapping[int, Sequence[Schedule]]) -> list[Schedule]:
        best: dict[ScheduleRef, Schedule] = {}
        for one in chain.from_iterable(found.values()):
            before = best.get(one.ref)
            best[one.ref] = self._better(before, one) or one
        return sorted(best.values(), key=lambda one: one.ref)

    @staticmethod
    def _better(*found: Schedule | None) -> Schedule | None:
        """Of one that is at both sides, as somebody brings it over, that which has come further."""
        there = [one for one in found if one is not None]
        return max(there, key=lambda one: (one.due_at is None, one.due_at or 0), default=None)

    def _at(self, side: int) -> Schedules:
        return self._pair.backends[side].schedules

    async def _at_each(self, act: Callable[[Schedules], Awaitable[T]]) -> dict[int, T]:
        return await self._pair.at_each(lambda side: act(self._at(side)))


def _without(firing: Firing, refusals: Mapping[int, Change]) -> Firing:
    """Whose jobs at these places can't be stored."""
    jobs: list[tuple[str, Job[Any]]] = [
        (tick, job._replace(payload=UNSTORABLE, key=None) if n in refusals else job)
        for n, (tick, job) in enumerate(firing.jobs)
    ]
    return firing._replace(jobs=jobs)
