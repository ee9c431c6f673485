"""Enqueueing: plain new jobs in one insert, anything else one after the other in one function of the schema."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from queuekit.backend import Answer, Stored
from queuekit.codes import STATES
from queuekit.errors import BackendRefused, InvalidOption
from queuekit.job import Job, JobOptions, State
from queuekit_postgres.connections import Connection, Lanes, Rows
from queuekit_postgres.errors import Unstorable
from queuekit_postgres.halving import halved
from queuekit_postgres.statements import Statements

Batch = Sequence[Job[Any]]

_KEY_HOLD = {"started": 1, "finished": 2}


class Enqueuing:
    """Stores jobs."""

    def __init__(self, statements: Statements, lanes: Lanes) -> None:
        self._statements = statements
        self._lanes = lanes

    async def enqueue(self, jobs: Batch, *, atomic: bool) -> list[Answer]:
        """Store jobs over a connection of our own."""
        if not atomic:
            return await halved(self._send, _refused, jobs)
        try:
            return await self._send(jobs)
        except Unstorable as error:
            guilty = await self._guilty(jobs)
            raise BackendRefused(
                f"Job {guilty} of the batch: {error} Nothing was stored."
            ) from error

    async def enqueue_within(self, jobs: Batch, connection: object) -> list[Answer]:
        """Store jobs in the transaction that is open on a caller's connection."""
        if not isinstance(connection, asyncpg.Connection | PoolConnectionProxy):
            raise InvalidOption(
                f"connection= takes an asyncpg connection here, not {type(connection).__name__}."
            )
        if not connection.is_in_transaction():
            raise InvalidOption(
                "Open a transaction on the connection first: `async with conn.transaction():`."
            )
        return _answers(await connection.fetch(self._statements["store"], *_columns(jobs), False))

    async def _send(self, jobs: Batch) -> list[Answer]:
        if all(job.options.plain and job.key is None and job.fresh for job in jobs):
            try:
                return await self._insert(jobs)
            except Unstorable as error:
                if not isinstance(error.__cause__, asyncpg.UniqueViolationError):
                    raise
        rows = await self._lanes.fetch(self._statements["store"], *_columns(jobs), True)
        return _answers(rows)

    async def _insert(self, jobs: Batch) -> list[Answer]:
        await self._lanes.execute(
            self._statements["insert"],
            [job.id for job in jobs],
            [job.options.queue for job in jobs],
            [job.task for job in jobs],
            [job.payload for job in jobs],
            [job.options.priority for job in jobs],
            [job.options.max_attempts for job in jobs],
        )
        return [Answer(Stored.STORED, State.READY)] * len(jobs)

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
            await connection.fetch(self._statements["store"], *_columns(jobs), True)
        except (asyncpg.PostgresError, asyncpg.DataError, UnicodeError):
            return False
        finally:
            await trial.rollback()
        return True


async def _refused(_job: Job[Any], error: Unstorable) -> Answer:
    return Answer(Stored.REFUSED, error=str(error))


def _columns(jobs: Batch) -> tuple[list[Any], ...]:
    return (
        [job.id for job in jobs],
        [job.task for job in jobs],
        [job.payload for job in jobs],
        [job.key for job in jobs],
        [job.fresh for job in jobs],
        [_options(job.options) for job in jobs],
    )


def _answers(rows: Rows) -> list[Answer]:
    return [
        Answer(
            Stored(row["kind"]),
            None if row["state"] is None else STATES[row["state"]],
            row["holder"],
        )
        for row in rows
    ]


@lru_cache(maxsize=1024)
def _options(options: JobOptions) -> str:
    """The options as the schema's type of that name, in JSON."""
    until = options.key_until
    given = {
        "queue": options.queue,
        "priority": options.priority,
        "max_attempts": options.max_attempts,
        "delay": options.delay,
        "due": options.due,
        "expires": options.expires,
        "lease": options.lease,
        "max_crashes": options.max_crashes,
        "max_lapses": options.max_lapses,
        "key_policy": options.key_policy,
        "key_hold": 3 if isinstance(until, int) else _KEY_HOLD[until],
        "key_for": until if isinstance(until, int) else None,
        "keep_age": options.keep and options.keep.age,
        "keep_count": options.keep and options.keep.count,
        "tags": options.tags or None,
        "extra": options.extra or None,
        "replicated": options.replicated,
    }
    return json.dumps({name: value for name, value in given.items() if value is not None})
