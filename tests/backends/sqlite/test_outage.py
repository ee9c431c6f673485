"""Leases after outages; the clock is moved on in the table."""

import sqlite3
from contextlib import closing
from pathlib import Path

from queuekit.backend import Backend
from queuekit.testing.conformance._make import LONG, SECOND, claim, job, put


async def test_a_renewal_is_no_sign_of_life(backend: Backend, file: Path) -> None:
    """Neither of the job's own nor of another job of its owner, which another gap has renewed."""
    await put(backend, job(lease=10 * SECOND), job(lease=LONG))
    await backend.maintain(["default"])
    _, long = await claim(backend, 2)

    async def renewed_after(gap: int) -> int:
        with closing(sqlite3.connect(file)) as other, other:
            other.execute(f"UPDATE ticks SET last = last - {gap * SECOND}")
        return (await backend.maintain(["default"])).renewed

    assert [await renewed_after(gap) for gap in (5, 30, 30)] == [1, 1, 0]
    assert list((await backend.heartbeat([long.token])).lost) == []
    assert await renewed_after(30) == 2
