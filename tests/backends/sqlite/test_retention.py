"""What becomes of records, and of ids; the clock is moved on in the table."""

import sqlite3
from contextlib import closing
from pathlib import Path

from queuekit.backend import KEEP_FOR_WAITERS, Backend, JobFilter
from queuekit.job import Keep
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    LONG,
    ack,
    failed,
    running,
    state_of,
    succeeded,
    sweep,
)


async def test_a_count_cuts_what_was_waited_for_after_a_minute(
    backend: Backend, file: Path
) -> None:
    one = await running(backend, keep=Keep(LONG, count=0))
    await backend.results([one.token.ref], 0.02)
    await ack(backend, succeeded(one))
    await backend.maintain(["default"])
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE jobs SET spared_until = spared_until - {KEEP_FOR_WAITERS}")
    await backend.maintain(["default"])
    assert await state_of(backend, one.token.id) is None


async def test_only_ids_of_records_that_go_are_kept_apart(backend: Backend, file: Path) -> None:
    gone, stays = await running(backend, task="gone"), await running(backend, task="stays")
    await ack(backend, failed(gone), failed(stays))
    assert await sweep(backend, Event.CLEAN, JobFilter(tasks=["gone"])) == 1
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT id FROM ids").fetchall() == [(gone.token.id.bytes,)]
