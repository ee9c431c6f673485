"""Recurring work: schedules, and the script in which their ticks become jobs."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final
from uuid import UUID

from queuekit.backend import Change, Changes, Due, Refusal
from queuekit.backend.model import refused, unstorable
from queuekit.job import Job
from queuekit.schedule import Fired, Firing, Schedule, ScheduleRef
from queuekit_redis.connection import Argument
from queuekit_redis.enqueue import fields_of
from queuekit_redis.rows import read_odd
from queuekit_redis.statements import Scripts, by_queue

PORTION: Final = 250
"""Schedules of one script."""
SEPARATOR: Final = b"\x1e"
NO_JOB: Final[Sequence[Argument]] = (0, *[""] * 8)
"""In place of a job that can't be stored, and of its fields."""

Raw = tuple[bytes, bytes | None, bytes | None]
"""A name, the record and the last ticks."""


class RedisSchedules:
    """Stores schedules and fires their ticks; one script a queue."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def schedule(self, schedules: Sequence[Schedule]) -> None:
        """Store schedules, or other rules and jobs of those that are there."""
        parts = list(by_queue(schedules, lambda one: one.ref.queue, PORTION))
        await self._scripts.register({queue for queue, _ in parts})
        await self._scripts.run_all(
            [
                self._scripts.call("schedules_store", queue, chain(*map(_fields, some)))
                for queue, some in parts
            ]
        )

    async def due(self, queues: Sequence[str], limit: int) -> Due:
        """Schedules of these queues whose next tick is due."""
        answers = await self._scripts.run_everywhere("schedules_due", queues, limit)
        due = [
            one
            for queue, (_, _, found) in zip(queues, answers, strict=True)
            for one in _read_all(queue, found)
        ]
        due.sort(key=lambda one: one.due_at or 0)
        times = [due_in for _, due_in, _ in answers if due_in is not None]
        times += [0] if len(due) > limit else []
        now = min((int(stamp) for stamp, _, _ in answers), default=0)
        return Due(due[:limit], now, min(times, default=None))

    async def fire(self, firings: Sequence[Firing]) -> list[Changes | None]:
        """Store the jobs of ticks and move their schedules on."""
        parts = list(by_queue(range(len(firings)), lambda n: firings[n].ref.queue, PORTION))
        calls = [
            self._scripts.call("schedules_fire", queue, chain(*(_firing(firings[n]) for n in some)))
            for queue, some in parts
        ]
        done: list[Changes | None] = [None] * len(firings)
        for (queue, some), answer in zip(parts, await self._scripts.run_all(calls), strict=True):
            for n, told in zip(some, answer, strict=True):
                if told != 0:
                    jobs = [job for _, job in firings[n].jobs]
                    done[n] = Changes(jobs, dict(read_odd(queue, told)) | _unstorable(jobs))
        return done

    async def get(self, refs: Sequence[ScheduleRef]) -> list[Schedule | None]:
        """Schedules, in this order."""
        parts = list(by_queue(dict.fromkeys(refs), lambda ref: ref.queue, PORTION))
        calls = [
            self._scripts.call("schedules_get", queue, (ref.name for ref in some))
            for queue, some in parts
        ]
        answers = await self._scripts.run_all(calls)
        found = {
            one.ref: one
            for (queue, _), answer in zip(parts, answers, strict=True)
            for one in _read_all(queue, answer)
        }
        return [found.get(ref) for ref in refs]

    async def find(self, queues: Sequence[str] | None = None) -> list[Schedule]:
        """All schedules of some queues, by queue and name."""
        names = await self._scripts.queues() if queues is None else queues
        answers = await self._scripts.run_everywhere("schedules_get", names)
        found = (_read_all(queue, answer) for queue, answer in zip(names, answers, strict=True))
        return sorted(chain(*found), key=lambda one: one.ref)

    async def named(self, name: str) -> list[Schedule]:
        """Schedules of a name, by queue."""
        queues = await self._scripts.queues()
        answers = await self._scripts.run_everywhere("schedules_get", queues, name)
        found = (_read_all(queue, answer) for queue, answer in zip(queues, answers, strict=True))
        return list(chain(*found))

    async def pause(self, refs: Sequence[ScheduleRef], *, paused: bool) -> list[bool]:
        """Let none of their ticks fire, or let them fire again."""
        return await self._steer("pause" if paused else "resume", refs)

    async def unschedule(self, refs: Sequence[ScheduleRef]) -> list[bool]:
        """Remove schedules."""
        return await self._steer("remove", refs)

    async def _steer(self, what: str, refs: Sequence[ScheduleRef]) -> list[bool]:
        parts = list(by_queue(dict.fromkeys(refs), lambda ref: ref.queue, PORTION))
        calls = [
            self._scripts.call("schedules_steer", queue, (what, *(ref.name for ref in some)))
            for queue, some in parts
        ]
        answers = await self._scripts.run_all(calls)
        found = {
            ref: one == 1
            for (_, some), answer in zip(parts, answers, strict=True)
            for ref, one in zip(some, answer, strict=True)
        }
        return [found[ref] for ref in refs]


def _fields(one: Schedule) -> Iterator[Argument]:
    yield from (one.ref.name, one.rule, one.job, one.tick or "")
    yield "" if one.due_at is None else one.due_at
    yield from (int(one.paused), one.count)
    yield "".join(
        f"{tick} {at} {id_.hex if id_ else '-'}{SEPARATOR.decode()}" for tick, at, id_ in one.fired
    )


def _firing(one: Firing) -> Iterator[Argument]:
    yield from (one.ref.name, one.rule, one.tick, one.next_tick or "")
    yield "" if one.next_at is None else one.next_at
    yield len(one.jobs)
    for tick, job in one.jobs:
        yield tick
        if unstorable(job):
            yield from NO_JOB
        else:
            yield 1
            yield from fields_of(job)


def _unstorable(jobs: Sequence[Job[Any]]) -> dict[int, Change]:
    return {
        n: refused(job.ref, Refusal.UNSTORABLE, detail=why)
        for n, job in enumerate(jobs)
        if (why := unstorable(job))
    }


def _read_all(queue: str, found: Sequence[Raw]) -> Iterator[Schedule]:
    for name, record, ticks in found:
        if record is not None:
            yield _read(ScheduleRef(queue, name.decode()), record, ticks or b"")


def _read(ref: ScheduleRef, record: bytes, ticks: bytes) -> Schedule:
    tick, due_at, count, paused, rule, job = record.decode().split("\n", 5)
    return Schedule(
        ref=ref,
        rule=rule,
        job=job,
        tick=tick or None,
        due_at=int(due_at) if due_at else None,
        paused=paused == "1",
        count=int(count),
        fired=[_fired(*one.decode().split(" ")) for one in ticks.split(SEPARATOR)[:-1]],
    )


def _fired(tick: str, at: str, id_: str) -> Fired:
    return Fired(tick, int(at), None if id_ == "-" else UUID(id_))
