"""Ticks of schedules, with real workers: each makes one job, whoever is killed."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from queuekit import Context, JobFilter, Queuekit, every
from queuekit.plan import id_of_tick
from queuekit.schedule import ScheduleRef
from tests.waiting import eventually
from tests.worker.processes import Fleet

APP = f"{Path(__file__).with_name('ticking.py')}:qk"
NAMES = ("tick", "in-berlin")


@pytest.fixture
def fleets(url: str, namespace: str, tmp_path: Path) -> Iterator[list[Fleet]]:
    """Three workers, each a process of its own."""
    env = {"QUEUEKIT_URL": url, "QUEUEKIT_NAMESPACE": namespace, "QUEUEKIT_LEASE": "2"}
    with ExitStack() as stack:
        started = [Fleet(APP, (), tmp_path / f"log-{n}", **env) for n in range(3)]
        for fleet in started:
            stack.callback(fleet.clear_away)
        yield started


async def test_each_tick_makes_one_job_though_workers_are_killed(
    qk: Queuekit, fleets: list[Fleet]
) -> None:
    async with qk:

        async def ticks(name: str) -> list[str]:
            known = {one.name for one in await qk.schedules.list()}
            return [one.tick for one in await qk.schedules.ticks(name)] if name in known else []

        async def gone_on(until: int) -> bool:
            return all([await count(qk, name) >= until for name in NAMES])

        for fleet, until in zip(fleets, (2, 4, 6), strict=True):
            await fleet.started()
            await eventually(lambda until=until: gone_on(until), 50)  # type: ignore[misc]
            if fleet is not fleets[-1]:
                fleet.signal(signal.SIGKILL)
        for name in NAMES:
            seen = sorted(await ticks(name))
            moments = [datetime.fromisoformat(tick) for tick in seen]
            assert {after - before for before, after in pairwise(moments)} <= {timedelta(seconds=1)}
        jobs = Counter(job.id for job in await qk.inspect.list(JobFilter(), limit=500))
        made = sum([await count(qk, name) for name in NAMES])
        assert set(jobs.values()) == {1}
        assert len(jobs) in {made, made + 1, made + 2}  # what fires while this looks
        last = (await qk.schedules.ticks("tick"))[0]
        assert last.job == id_of_tick(ScheduleRef("default", "tick"), last.tick)


async def count(qk: Queuekit, name: str) -> int:
    """How many ticks have fired."""
    found = await (await qk.backend()).schedules.find()
    return sum(one.count for one in found if one.ref.name == name)


async def test_a_job_knows_the_time_that_was_meant(qk: Queuekit) -> None:
    seen: list[datetime | None] = []

    @qk.schedule("* * * * * *", timezone="Asia/Tokyo", count=1)
    @qk.task
    async def tick(ctx: Context) -> None:
        seen.append(ctx.scheduled_for)

    async with qk, qk.worker():
        await eventually(lambda: bool(seen))
        await (await tick.enqueue()).result(20)
        (scheduled,) = await qk.schedules.ticks("tick")
    first, second = seen
    assert first is not None
    assert str(first.tzinfo) == "Asia/Tokyo"
    assert first.replace(tzinfo=None).isoformat() == scheduled.tick
    assert second is None


async def test_what_may_not_overlap_waits_for_none(qk: Queuekit) -> None:
    """A tick makes no job while that of an earlier one runs, and goes on when it has ended."""
    go_on, runs = asyncio.Event(), list[int]()

    @qk.schedule(every(1), overlap="skip")
    @qk.task
    async def slow() -> None:
        runs.append(1)
        await go_on.wait()

    async def left_out() -> bool:
        return None in [one.job for one in await qk.schedules.ticks("slow")]

    async with qk, qk.worker():
        await eventually(lambda: bool(runs))
        await eventually(left_out)
        assert len(runs) == 1
        go_on.set()
        await eventually(lambda: len(runs) > 1)


async def test_a_burst_runs_what_is_due(qk: Queuekit) -> None:
    """As on a host that starts a worker now and then."""
    seen: list[int] = []

    @qk.task
    async def tick() -> None:
        seen.append(1)

    async with qk:
        await qk.schedules.upsert("each", every(1), tick.job(), misfire="all", count=3)
        backend = await qk.backend()

        async def due() -> bool:
            found = await backend.schedules.due(["default"], 1)
            return bool(found.schedules)

        for _ in range(3):
            await eventually(due)
            await qk.run_worker(burst=True)
            if len(seen) == 3:
                break
        (last, *_) = await qk.schedules.ticks("each")
        assert last.state == "succeeded"
    assert 1 <= len(seen) <= 3
