"""Storing jobs while both sides are there: alive at the active one, then mirrored at the other."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from queuekit.backend import Change, Changes, Copy, Guard, Kind, Refusal
from queuekit.cutover.keys import KeysThere, may_be_held_there
from queuekit.cutover.mirrors import Mirrors
from queuekit.cutover.pair import AWAY, Pair
from queuekit.cutover.phase import View
from queuekit.errors import ReplyLost
from queuekit.job import FINISHED, Job, JobRef, Micros
from queuekit.loops import start
from queuekit.producer import LONGEST_PAUSE, RESEND_FOR

WITHIN: Final[Micros] = round((RESEND_FOR - LONGEST_PAUSE) * 1_000_000)
"""The deadline of an enqueue and its repeats (rule 2): over before anybody is told that the outcome is unknown."""
TRIES: Final = 20
PAUSE: Final = 0.05
"""Seconds before the gates are asked anew, as they were others than was believed."""
MOST_SENT: Final = 100_000

_NOT_TO_BE_HELD: Final = frozenset({None, *FINISHED})
"""States of what needs no mirror."""


class Sent(NamedTuple):
    """Where a job was sent whose answer was lost, and until when that side may take it."""

    side: int
    until: Micros


class Way(NamedTuple):
    """How some jobs of a batch go.

    Attributes:
        side: to which side.
        guard: in which epoch (of keys, and of ids that were not made in this very call), and until when.
        keyed: whether they have keys that the passive side may hold.
    """

    side: int
    guard: Guard
    keyed: bool = False


class Enqueuing:
    """Stores jobs of queues that are in a cutover."""

    def __init__(self, pair: Pair, mirrors: Mirrors, mirror: str) -> None:
        self._pair = pair
        self._mirrors = mirrors
        self._mirror = mirror
        self._keys = KeysThere(pair)
        self._sent: dict[JobRef, Sent] = {}
        self._holding: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Write the mirrors that nobody has waited for."""
        await asyncio.gather(*self._holding)

    async def enqueue(self, jobs: Sequence[Job[Any]]) -> Changes:
        """Store jobs; one answer each, in order."""
        odd: dict[int, Change] = {}
        left: Sequence[int] = range(len(jobs))
        views = await self._pair.views({job.options.queue for job in jobs})
        for _ in range(TRIES):
            left = await self._try(jobs, left, views, odd)
            if not left:
                return Changes(jobs, odd)
            await asyncio.sleep(PAUSE)
            views = await self._pair.look()
        raise ReplyLost("The queue is on its way from one side of its cutover to the other.")

    async def _try(
        self,
        jobs: Sequence[Job[Any]],
        places: Sequence[int],
        views: Mapping[str, View],
        odd: dict[int, Change],
    ) -> list[int]:
        """Those that came to the wrong side, or to the right one in another epoch; notes the answers to the others."""
        left: list[int] = []
        for way, some in self._ways(jobs, places, views).items():
            if way.guard.epoch is not None:
                some = await self._unknown_at_passive(jobs, some, views, odd)  # noqa: PLW2901
            if way.keyed:
                left += await self._with_keys(jobs, some, way, views, odd)
            else:
                left += await self._store(jobs, some, way, views, odd)
        return left

    async def _with_keys(
        self,
        jobs: Sequence[Job[Any]],
        places: Sequence[int],
        way: Way,
        views: Mapping[str, View],
        odd: dict[int, Change],
    ) -> list[int]:
        """The passive side is asked first who holds the keys there (rule 19)."""
        left: list[int] = []
        there, here = await self._keys.sorted([(n, jobs[n]) for n in places], views, odd, left)
        passive = way._replace(side=1 - way.side)
        for some, towards in ((there, passive), (here, way)):
            left += await self._store(jobs, some, towards, views, odd)
        return left

    async def _store(
        self,
        jobs: Sequence[Job[Any]],
        places: Sequence[int],
        way: Way,
        views: Mapping[str, View],
        odd: dict[int, Change],
    ) -> list[int]:
        if not places:
            return []
        changes = await self._send([jobs[n] for n in places], way)
        left: list[int] = []
        stored: list[Job[Any]] = []
        replaced: list[JobRef] = []
        for n, change in zip(places, changes, strict=True):
            if change.refused in {Refusal.STALE, Refusal.MOVED}:
                left.append(n)
                continue
            if changes.odd:
                odd[n] = change
            if change.holder is not None and change.done:
                replaced.append(change.ref)
            elif change.now not in _NOT_TO_BE_HELD and change.refused in {None, Refusal.KNOWN}:
                stored.append(jobs[n])
        if way.side == views[jobs[places[0]].options.queue].active:
            await self._hold(stored, views)
            await self._hold_again(replaced, views)
        return left

    async def _hold_again(self, refs: Sequence[JobRef], views: Mapping[str, View]) -> None:
        """The mirror of a job whose payload was replaced is written anew (rule 20)."""
        for ref in refs:
            with suppress(*AWAY):
                await self._mirrors.hold_again([ref], views[ref.queue])

    def _ways(
        self, jobs: Sequence[Job[Any]], places: Sequence[int], views: Mapping[str, View]
    ) -> dict[Way, list[int]]:
        ways: dict[Way, list[int]] = {}
        until = {
            side: self._pair.moment(side) + WITHIN for side in {v.active for v in views.values()}
        }
        for n in places:
            job = jobs[n]
            view = views[job.options.queue]
            sent = self._sent.get(job.ref) if self._sent else None
            if sent is not None and self._pair.moment(sent.side) <= sent.until:
                way = Way(sent.side, Guard(None, sent.until))
            else:
                fenced = view.begun and (job.key is not None or not job.fresh)
                guard = Guard(view.epoch if fenced else None, until[view.active])
                way = Way(view.active, guard, may_be_held_there(job, view))
            ways.setdefault(way, []).append(n)
        return ways

    async def _send(self, jobs: Sequence[Job[Any]], way: Way) -> Changes:
        """A repeat within the same call goes to the same side, and by the same deadline (rule 6)."""
        sent = Sent(way.side, way.guard.until)
        try:
            changes = await self._pair.sides[way.side].enqueue(jobs, way.guard)
        except BaseException:
            self._remember(jobs, sent)
            raise
        if any(change.refused is Refusal.LATE for change in changes.odd.values()):
            raise ReplyLost("Nobody knows whether the first sending was carried out.")
        if self._sent:
            for job in jobs:
                self._sent.pop(job.ref, None)
        return changes

    def _remember(self, jobs: Sequence[Job[Any]], sent: Sent) -> None:
        """Where these were sent, if their ids were made in this very call; what is over is forgotten."""
        if len(self._sent) >= MOST_SENT:
            self._sent = {
                ref: one
                for ref, one in self._sent.items()
                if self._pair.moment(one.side) <= one.until
            }
        if len(self._sent) < MOST_SENT:
            self._sent |= {job.ref: sent for job in jobs if job.fresh or job.ref in self._sent}

    async def _unknown_at_passive(
        self,
        jobs: Sequence[Job[Any]],
        places: Sequence[int],
        views: Mapping[str, View],
        odd: dict[int, Change],
    ) -> list[int]:
        """Those of which the passive side, which is asked first, has nothing (rule 7)."""
        known: dict[JobRef, Copy] = {}
        asked = [n for n in places if not jobs[n].fresh]
        for passive in (0, 1):
            refs = [jobs[n].ref for n in asked if views[jobs[n].options.queue].passive == passive]
            copies = await self._pair.sides[passive].look(refs) if refs else []
            found = [one.ref for one in copies if one.stamp.kind is not Kind.ABSENT]
            # What it has a mirror of, or nothing but the id, the other side knows better.
            better = await self._pair.sides[1 - passive].look(found) if found else []
            known |= {one.ref: one for one in copies if one.stamp.kind is not Kind.ABSENT}
            known |= {one.ref: one for one in better if one.record is not None}
        odd |= {n: _known(known[jobs[n].ref]) for n in places if jobs[n].ref in known}
        return [n for n in places if jobs[n].ref not in known]

    async def _hold(self, stored: Sequence[Job[Any]], views: Mapping[str, View]) -> None:
        by_view: dict[View, list[Job[Any]]] = {}
        for job in stored:
            by_view.setdefault(views[job.options.queue], []).append(job)
        for view, some in by_view.items():
            holding = self._mirrors.hold(some, view, strict=self._mirror == "strict")
            if self._mirror == "async":
                task = start(holding, "queuekit mirrors")
                self._holding.add(task)
                task.add_done_callback(self._holding.discard)
                continue
            try:
                await holding
            except AWAY as error:
                raise ReplyLost(
                    'The other side of the cutover does not take the mirror (mirror="strict").'
                ) from error


def _known(copy: Copy) -> Change:
    state = copy.record.state if copy.record else None
    generation = copy.stamp.generation if copy.record else 0
    return Change(copy.ref, state, state, generation, Refusal.KNOWN)
