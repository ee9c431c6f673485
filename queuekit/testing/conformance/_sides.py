"""What the cases of a cutover are made of: gates, copies, steps."""

from dataclasses import replace
from typing import Any, Final, cast

from queuekit.backend import (
    ABSENT,
    Backend,
    Change,
    Copy,
    Gate,
    HasSides,
    Kind,
    Refusal,
    Side,
    Stamp,
    Swap,
    Swapped,
)
from queuekit.job import Job, JobRef, Micros, State
from queuekit.record import JobRecord, Notes
from queuekit.testing.conformance._make import (
    LONG,
    answers_of,
    job,
)

HERE: Final = Gate(side=0, epoch=1, other="other-store")
"""The gate of an active side."""
THERE: Final = Gate(side=1, epoch=1, other="other-store")
"""That of a passive one."""
TEXT: Final = '{"a":"ü\\n \U0001f600","b":[1,null]}'
ENDS: Final = [State.SUCCEEDED, State.FAILED, State.CANCELLED]


async def gated(backend: Backend, gate: Gate = HERE, queue: str = "default") -> Side:
    """The side of a queue that has this gate from now on."""
    side = cast(HasSides, backend).side
    (before,) = await side.gates([queue])
    assert await side.turn(queue, before, gate) == gate
    return side


async def seen(side: Side, ref: JobRef) -> Copy:
    """What is there of a job."""
    (copy,) = await side.look([ref])
    assert copy.ref == ref
    return copy


async def swapped(side: Side, before: Stamp, after: Copy, **fields: Any) -> Swapped:
    """One step, in the epoch of `HERE`."""
    given = {"epoch": HERE.epoch, **fields}
    (done,) = await side.swap([Swap(before, after, **given)])
    return done


def text_of(ref: JobRef, kind: Kind, **stamp: int) -> Copy:
    """A copy that is a text."""
    return Copy(ref, Stamp(kind, **stamp), text=TEXT)


def here_again(found: JobRecord) -> Copy:
    """A copy that is a job, or a record."""
    kind = Kind.FAILED if found.finished else Kind.LIVE
    stamp = Stamp(kind, found.life.generation, 0, found.life.delivery)
    return Copy(found.ref, stamp, found)


def unmarked(found: JobRecord) -> JobRecord:
    """Without what each store says in its own way: lists may be tuples."""
    result, errors, history, progress, logs = found.notes
    notes = Notes(result, tuple(errors), tuple(history), progress, tuple(logs))
    return replace(found, notes=notes)


async def hold(side: Side, ref: JobRef | None = None) -> JobRef:
    """A mirror is there."""
    ref = ref or job().ref
    assert await swapped(side, ABSENT, text_of(ref, Kind.HELD)) == Swapped(ABSENT)
    return ref


async def taken(side: Side, ref: JobRef) -> Copy:
    """A job, or a failed record, is moving; as it was before."""
    copy = await seen(side, ref)
    moving = text_of(ref, Kind.MOVING, generation=copy.stamp.generation, epoch=HERE.epoch)
    assert await swapped(side, copy.stamp, moving) == Swapped(copy.stamp)
    return copy


async def in_a_while(side: Side) -> Micros:
    """A deadline that is long enough."""
    return await side.clock() + LONG


async def pages(side: Side, kind: Kind, limit: int) -> list[JobRef]:
    """Of all copies of a kind."""
    page = await side.page("default", kind, limit=limit)
    found = [copy.ref for copy in page.copies]
    while page.cursor is not None:
        page = await side.page("default", kind, cursor=page.cursor, limit=limit)
        found += [copy.ref for copy in page.copies]
    return found


async def refused(backend: Backend, *jobs: Job[Any]) -> list[Change]:
    """Jobs that must all be refused, as their queue has moved."""
    changes = list(await backend.enqueue(jobs))
    assert answers_of(changes) == [Refusal.MOVED] * len(jobs)
    return changes
