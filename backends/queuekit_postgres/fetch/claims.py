"""Claiming: the queues in turn, each from its cursor on."""

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from operator import itemgetter

from queuekit.backend import Ask, Change
from queuekit.job import SUSPECT_AFTER, Claim, Micros
from queuekit_postgres.connection import Lane
from queuekit_postgres.fetch.cursors import Cursor
from queuekit_postgres.fetch.floors import Floors
from queuekit_postgres.rows import changes, claimed
from queuekit_postgres.statements import Statements

ADVANCE_EVERY = 0.05
"""Seconds between promotions of due jobs while there is enough to claim."""
ADVANCE_FROM_START_EVERY = 1.0

# columns of claim.sql
_order = itemgetter(13, 0)  # priority, seq
_lapses = itemgetter(8)


class Claims:
    """Claims jobs over one connection."""

    def __init__(self, statements: Statements, lane: Lane, keep_failed: Micros) -> None:
        self._statements = statements
        self._lane = lane
        self._keep_failed = keep_failed
        self._cursors: defaultdict[str, Cursor] = defaultdict(Cursor)
        self._due = Floors(ADVANCE_FROM_START_EVERY)
        self._advanced: dict[tuple[str, ...], float] = {}
        self._turn = 0

    async def take(self, ask: Ask, expired: list[Change]) -> list[Claim]:
        """Claim ready jobs, due ones among them; those that have expired are added to the list.

        If a claim returns fewer jobs than asked for, due jobs are promoted and the cursors reset, and it claims once
        more: what came due, or was committed behind a cursor, would be missed.
        """
        queues = ask.queues
        stale = time.monotonic() - self._advanced.get(tuple(queues), 0.0) > ADVANCE_EVERY
        if stale:
            await self._advance(queues, expired)
        claims = await self._sweep(ask)
        if len(claims) == ask.limit:
            self._rewind(queues, found=True, short=False)
            return claims
        moved = not stale and await self._advance(queues, expired)
        if self._rewind(queues, found=bool(claims), short=True) or moved:
            suspects = ask.suspects - sum(c.lapses >= SUSPECT_AFTER for c in claims)
            rest = ask._replace(limit=ask.limit - len(claims), suspects=suspects)
            claims += await self._sweep(rest)
        return claims

    def went_back(self, queues: Collection[str]) -> None:
        """Jobs may be ready again in their old places."""
        for queue in queues:
            self._cursors.pop(queue, None)

    async def _advance(self, queues: Sequence[str], expired: list[Change]) -> bool:
        (row,) = await self._lane.fetch(
            self._statements["advance"],
            list(queues),
            self._keep_failed,
            self._due.since(queues),
        )
        late = changes(row["expired"])
        expired += late
        self._due.done(queues, row["now"], row["promoted"] + len(late))
        self._advanced[tuple(queues)] = time.monotonic()
        return bool(row["promoted"] or row["handed_out"])

    def _rewind(self, queues: Sequence[str], *, found: bool, short: bool) -> bool:
        worth = [
            cursor
            for queue in queues
            if (cursor := self._cursors.get(queue))
            and cursor.worth_rescanning(found=found, short=short)
        ]
        for cursor in worth:
            cursor.rewind()
        return bool(worth)

    async def _sweep(self, ask: Ask) -> list[Claim]:
        claims: list[Claim] = []
        limit, suspects = ask.limit, ask.suspects
        for queue in await self._in_turn(ask):
            claimed = await self._claim(queue, ask._replace(limit=limit, suspects=suspects))
            claims += claimed
            limit -= len(claimed)
            if not limit:
                break
            suspects -= sum(claim.lapses >= SUSPECT_AFTER for claim in claimed)
        return claims

    async def _in_turn(self, ask: Ask) -> Sequence[str]:
        """Queues that have something, each time beginning with another one."""
        queues = ask.queues
        if len(queues) < 2:
            return queues
        names: list[str] = []
        priorities: list[int] = []
        seqs: list[int] = []
        below: list[int] = []
        for queue in queues:
            ranges = self._cursors[queue].ranges()
            names += [queue] * len(ranges.seqs)
            priorities += ranges.priorities
            seqs += ranges.seqs
            below += ranges.below
        rows = await self._lane.fetch(
            self._statements["nonempty"], names, priorities, seqs, below, ask.suspects > 0
        )
        self._turn += 1
        full = {row[0] for row in rows}
        for queue in set(queues) - full:
            self._cursors[queue].advance((), short=True)
        start = self._turn % len(queues)
        return [queue for queue in [*queues[start:], *queues[:start]] if queue in full]

    async def _claim(self, queue: str, ask: Ask) -> list[Claim]:
        cursor = self._cursors[queue]
        began = time.monotonic()
        rows = await self._lane.fetch(
            self._statements["claim"],
            queue,
            ask.limit,
            ask.claimant.process,
            ask.claimant.number,
            ask.lease,
            max(ask.suspects, 0),
            *cursor.ranges(),
        )
        took = time.monotonic() - began
        rows.sort(key=_order)
        ready = rows
        if max(map(_lapses, rows), default=0) >= SUSPECT_AFTER:
            ready = [row for row in rows if _lapses(row) < SUSPECT_AFTER]
        cursor.advance([*map(_order, ready)], short=len(rows) < ask.limit, took=took)
        return [claimed(queue, row) for row in rows]
