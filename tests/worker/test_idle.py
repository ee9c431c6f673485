"""An idle worker: how quiet it is, and that it misses nothing for it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from queuekit import Queuekit, every
from queuekit.backend.model import claimed as claimed_by, enqueued
from queuekit.job import Claimant
from queuekit.task import Task
from queuekit_postgres.connection import Lanes
from queuekit_redis.connection.pool import Pool
from queuekit_sqlite.connection import Store
from tests.waiting import eventually

QUIET = 4.0
"""Seconds without a command; before, an idle worker sent two or three each second."""
PATIENCE = 10.0
"""Seconds, fewer than a worker rests that nobody has rung."""


class Commands:
    """When something was last sent to a server, or written to a file, from this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.last = time.monotonic()
        for kind, verb in ((Pool, "run"), (Lanes, "fetch"), (Lanes, "execute"), (Store, "write")):
            monkeypatch.setattr(kind, verb, self._noted(getattr(kind, verb)))

    def quiet(self) -> bool:
        return time.monotonic() - self.last >= QUIET

    def _noted(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        async def noted(*args: Any, **named: Any) -> Any:
            self.last = time.monotonic()
            return await verb(*args, **named)

        return noted


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(monkeypatch)


@pytest.fixture
def qk(url: str, namespace: str) -> Queuekit:
    """Its calls end soon: as long a worker that fell asleep looks for what was enqueued meanwhile."""
    return Queuekit(url, namespace=namespace, timeout=2.0)


async def test_an_idle_worker_is_quiet(qk: Queuekit, commands: Commands) -> None:
    qk.task(noop)
    async with qk, qk.worker():
        await eventually(commands.quiet)


async def test_schedules_that_are_not_due_are_no_reason_to_be_less_quiet(
    qk: Queuekit, commands: Commands
) -> None:
    task = qk.task(noop)
    for hour in range(24):
        qk.schedule(f"0 {hour} 1 1 *", name=f"new-year-{hour}", timezone="UTC")(task)
    async with qk, qk.worker():
        await eventually(commands.quiet)


async def test_a_worker_that_rests_begins_jobs_at_once(qk: Queuekit, commands: Commands) -> None:
    task = qk.task(noop)
    async with qk, qk.worker():
        await eventually(commands.quiet)
        handle = await task.enqueue()
        await asyncio.wait_for(handle.result(), PATIENCE)


async def test_a_worker_that_rests_begins_a_job_that_comes_due(
    qk: Queuekit, commands: Commands
) -> None:
    task = qk.task(noop)
    async with qk, qk.worker():
        await eventually(commands.quiet)
        handle = await task.with_options(delay=0.5).enqueue()
        await asyncio.wait_for(handle.result(), PATIENCE)


async def test_a_worker_that_rests_fires_a_schedule_that_is_stored_meanwhile(
    qk: Queuekit, commands: Commands
) -> None:
    tick, ran = ticking(qk)
    async with qk, qk.worker():
        await eventually(commands.quiet)
        await qk.schedules.upsert("each-second", every(1), tick.job())
        await asyncio.wait_for(ran.wait(), PATIENCE)


async def test_a_worker_that_rests_fires_a_schedule_that_is_resumed(
    qk: Queuekit, commands: Commands
) -> None:
    tick, ran = ticking(qk)
    async with qk:
        await qk.schedules.upsert("each-second", every(1), tick.job())
        await qk.schedules.pause("each-second")
        async with qk.worker():
            await eventually(commands.quiet)
            assert not ran.is_set()
            await qk.schedules.resume("each-second")
            await asyncio.wait_for(ran.wait(), PATIENCE)


async def test_a_worker_that_rests_takes_over_from_one_that_was_killed(
    qk: Queuekit, commands: Commands
) -> None:
    """It had nothing when this one looked last, and is gone before this one looks again."""
    task = qk.task(noop)
    async with qk, qk.worker(lease=16.0):
        await eventually(commands.quiet)
        backend, now, job = await qk.backend(), round(time.time() * 1_000_000), task.job()
        claimed = claimed_by(enqueued(job, now), Claimant("killed", 1), 3_000_000, now)
        await backend.transfer.store([claimed])
        await asyncio.wait_for(qk.handle(job.id).result(), 40)


def ticking(qk: Queuekit) -> tuple[Task[[], None], asyncio.Event]:
    """A task, and what its first run sets."""
    ran = asyncio.Event()

    @qk.task
    async def tick() -> None:
        ran.set()

    return tick, ran


async def noop() -> None: ...
