"""Recurring work: schedules, and the transaction in which their ticks become jobs."""

import json
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from queuekit.backend import Changes, Due
from queuekit.backend.schedules import fired, is_current, rescheduled
from queuekit.job import Micros
from queuekit.schedule import TICKS_KEPT, Fired, Firing, Schedule, ScheduleRef
from queuekit_sqlite import enqueue, gates
from queuekit_sqlite.connection import Store, Transaction, Values

_PORTION: Final = 1_000
"""Schedules of one transaction."""


class SqliteSchedules:
    """The schedules of an SQLite backend."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    async def schedule(self, schedules: Sequence[Schedule]) -> None:
        """Store schedules, or other rules and jobs of those that are there."""
        for start in range(0, len(schedules), _PORTION):
            some = schedules[start : start + _PORTION]
            await self._store().write(lambda tx: _schedule(tx, some))  # noqa: B023  # called at once

    async def due(self, queues: Sequence[str], limit: int) -> Due:
        """Schedules of these queues whose next tick is due."""
        return await self._store().read(lambda tx: _due(tx, queues, limit))

    async def fire(self, firings: Sequence[Firing]) -> list[Changes | None]:
        """Store the jobs of ticks and move their schedules on."""
        return await self._store().write(lambda tx: [_fire(tx, one) for one in firings])

    async def get(self, refs: Sequence[ScheduleRef]) -> list[Schedule | None]:
        """Schedules, in this order."""
        return await self._store().read(lambda tx: [_get(tx, ref) for ref in refs])

    async def find(self, queues: Sequence[str] | None = None) -> list[Schedule]:
        """All schedules of some queues, by queue and name."""
        names = None if queues is None else json.dumps(queues)
        return await self._store().read(
            lambda tx: [_read(r) for r in tx.all("all_schedules", names)]
        )

    async def named(self, name: str) -> list[Schedule]:
        """Schedules of a name, by queue."""
        return await self._store().read(
            lambda tx: [_read(row) for row in tx.all("named_schedules", name)]
        )

    async def pause(self, refs: Sequence[ScheduleRef], *, paused: bool) -> list[bool]:
        """Let none of their ticks fire, or let them fire again."""
        return await self._store().write(
            lambda tx: [_pause(tx, ref, paused=paused) for ref in refs]
        )

    async def unschedule(self, refs: Sequence[ScheduleRef]) -> list[bool]:
        """Remove schedules."""
        return await self._store().write(
            lambda tx: [tx.run("remove_schedule", *ref) > 0 for ref in refs]
        )


def due_in(tx: Transaction, queues: Sequence[str], beyond: int = 0) -> Micros | None:
    """Microseconds until the first schedule is due, after so many that are due already."""
    found = tx.one("next_due", json.dumps(gates.active(tx, queues)), beyond)
    return max(0, found[0] - tx.now) if found else None


def _schedule(tx: Transaction, schedules: Sequence[Schedule]) -> None:
    for new in schedules:
        _save(tx, rescheduled(_get(tx, new.ref), new, tx.now))
        tx.got_work.add(new.ref.queue)  # somebody has to know when its tick is due


def _pause(tx: Transaction, ref: ScheduleRef, *, paused: bool) -> bool:
    if not paused:
        tx.got_work.add(ref.queue)
    return tx.run("pause_schedule", *ref, paused) > 0


def _due(tx: Transaction, queues: Sequence[str], limit: int) -> Due:
    these = json.dumps(gates.active(tx, queues))
    due = [_read(row) for row in tx.all("due_schedules", these, tx.now, limit)]
    return Due(due, tx.now, due_in(tx, queues, len(due)))


def _fire(tx: Transaction, firing: Firing) -> Changes | None:
    row = tx.one("get_schedule", *firing.ref)
    if row is None or not gates.active(tx, [firing.ref.queue]):
        return None
    *rest, before = row  # not read here: it takes longer than all the rest
    schedule = _read((*rest, "[]"))
    if not is_current(firing, schedule):
        return None
    changes = enqueue.one_by_one(tx, [job for _, job in firing.jobs], guard=gates.WHENEVER)
    _save(tx, fired(schedule, firing, changes, tx.now), before)
    return changes


def _get(tx: Transaction, ref: ScheduleRef) -> Schedule | None:
    row = tx.one("get_schedule", *ref)
    return _read(row) if row else None


def _save(tx: Transaction, one: Schedule, before: str = "[]") -> None:
    """Store a schedule; `before`: ticks that have fired before those that it has, as they are stored."""
    ticks = [*json.loads(before), *((tick, at, id_ and id_.hex) for tick, at, id_ in one.fired)]
    tx.run(
        "save_schedule",
        *one.ref,
        one.rule,
        one.job,
        one.tick,
        one.due_at,
        one.paused,
        one.count,
        json.dumps(ticks[-TICKS_KEPT:]),
    )


def _read(row: Values) -> Schedule:
    queue, name, rule, job, tick, due_at, paused, count, ticks = row
    found: list[tuple[str, Micros, str | None]] = json.loads(ticks)
    return Schedule(
        ref=ScheduleRef(queue, name),
        rule=rule,
        job=job,
        tick=tick,
        due_at=due_at,
        paused=bool(paused),
        count=count,
        fired=[Fired(tick, at, UUID(id_) if id_ else None) for tick, at, id_ in found],
    )
