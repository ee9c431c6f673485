"""Recurring work: schedules, and the statement in which their ticks become jobs."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from queuekit.backend import Change, Changes, Due, Refusal
from queuekit.backend.model import refused, unstorable
from queuekit.job import Job
from queuekit.schedule import Fired, Firing, Schedule, ScheduleRef
from queuekit_postgres.connection import Lanes
from queuekit_postgres.errors import Unstorable, halved
from queuekit_postgres.rows import change, options
from queuekit_postgres.statements import Statements

PORTION = 1000


class PostgresSchedules:
    """Stores schedules and fires their ticks."""

    def __init__(self, statements: Statements, lanes: Lanes) -> None:
        self._statements = statements
        self._lanes = lanes

    async def schedule(self, schedules: Sequence[Schedule]) -> None:
        """Store schedules, or other rules and jobs of those that are there."""
        last = [*{one.ref: one for one in schedules}.values()]
        for start in range(0, len(last), PORTION):
            some = [_columns(one) for one in last[start : start + PORTION]]
            await self._lanes.execute(self._statements["schedule"], json.dumps(some))

    async def due(self, queues: Sequence[str], limit: int) -> Due:
        """Schedules of these queues whose next tick is due."""
        names = list(queues)
        (clock,) = await self._lanes.fetch(self._statements["next_due"], names, 0)
        now, due_at = clock
        if due_at is None or due_at > now or not limit:
            return Due([], now, None if due_at is None else max(0, due_at - now))
        rows = await self._lanes.fetch(self._statements["due_schedules"], names, now, limit)
        (clock,) = await self._lanes.fetch(self._statements["next_due"], names, len(rows))
        later, due_at = clock
        return Due([*map(_read, rows)], later, None if due_at is None else max(0, due_at - later))

    async def fire(self, firings: Sequence[Firing]) -> list[Changes | None]:
        """Store the jobs of ticks and move their schedules on."""
        done = await halved(self._fire, self._refuse, firings)
        return [done.get(n) for n in range(len(firings))]

    async def _fire(self, firings: Sequence[Firing]) -> dict[int, Changes]:
        why = [
            {n: why for n, (_, job) in enumerate(one.jobs) if (why := unstorable(job))}
            for one in firings
        ]
        return await self._send(firings, why)

    async def _refuse(self, firing: Firing, error: Unstorable) -> Changes | None:
        """The schedule goes on without its jobs, which the server does not take."""
        return (
            await self._send([firing], [dict.fromkeys(range(len(firing.jobs)), str(error))])
        ).get(0)

    async def _send(
        self, firings: Sequence[Firing], without: Sequence[Mapping[int, str]]
    ) -> dict[int, Changes]:
        """What was done, by place; `without` jobs that can't be stored, for each why."""
        given = [_firing(one, set(out)) for one, out in zip(firings, without, strict=True)]
        rows = await self._lanes.fetch(self._statements["fire"], json.dumps(given))
        told: dict[int, dict[int, Change]] = {row["firing"] - 1: {} for row in rows}
        for row in rows:
            if row["id"] is not None:
                told[row["firing"] - 1][row["n"] - 1] = change(row)
        for place, odd in told.items():
            for n, why in without[place].items():
                ref = firings[place].jobs[n][1].ref
                odd[n] = refused(ref, Refusal.UNSTORABLE, detail=why)
        return {n: Changes([job for _, job in firings[n].jobs], odd) for n, odd in told.items()}

    async def get(self, refs: Sequence[ScheduleRef]) -> list[Schedule | None]:
        """Schedules, in this order."""
        rows = await self._lanes.fetch(self._statements["get_schedules"], *_of(refs))
        found = {one.ref: one for one in map(_read, rows)}
        return [found.get(ref) for ref in refs]

    async def find(self, queues: Sequence[str] | None = None) -> list[Schedule]:
        """All schedules of some queues, by queue and name."""
        names = None if queues is None else list(queues)
        rows = await self._lanes.fetch(self._statements["all_schedules"], names)
        return sorted(map(_read, rows), key=lambda one: one.ref)

    async def named(self, name: str) -> list[Schedule]:
        """Schedules of a name, by queue."""
        rows = await self._lanes.fetch(self._statements["named_schedules"], name)
        return sorted(map(_read, rows), key=lambda one: one.ref)

    async def pause(self, refs: Sequence[ScheduleRef], *, paused: bool) -> list[bool]:
        """Let none of their ticks fire, or let them fire again."""
        return await self._steer("pause_schedules", refs, paused)

    async def unschedule(self, refs: Sequence[ScheduleRef]) -> list[bool]:
        """Remove schedules."""
        return await self._steer("unschedule", refs)

    async def _steer(self, name: str, refs: Sequence[ScheduleRef], *more: object) -> list[bool]:
        rows = await self._lanes.fetch(self._statements[name], *_of(refs), *more)
        found = {ScheduleRef(*row) for row in rows}
        return [ref in found for ref in refs]


def _of(refs: Sequence[ScheduleRef]) -> tuple[list[str], list[str]]:
    return [ref.queue for ref in refs], [ref.name for ref in refs]


def _columns(one: Schedule) -> dict[str, Any]:
    return {
        "queue": one.ref.queue,
        "name": one.ref.name,
        "rule": one.rule,
        "job": one.job,
        "tick": one.tick,
        "due_at": one.due_at,
        "paused": one.paused,
        "count": one.count,
        "fired": [(tick, at, id_ and str(id_)) for tick, at, id_ in one.fired],
    }


def _firing(one: Firing, without: Collection[int]) -> dict[str, Any]:
    return {
        "queue": one.ref.queue,
        "name": one.ref.name,
        "rule": one.rule,
        "tick": one.tick,
        "next_tick": one.next_tick,
        "next_at": one.next_at,
        "jobs": [
            {"tick": tick} | ({} if n in without else _job(job))
            for n, (tick, job) in enumerate(one.jobs)
        ],
    }


def _job(job: Job[Any]) -> dict[str, Any]:
    return {
        "id": str(job.id),
        "task": job.task,
        "payload": job.payload,
        "key": job.key,
        "options": options(job.options),
    }


def _read(row: asyncpg.Record) -> Schedule:
    queue, name, rule, job, tick, due_at, paused, count, ticks = row
    fired = [Fired(tick, at, id_ and UUID(id_)) for tick, at, id_ in json.loads(ticks)]
    return Schedule(ScheduleRef(queue, name), rule, job, tick, due_at, paused, count, fired)
