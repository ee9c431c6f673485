"""Recurring work: what a store keeps of schedules, and the step in which their ticks become jobs."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

from queuekit.backend.changes import Change, Changes, Refusal
from queuekit.job import Job, Micros
from queuekit.schedule import OF_ANOTHER_RULE, TICKS_KEPT, Fired, Firing, Schedule, ScheduleRef


class Due(NamedTuple):
    """Schedules that are due, the longest due first.

    Attributes:
        schedules: as they are, but without the ticks that have fired (`Schedule.fired`), which decide nothing.
        now: the server's clock.
        due_in: microseconds until the next of the others is due; None: none is known to be.
    """

    schedules: Sequence[Schedule]
    now: Micros
    due_in: Micros | None


@runtime_checkable
class Schedules(Protocol):
    """What recurring work needs of a store."""

    async def schedule(self, schedules: Sequence[Schedule]) -> None:
        """Store schedules, or other rules and jobs of those that are there (see `rescheduled`).

        Rings sleepers of their queues (see `Backend.wait`): somebody has to know when the next tick is due.
        """

    async def due(self, queues: Sequence[str], limit: int) -> Due:
        """Schedules of these queues whose next tick is due, at most so many; not those that are paused."""
        ...

    async def fire(self, firings: Sequence[Firing]) -> Sequence[Changes | None]:
        """Store the jobs of ticks and move their schedules on; what became of the jobs of each, None: nothing.

        One atomic step for each: if the schedule still has this rule and this next tick, and is not paused, its jobs
        are stored as `Backend.enqueue` does, and it goes on (see `fired`), also beyond jobs that can't be stored. So
        whoever comes second does nothing: a tick makes one job.
        """
        ...

    async def get(self, refs: Sequence[ScheduleRef]) -> Sequence[Schedule | None]:
        """Schedules, in this order."""
        ...

    async def find(self, queues: Sequence[str] | None = None) -> Sequence[Schedule]:
        """All schedules of some queues (None: of all), by queue and name."""
        ...

    async def named(self, name: str) -> Sequence[Schedule]:
        """Schedules of a name, by queue."""
        ...

    async def pause(self, refs: Sequence[ScheduleRef], *, paused: bool) -> Sequence[bool]:
        """Let none of their ticks fire, or let them fire again; for each whether it is there.

        Rings sleepers if they fire again.
        """
        ...

    async def unschedule(self, refs: Sequence[ScheduleRef]) -> Sequence[bool]:
        """Remove schedules; for each whether it was there. Their jobs stay."""
        ...


def rescheduled(old: Schedule | None, new: Schedule, now: Micros) -> Schedule:
    """What is stored of a schedule if there may be one already.

    That stays paused if it is, and keeps what has fired. Under the same rule it keeps its next tick and its count, too.
    Under another one it has the new tick, and counts anew; but if it is due it keeps its tick (with `OF_ANOTHER_RULE`
    behind it), so that none is lost.
    """
    if old is None:
        return new
    kept = replace(new, paused=old.paused, fired=old.fired)
    if old.rule == new.rule:
        return replace(kept, tick=old.tick, due_at=old.due_at, count=old.count)
    if old.tick is not None and old.due_at is not None and old.due_at <= now:
        tick = old.tick.removesuffix(OF_ANOTHER_RULE) + OF_ANOTHER_RULE
        return replace(kept, tick=tick, due_at=old.due_at, count=0)
    return replace(kept, count=0)


def is_current(firing: Firing, schedule: Schedule | None) -> bool:
    """Whether a schedule is still as it was when somebody decided what fires."""
    return (
        schedule is not None
        and not schedule.paused
        and (schedule.rule, schedule.tick) == (firing.rule, firing.tick)
    )


def fired(schedule: Schedule, firing: Firing, changes: Sequence[Change], now: Micros) -> Schedule:
    """A schedule whose ticks have fired: each is noted, without a job if it made none.

    Args:
        schedule: as it was.
        firing: the ticks.
        changes: what became of their jobs.
        now: the server's clock.
    """
    new = [
        Fired(tick, now, job.id if change.done or change.refused is Refusal.KNOWN else None)
        for (tick, job), change in zip(firing.jobs, changes, strict=True)
    ]
    return replace(
        schedule,
        tick=firing.next_tick,
        due_at=firing.next_at,
        count=schedule.count + len(new),
        fired=(*schedule.fired, *new)[-TICKS_KEPT:],
    )


class KeptSchedules(ABC):
    """`Schedules` for a store that keeps them as they are; steps of others must not come between its own."""

    @abstractmethod
    async def load(self) -> Sequence[Schedule]:
        """All schedules."""

    @abstractmethod
    async def save(self, ref: ScheduleRef, schedule: Schedule | None) -> None:
        """Keep a schedule in place of the one that there may be; None: keep none."""

    @abstractmethod
    async def enqueue(self, jobs: Sequence[Job[Any]]) -> Changes:
        """As `Backend.enqueue`."""

    @abstractmethod
    async def ring(self, queues: Collection[str]) -> None:
        """Wake who serves one of these queues: it has to know when a schedule is due."""

    @abstractmethod
    def now(self) -> Micros:
        """The server's clock."""

    async def schedule(self, schedules: Sequence[Schedule]) -> None:
        """Store schedules, or other rules and jobs of those that are there."""
        for new in schedules:
            (old,) = await self.get([new.ref])
            await self.save(new.ref, rescheduled(old, new, self.now()))
        await self.ring({one.ref.queue for one in schedules})

    async def due(self, queues: Sequence[str], limit: int) -> Due:
        """Schedules of these queues whose next tick is due."""
        now = self.now()
        coming = [
            (one.due_at, one)
            for one in await self.find(queues)
            if one.due_at is not None and not one.paused
        ]
        coming.sort(key=lambda pair: pair[0])
        due = [replace(one, fired=()) for at, one in coming if at <= now][:limit]
        later = [at for at, _ in coming][len(due) :]
        return Due(due, now, max(0, later[0] - now) if later else None)

    async def fire(self, firings: Sequence[Firing]) -> Sequence[Changes | None]:
        """Store the jobs of ticks and move their schedules on."""
        return [await self._fire(firing) for firing in firings]

    async def _fire(self, firing: Firing) -> Changes | None:
        (schedule,) = await self.get([firing.ref])
        if schedule is None or not is_current(firing, schedule):
            return None
        changes = await self.enqueue([job for _, job in firing.jobs])
        await self.save(firing.ref, fired(schedule, firing, changes, self.now()))
        return changes

    async def get(self, refs: Sequence[ScheduleRef]) -> Sequence[Schedule | None]:
        """Schedules, in this order."""
        found = {one.ref: one for one in await self.load()}
        return [found.get(ref) for ref in refs]

    async def find(self, queues: Sequence[str] | None = None) -> Sequence[Schedule]:
        """All schedules of some queues, by queue and name."""
        found = [one for one in await self.load() if queues is None or one.ref.queue in queues]
        return sorted(found, key=lambda one: one.ref)

    async def named(self, name: str) -> Sequence[Schedule]:
        """Schedules of a name, by queue."""
        return [one for one in await self.find() if one.ref.name == name]

    async def pause(self, refs: Sequence[ScheduleRef], *, paused: bool) -> Sequence[bool]:
        """Let none of their ticks fire, or let them fire again."""
        found = await self.get(refs)
        for one in found:
            if one is not None:
                await self.save(one.ref, replace(one, paused=paused))
        if not paused:
            await self.ring({ref.queue for ref in refs})
        return [one is not None for one in found]

    async def unschedule(self, refs: Sequence[ScheduleRef]) -> Sequence[bool]:
        """Remove schedules."""
        found = await self.get(refs)
        for one in found:
            if one is not None:
                await self.save(one.ref, None)
        return [one is not None for one in found]
