"""Enqueueing: plain new jobs in one insert, anything else one after the other in one function of the schema."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from queuekit.backend import Change, Changes, Guard, Refusal
from queuekit.backend.model import refused
from queuekit.errors import BackendRefused, InvalidOption
from queuekit.job import Job, Micros
from queuekit_postgres.connection import Connection, Lanes
from queuekit_postgres.errors import Unstorable, halved
from queuekit_postgres.rows import odd, options
from queuekit_postgres.statements import Statements

Batch = Sequence[Job[Any]]
Unguarded = tuple[None, None]
UNGUARDED: Final[Unguarded] = (None, None)
"""In any epoch, at any time."""


class Enqueuing:
    """Stores jobs."""

    def __init__(self, statements: Statements, lanes: Lanes) -> None:
        self._statements = statements
        self._lanes = lanes

    async def enqueue(self, jobs: Batch, *, atomic: bool, connection: object | None) -> Changes:
        """Store jobs over a connection of our own, or in the transaction that is open on a caller's."""
        if not jobs:
            return Changes(jobs)
        if connection is not None:
            return Changes(jobs, await self._within(jobs, connection))
        if not atomic:
            return await self.guarded(jobs, UNGUARDED)
        try:
            return Changes(jobs, await self._send(jobs, UNGUARDED, whole=True))
        except Unstorable as error:
            guilty = await self._guilty(jobs)
            raise BackendRefused(
                f"Job {guilty} of the batch: {error} Nothing was stored."
            ) from error

    async def guarded(self, jobs: Batch, guard: Guard | Unguarded) -> Changes:
        """Store jobs in an epoch and before a moment."""
        send = partial(self._send, guard=guard)
        return Changes(jobs, await halved(send, _refuse, jobs) if jobs else {})

    async def _within(self, jobs: Batch, connection: object) -> dict[int, Change]:
        if not isinstance(connection, asyncpg.Connection | PoolConnectionProxy):
            raise InvalidOption(
                f"connection= takes an asyncpg connection here, not {type(connection).__name__}."
            )
        if not connection.is_in_transaction():
            raise InvalidOption(
                "Open a transaction on the connection first: `async with conn.transaction():`."
            )
        store = self._statements["store"]
        return odd(await connection.fetch(store, *_columns(jobs), False, False, *UNGUARDED))

    async def _send(
        self, jobs: Batch, guard: Guard | Unguarded, *, whole: bool = False
    ) -> dict[int, Change]:
        epoch, until = guard
        if epoch is None and all(
            job.options.plain and job.key is None and job.fresh for job in jobs
        ):
            try:
                if await self._insert(jobs, until):
                    return {}
            except Unstorable as error:
                if not isinstance(error.__cause__, asyncpg.UniqueViolationError):
                    raise
        rows = await self._lanes.fetch(
            self._statements["store"], *_columns(jobs), True, whole, *guard
        )
        return odd(rows)

    async def _insert(self, jobs: Batch, until: Micros | None) -> int:
        """Store plain jobs; how many: none if a queue has moved, or it is too late."""
        return await self._lanes.execute(
            self._statements["insert"],
            [job.id for job in jobs],
            [job.options.queue for job in jobs],
            [job.task for job in jobs],
            [job.payload for job in jobs],
            [job.options.priority for job in jobs],
            [job.options.max_attempts for job in jobs],
            until,
        )

    async def _guilty(self, jobs: Batch) -> int:
        """The index of the first job that the server refuses, found by trials that are all rolled back."""
        good, bad = 0, len(jobs)
        while bad - good > 1:
            middle = (good + bad) // 2
            if await self._lanes.run(lambda connection: self._trial(connection, jobs[:middle])):  # noqa: B023
                good = middle
            else:
                bad = middle
        return good

    async def _trial(self, connection: Connection, jobs: Batch) -> bool:
        trial = connection.transaction()
        await trial.start()
        try:
            await connection.fetch(
                self._statements["store"], *_columns(jobs), True, False, *UNGUARDED
            )
        except (asyncpg.PostgresError, asyncpg.DataError, UnicodeError):
            return False
        finally:
            await trial.rollback()
        return True


async def _refuse(job: Job[Any], error: Unstorable) -> Change:
    return refused(job.ref, Refusal.UNSTORABLE, detail=str(error))


def _columns(jobs: Batch) -> tuple[list[Any], ...]:
    return (
        [job.id for job in jobs],
        [job.task for job in jobs],
        [job.payload for job in jobs],
        [job.key for job in jobs],
        [job.fresh for job in jobs],
        [options(job.options) for job in jobs],
    )
