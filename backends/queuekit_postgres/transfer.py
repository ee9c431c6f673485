"""Whole jobs that come from another store."""

import json
from collections.abc import Iterator, Sequence

import asyncpg

from queuekit.backend import Change, Refusal
from queuekit.backend.model import refused, told
from queuekit.job import JobRef
from queuekit.record import JobRecord
from queuekit_postgres.connection import Lanes
from queuekit_postgres.errors import Unstorable, halved
from queuekit_postgres.rows import columns, odd
from queuekit_postgres.statements import Statements

PORTION = 1000


class PostgresTransfer:
    """Stores whole jobs, a portion a statement."""

    def __init__(self, statements: Statements, lanes: Lanes) -> None:
        self._statements = statements
        self._lanes = lanes

    async def store(self, records: Sequence[JobRecord]) -> list[Change]:
        """Store jobs as their records say."""
        changes: list[Change] = []
        for portion in _portions(records):
            odd = await halved(self._send, _refuse, portion)
            changes += [odd.get(n) or told(None, one) for n, one in enumerate(portion)]
        return changes

    async def _send(self, records: Sequence[JobRecord]) -> dict[int, Change]:
        given = json.dumps([columns(n, one) for n, one in enumerate(records, 1)])
        try:
            return await self._store(given)
        except Unstorable as error:
            if not isinstance(error.__cause__, asyncpg.UniqueViolationError):
                raise
            return await self._store(given)  # somebody has just stored one of the ids: it is known

    async def _store(self, given: str) -> dict[int, Change]:
        return odd(await self._lanes.fetch(self._statements["transfer"], given))


def _portions(records: Sequence[JobRecord]) -> Iterator[Sequence[JobRecord]]:
    """Portions in which no id is twice, so that of two the first is stored."""
    portion: dict[JobRef, JobRecord] = {}
    for one in records:
        if one.ref in portion or len(portion) == PORTION:
            yield [*portion.values()]
            portion = {}
        portion[one.ref] = one
    if portion:
        yield [*portion.values()]


async def _refuse(one: JobRecord, error: Unstorable) -> Change:
    return refused(one.ref, Refusal.UNSTORABLE, detail=str(error))
