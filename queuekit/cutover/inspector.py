"""Both stores, for people's eyes and hands."""

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Final, TypeVar
from uuid import UUID

from queuekit.backend import (
    Change,
    Inspector,
    JobFilter,
    Kind,
    QueueInfo,
    Refusal,
    WorkerInfo,
)
from queuekit.backend.base import matches
from queuekit.backend.model import refused
from queuekit.cutover import rules
from queuekit.cutover.acts import Bounds, Wanted, carry_out, pages
from queuekit.cutover.keys import may_be_held_there
from queuekit.cutover.mirrors import Mirrors
from queuekit.cutover.movers import Movers
from queuekit.cutover.pair import AWAY, Pair
from queuekit.cutover.phase import View
from queuekit.cutover.seen import Seen, seen
from queuekit.job import JobRef, State
from queuekit.lifecycle import Event, allowed
from queuekit.record import JobRecord

T = TypeVar("T")

TRIES: Final = 5
_ENDING: Final = frozenset({Event.CANCEL, Event.DRAIN, Event.DELETE, Event.CLEAN})
_GOING: Final = frozenset({Event.DELETE, Event.CLEAN})


class BothInspected:
    """What people see and do while jobs may be at either side."""

    def __init__(self, pair: Pair, mirrors: Mirrors) -> None:
        self._pair = pair
        self._mirrors = mirrors
        self._movers = Movers(pair)

    # Looking

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished, in this order."""
        both = await self._seen(refs)
        return [both[ref].record if ref in both else None for ref in refs]

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are."""
        found = await self._at_each(lambda one: one.locate(ids))
        choices = [{ref for refs in found.values() if (ref := refs[n])} for n in range(len(ids))]
        records = await self._seen([ref for some in choices for ref in some])

        def enqueued_at(ref: JobRef) -> int:
            record = records[ref].record if ref in records else None
            return record.times.enqueued_at if record else 0

        return [max(some, key=enqueued_at, default=None) for some in choices]

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first."""
        pages = await self._at_each(lambda one: one.find(where, limit=limit, after=after))
        found = [*chain.from_iterable(pages.values())]
        found += [
            one
            for one in await self._moving(where)
            if after is None or _order(one.ref) < _order(after)
        ]
        return heapq.nlargest(limit, _once(found), key=lambda one: _order(one.ref))

    async def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits, at both sides."""
        for side in await self._pair.reached():
            async for some in self._pair.backends[side].inspector.refs(where):
                yield some
        yield [one.ref for one in await self._moving(where)]

    async def queues(self) -> list[QueueInfo]:
        """All queues of both sides."""
        counts: dict[str, Counter[State]] = {}
        paused: set[str] = set()
        found = await self._at_each(lambda one: one.queues())
        for one in chain.from_iterable(found.values()):
            counts.setdefault(one.name, Counter()).update(one.counts)
            paused |= {one.name} if one.paused else set()
        for record in await self._moving(JobFilter()):
            counts.setdefault(record.ref.queue, Counter())[record.state] += 1
        return [
            QueueInfo(name=name, paused=name in paused, counts=counts[name])
            for name in sorted(counts)
        ]

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present at either side."""
        found = await self._at_each(lambda one: one.workers())
        by_name = {one.presence.process: one for one in chain.from_iterable(found.values())}
        return [*by_name.values()]

    # Steering

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        """Whether claims of these queues give nothing, at both sides (rule 15)."""
        await self._pair.views(queues)
        await self._at_each(lambda one: one.pause(queues, paused=paused))

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out an event on jobs, wherever they are; one answer each, in order."""
        views = await self._pair.views({ref.queue for ref in refs})
        answers: dict[JobRef, Change] = {}
        by_view: dict[View, list[JobRef]] = {}
        for ref in dict.fromkeys(refs):
            by_view.setdefault(views[ref.queue], []).append(ref)
        for view, some in by_view.items():
            if not view.begun:
                inspector = self._pair.backends[0].inspector
                done = await inspector.steer(event, some)
            elif event in _ENDING:
                done = await self._end(event, some, view)
            elif event is Event.RERUN:
                done = await self._rerun(some, view)
            else:
                done = await self._at_owner(event, some)
            answers |= dict(zip(some, done, strict=True))
        return [answers[ref] for ref in refs]

    async def _at_each(self, act: Callable[[Inspector], Awaitable[T]]) -> dict[int, T]:
        return await self._pair.at_each(lambda side: act(self._pair.backends[side].inspector))

    async def _end(self, event: Event, refs: Sequence[JobRef], view: View) -> list[Change]:
        """Rule 13: at the active side, at the other one, and again at the first until nothing lives there."""
        answers: dict[JobRef, Change] = {}
        todo: dict[JobRef, Seen] = {}
        for ref, one in (await self._seen(refs)).items():
            record = one.record
            if record is None:
                answers[ref] = refused(ref, Refusal.GONE)
            elif not allowed(event, record.state):
                answers[ref] = refused(record, Refusal.STATE)
            else:
                now = None if event in _GOING else State.CANCELLED
                answers[ref] = Change(ref, record.state, now, one.generation)
                todo[ref] = one
        for _ in range(TRIES):
            if not todo:
                break
            for side in (view.active, view.passive):
                await self._end_at(side, event, todo, answers, view)
            lives = await self._pair.sides[view.active].look([*todo]) if todo else []
            todo = {one.ref: todo[one.ref] for one in lives if rules.is_live(one)}
        return [answers[ref] for ref in refs]

    async def _end_at(
        self,
        side: int,
        event: Event,
        todo: dict[JobRef, Seen],
        answers: dict[JobRef, Change],
        view: View,
    ) -> None:
        if not todo:
            return
        copies = await self._pair.sides[side].look([*todo])
        here = [
            one.ref
            for one in copies
            if rules.is_live(one) or (event in _GOING and one.record is not None)
        ]
        for change in await self._pair.backends[side].inspector.steer(event, here) if here else ():
            if change.found is not None:
                answers[change.ref] = change
            if change.now is State.RUNNING or change.refused is Refusal.STATE:
                todo.pop(change.ref, None)  # its worker is asked, or it has ended by itself
        wanted = {
            one.ref: Wanted(partial(rules.cancelled, generation=todo[one.ref].generation))
            for one in copies
            if one.ref in todo and one.ref not in here
        }
        gate = view[side]
        if gate is not None:
            await carry_out(self._pair.sides[side], wanted, Bounds(gate.epoch))

    async def _rerun(self, refs: Sequence[JobRef], view: View) -> list[Change]:
        """Rule 14: at the active side alone; a record at the passive one is moved first, and a mirror follows."""
        side = self._pair.sides[view.passive]
        failed = [one for one in await side.look(refs) if one.stamp.kind is Kind.FAILED]
        await self._movers.bring(failed, view)
        inspector = self._pair.backends[view.active].inspector
        held = await self._held_there(await inspector.get(refs), view)
        free = [ref for ref in refs if ref not in held]
        done = {one.ref: one for one in await inspector.steer(Event.RERUN, free)} if free else {}
        with suppress(*AWAY):
            await self._mirrors.hold_again([ref for ref, one in done.items() if one.done], view)
        return [held.get(ref) or done[ref] for ref in refs]

    async def _held_there(
        self, records: Iterable[JobRecord | None], view: View
    ) -> dict[JobRef, Change]:
        """The refusals of those whose key another job holds at the passive side (rule 19)."""
        refusals: dict[JobRef, Change] = {}
        for one in records:
            if one is None or one.job.key is None or not may_be_held_there(one.job, view):
                continue
            side = self._pair.sides[view.passive]
            (holder,) = (await side.holders(one.ref.queue, [one.job.key])).holders
            if holder is not None and holder.id != one.job.id and allowed(Event.RERUN, one.state):
                refusals[one.ref] = refused(one, Refusal.KEY_HELD, holder=holder.id)
        return refusals

    async def _at_owner(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        answers: dict[JobRef, Change] = {}
        both = await self._seen(refs)
        for side, backend in enumerate(self._pair.backends):
            here = [ref for ref in refs if both[ref].place == side]
            if here:
                done = await backend.inspector.steer(event, here)
                answers |= dict(zip(here, done, strict=True))
        return [answers[ref] for ref in refs]

    async def _seen(self, refs: Sequence[JobRef]) -> Mapping[JobRef, Seen]:
        """What both sides have; before any cutover, of those alone that the first one has."""
        return await seen(self._pair, [*dict.fromkeys(refs)])

    async def _moving(self, where: JobFilter) -> list[JobRecord]:
        """Jobs on their way from side to side, which neither of them shows."""
        queues = [queue for queue, view in self._pair.known.items() if view.begun]
        found: list[JobRecord] = []
        for queue in queues:
            if where.queues and queue not in where.queues:
                continue
            for side in await self._pair.reached():
                async for copies in pages(self._pair.sides[side], queue, Kind.MOVING):
                    found += [rules.whole(one) for one in copies]
        return [one for one in found if matches(one, where)]


def _once(records: Iterable[JobRecord]) -> list[JobRecord]:
    """Of a job that both sides show, what is later."""
    best: dict[JobRef, JobRecord] = {}
    for one in records:
        before = best.setdefault(one.ref, one)
        if _lateness(before) < _lateness(one):
            best[one.ref] = one
    return [*best.values()]


def _lateness(record: JobRecord) -> tuple[int, bool]:
    return record.life.generation, record.finished


def _order(ref: JobRef) -> tuple[UUID, str]:
    return ref.id, ref.queue
