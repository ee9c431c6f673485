"""A schedule as a store keeps it, as values without I/O; `queuekit.schedules` is what people see of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from queuekit.job import Job, Micros

TICKS_KEPT: Final = 10
"""Ticks of a schedule that have fired and can be seen: the last ones."""

OF_ANOTHER_RULE: Final = "!"
"""Stands behind a tick that was due when its schedule got another rule."""


class ScheduleRef(NamedTuple):
    """Which schedule: names belong to the queue of its jobs."""

    queue: str
    name: str

    def __str__(self) -> str:
        return f"{self.name!r} of queue {self.queue!r}"


class Fired(NamedTuple):
    """A tick that has fired.

    Attributes:
        tick: its identity; see `queuekit.recurrence.Tick.identity`.
        at: when it fired, by the server's clock.
        id: of its job; None: it made none, as that of an earlier tick was unfinished (``overlap="skip"``), or as the
            store does not take it.
    """

    tick: str
    at: Micros
    id: UUID | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a store keeps of a schedule.

    Attributes:
        rule: when it ticks, as text; no store looks into it. Another rule means other ticks.
        job: what its jobs are, and how it goes on, as text; no store looks into it.
        tick: the identity of its next tick, with `OF_ANOTHER_RULE` behind it if that holds; None: it is finished.
        due_at: the instant of that, as it was computed by whoever stored it.
        count: how many ticks have fired under this rule.
        fired: the last of them, the newest last.
    """

    ref: ScheduleRef
    rule: str
    job: str
    tick: str | None
    due_at: Micros | None
    paused: bool = False
    count: int = 0
    fired: Sequence[Fired] = ()


class Firing(NamedTuple):
    """Ticks of a schedule that are due, and how it goes on.

    Attributes:
        ref, rule, tick: of the schedule as it was read; if it is not like that any more nothing is done.
        jobs: of the ticks that fire, each with the tick's identity.
        next_tick, next_at: as `Schedule.tick` and `Schedule.due_at` from then on.
    """

    ref: ScheduleRef
    rule: str
    tick: str
    jobs: Sequence[tuple[str, Job[Any]]]
    next_tick: str | None
    next_at: Micros | None
