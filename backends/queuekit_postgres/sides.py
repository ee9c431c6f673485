"""One side of a cutover: the gates of queues, and copies of jobs that are not this store's to run."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from queuekit import codes
from queuekit.backend import (
    ABSENT,
    Changes,
    Copy,
    Gate,
    Guard,
    KeyHolder,
    KeysHeld,
    Kind,
    Page,
    Refusal,
    Stamp,
    Swap,
    Swapped,
)
from queuekit.job import Job, JobRef, Micros
from queuekit_postgres.connection import Lanes
from queuekit_postgres.enqueue import Enqueuing
from queuekit_postgres.inspect import PostgresInspector
from queuekit_postgres.rows import columns
from queuekit_postgres.statements import Statements

AT_ONCE: Final = 500
"""Steps of one statement."""
_NOWHERE: Final = UUID(int=0)
_FIRST: Final = [codes.READY, -(2**31), 0]
"""The beginning of the line: a code, and a place in the order of that."""
_WITH_RECORDS: Final = frozenset({Kind.LIVE, Kind.RUNNING, Kind.FAILED, Kind.DONE})


class PostgresSide:
    """A Postgres backend as one side of a cutover."""

    def __init__(
        self,
        statements: Statements,
        lanes: Lanes,
        inspector: PostgresInspector,
        enqueuing: Enqueuing,
    ) -> None:
        self._statements = statements
        self._lanes = lanes
        self._inspector = inspector
        self._enqueuing = enqueuing

    async def clock(self) -> Micros:
        """The server's clock."""
        (row,) = await self._fetch("clock")
        now: Micros = row[0]
        return now

    async def gates(self, queues: Sequence[str]) -> list[Gate | None]:
        """The gates of queues, in this order."""
        rows = await self._fetch("gates", list(queues))
        found = {row["queue"]: Gate.of(row["gate"]) for row in rows}
        return [found.get(queue) for queue in queues]

    async def gated(self) -> list[str]:
        """The queues that have a gate, by name."""
        return [row["queue"] for row in await self._fetch("gated")]

    async def turn(
        self,
        queue: str,
        before: Gate | None,
        after: Gate | None,
        *,
        without: Collection[Kind] = (),
    ) -> Gate | None:
        """Put another gate in place of the one that somebody saw; what is there then."""
        seen = before.text if before else None
        new = (
            (after.text, after.epoch, after.active, after.shut, after.other)
            if after
            else [None] * 5
        )
        (row,) = await self._fetch("turn", queue, seen, *new, list(without))
        return Gate.of(row["gate"]) if row["gate"] else None

    async def enqueue(self, jobs: Sequence[Job[Any]], guard: Guard) -> Changes:
        """Store jobs in an epoch and before a moment."""
        return await self._enqueuing.guarded(jobs, guard)

    async def holders(self, queue: str, keys: Sequence[str]) -> KeysHeld:
        """Who holds keys of a queue, in this order."""
        rows = await self._fetch("holders", queue, list(keys))
        holders = [
            KeyHolder(row["id"], Kind(row["kind"]), row["followed"]) if row["kind"] else None
            for row in rows
        ]
        return KeysHeld(rows[0]["epoch"] if rows else 0, holders)

    async def census(self, queue: str) -> Mapping[Kind, int]:
        """How many copies there are of each kind."""
        counts: dict[Kind, int] = {}
        for kind, count in await self._fetch("census", queue):
            counts[Kind(kind)] = counts.get(Kind(kind), 0) + count
        return counts

    async def look(self, refs: Sequence[JobRef]) -> list[Copy]:
        """What is there of jobs, in this order."""
        rows = await self._fetch("copies", [ref.id for ref in refs], [ref.queue for ref in refs])
        found = {JobRef(row["queue"], row["id"]): _copy(row) for row in rows}
        # The records are read after the stamps: a step that goes by an older stamp is refused then.
        of = [ref for ref, copy in found.items() if copy.stamp.kind in _WITH_RECORDS]
        for ref, record in zip(of, await self._inspector.get(of), strict=True):
            found[ref] = found[ref]._replace(record=record)
        return [found[ref] for ref in refs]

    async def page(
        self, queue: str, kind: Kind, *, cursor: str | None = None, limit: int = 500
    ) -> Page:
        """Copies of a kind."""
        match kind:
            case Kind.LIVE:
                return await self._page_of_line(queue, cursor, limit)
            case Kind.FAILED:
                end, id_ = json.loads(cursor) if cursor else (0, str(_NOWHERE))
                rows = await self._fetch("page_failed", queue, end, UUID(id_), limit)
                place = [rows[-1]["kept_until"], str(rows[-1]["id"])] if rows else []
                more = json.dumps(place) if len(rows) == limit else None
                return Page(await self._still(queue, kind, [row["id"] for row in rows]), more)
            case _:
                after = UUID(cursor) if cursor else _NOWHERE
                rows = await self._fetch("page_copies", queue, kind, after, limit)
                copies = [
                    Copy(JobRef(queue, id_), Stamp(kind, *stamp), text=text)
                    for id_, *stamp, text in rows
                ]
                return Page(copies, str(rows[-1]["id"]) if len(rows) == limit else None)

    async def swap(self, swaps: Sequence[Swap]) -> list[Swapped]:
        """Carry out steps, each for itself."""
        if mirrors := _mirrors(swaps):
            rows = await self._fetch("hold", *mirrors)
            held = {JobRef(row["job_queue"], row["job"]) for row in rows}
            rest = iter(await self._swap([one for one in swaps if one.ref not in held]))
            return [Swapped(ABSENT) if one.ref in held else next(rest) for one in swaps]
        return await self._swap(swaps)

    async def _swap(self, swaps: Sequence[Swap]) -> list[Swapped]:
        done: list[Swapped] = []
        for some in _portions(swaps):
            given = json.dumps([_written(one) for one in some])
            for kind, *stamp, refused in await self._fetch("swap", given):
                found = Stamp(Kind(kind), *stamp)
                done.append(Swapped(found, Refusal(refused) if refused else None))
        return done

    async def _page_of_line(self, queue: str, cursor: str | None, limit: int) -> Page:
        """Ready ones in their order, then the others, each kind of them in its order."""
        code, *place = json.loads(cursor) if cursor else _FIRST
        while code < codes.RUNNING:
            rows = await self._fetch("page_of_line", queue, code, *place, limit)
            if rows:
                copies = await self._still(queue, Kind.LIVE, [row["job"] for row in rows])
                return Page(copies, json.dumps([code, rows[-1]["before"], rows[-1]["behind"]]))
            code, place = code + 1, _FIRST[1:]
        return Page([], None)

    async def _still(self, queue: str, kind: Kind, ids: Sequence[UUID]) -> list[Copy]:
        """Those of these jobs that are of that kind."""
        copies = await self.look([JobRef(queue, id_) for id_ in ids])
        return [copy for copy in copies if copy.stamp.kind is kind]

    async def _fetch(self, name: str, *args: object) -> "list[asyncpg.Record]":
        return await self._lanes.fetch(self._statements[name], *args)


def _mirrors(swaps: Sequence[Swap]) -> tuple[Any, ...]:
    """The arguments of `hold`, if these are new mirrors of one act; else nothing."""
    acts = {(one.epoch, one.until) for one in swaps}
    kinds = {(one.before, one.after.stamp.kind) for one in swaps}
    refs = {one.ref for one in swaps}
    if len(acts) != 1 or kinds != {(ABSENT, Kind.HELD)} or len(refs) < len(swaps):
        return ()
    ((epoch, until),) = acts
    columns = (
        [one.ref.id for one in swaps],
        [one.ref.queue for one in swaps],
        [one.after.stamp.generation for one in swaps],
        [one.after.text for one in swaps],
    )
    return (*columns, epoch, until) if until is not None else ()


def _portions(swaps: Sequence[Swap]) -> Iterator[Sequence[Swap]]:
    """Portions in which no job is twice: each step finds what the one before has left."""
    portion: dict[JobRef, Swap] = {}
    for one in swaps:
        if one.ref in portion or len(portion) == AT_ONCE:
            yield [*portion.values()]
            portion = {}
        portion[one.ref] = one
    if portion:
        yield [*portion.values()]


def _copy(row: asyncpg.Record) -> Copy:
    id_, queue, kind, *stamp, text = row
    return Copy(JobRef(queue, id_), Stamp(Kind(kind), *stamp), text=text)


def _written(one: Swap) -> dict[str, Any]:
    """A step as the function takes it."""
    after = one.after
    step: dict[str, Any] = {
        "id": str(one.ref.id),
        "queue": one.ref.queue,
        "before": one.before._asdict(),
        "epoch": one.epoch,
        "until": one.until,
        "frees": one.frees,
        "after": {**after.stamp._asdict(), "text": after.text},
    }
    if after.record is not None:
        step["whole"] = columns(0, after.record)
    return step
