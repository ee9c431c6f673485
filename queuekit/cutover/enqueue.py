"""Storing jobs while both sides are there: alive at the active one, then mirrored at the other."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from queuekit.backend import Change, Changes, Copy, Guard, Kind, Refusal
from queuekit.cutover.mirrors import Mirrors
from queuekit.cutover.pair import AWAY, Pair
from queuekit.cutover.phase import View
from queuekit.errors import InvalidOption, ReplyLost
from queuekit.job import Job, JobRef, Micros
from queuekit.producer import LONGEST_PAUSE, RESEND_FOR

WITHIN: Final[Micros] = round((RESEND_FOR - LONGEST_PAUSE) * 1_000_000)
"""The deadline of an enqueue and its repeats (rule 2): over before anybody is told that the outcome is unknown."""
TRIES: Final = 20
PAUSE: Final = 0.05
"""Seconds before the gates are asked anew, as they were others than was believed."""
MOST_SENT: Final = 100_000


class Sent(NamedTuple):
    """Where a job was sent whose answer was lost, and until when that side may take it."""

    side: int
    until: Micros


class Way(NamedTuple):
    """How some jobs of a batch go.

    Attributes:
        side: to which side.
        guard: in which epoch (of ids that were not made in this very call), and until when.
    """

    side: int
    guard: Guard


class Enqueuing:
    """Stores jobs of queues that are in a cutover."""

    def __init__(self, pair: Pair, mirrors: Mirrors, mirror: str) -> None:
        self._pair = pair
        self._mirrors = mirrors
        self._mirror = mirror
        self._sent: dict[JobRef, Sent] = {}
        self._holding: set[asyncio.Task[None]] = set()

    async def enqueue(self, jobs: Sequence[Job[Any]]) -> Changes:
        """Store jobs; one answer each, in order."""
        odd: dict[int, Change] = {}
        left: Sequence[int] = range(len(jobs))
        views = await self._pair.views({job.options.queue for job in jobs})
        _refuse_keys(jobs, views)
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
            changes = await self._send([jobs[n] for n in some], way)
            stored: list[Job[Any]] = []
            for n, change in zip(some, changes, strict=True):
                if change.refused in {Refusal.STALE, Refusal.MOVED}:
                    left.append(n)
                    continue
                if changes.odd:
                    odd[n] = change
                if change.now and (change.done or change.refused is Refusal.KNOWN):
                    stored.append(jobs[n])
            await self._hold(stored, views)
        return left

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
                epoch = None if job.fresh or not view.begun else view.epoch
                way = Way(view.active, Guard(epoch, until[view.active]))
            ways.setdefault(way, []).append(n)
        return ways

    async def _send(self, jobs: Sequence[Job[Any]], way: Way) -> Changes:
        """A repeat within the same call goes to the same side, and by the same deadline (rule 6)."""
        sent = Sent(way.side, way.guard.until)
        try:
            changes = await self._pair.sides[way.side].enqueue(jobs, way.guard)
        except BaseException:
            if len(self._sent) < MOST_SENT:
                self._sent |= {job.ref: sent for job in jobs if job.fresh or job.ref in self._sent}
            raise
        if any(change.refused is Refusal.LATE for change in changes.odd.values()):
            raise ReplyLost("Nobody knows whether the first sending was carried out.")
        if self._sent:
            for job in jobs:
                self._sent.pop(job.ref, None)
        return changes

    async def _unknown_at_passive(
        self,
        jobs: Sequence[Job[Any]],
        places: Sequence[int],
        views: Mapping[str, View],
        odd: dict[int, Change],
    ) -> list[int]:
        """Those of which the passive side, which is asked first, has nothing (rule 7)."""
        known: dict[JobRef, Copy] = {}
        for passive in (0, 1):
            refs = [jobs[n].ref for n in places if views[jobs[n].options.queue].passive == passive]
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
                task = asyncio.ensure_future(holding)
                self._holding.add(task)
                task.add_done_callback(self._holding.discard)
                continue
            try:
                await holding
            except AWAY as error:
                raise ReplyLost(
                    'The other side of the cutover does not take the mirror (mirror="strict").'
                ) from error


def _refuse_keys(jobs: Sequence[Job[Any]], views: Mapping[str, View]) -> None:
    """Keys are not compared over both sides yet (rules 19 and 20)."""
    for job in jobs:
        view = views[job.options.queue]
        if job.key is not None and view.begun and not view.home:
            raise InvalidOption(
                f"Task {job.task!r}: queue {job.options.queue!r} is in a cutover, which can't take jobs with keys yet"
            )


def _known(copy: Copy) -> Change:
    state = copy.record.state if copy.record else None
    generation = copy.stamp.generation if copy.record else 0
    return Change(copy.ref, state, state, generation, Refusal.KNOWN)
