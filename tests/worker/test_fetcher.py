"""Which jobs a worker claims, and when it begins them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit import (
    Context,
    JobFailed,
    Queuekit,
    State,
)
from queuekit.app import worker_of
from queuekit.backend import Ask
from queuekit.job import Claimant
from queuekit.worker.options import WorkerOptions
from queuekit.worker.worker import Worker
from tests.waiting import eventually


async def test_a_job_is_cancelled_before_it_begins(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None:
        raise AssertionError("must not run")

    async with qk:
        job = await task.enqueue()
        await job.cancel()
        await qk.run_worker(burst=True)
        assert await job.status() is State.CANCELLED


async def test_delayed_jobs_start_when_they_are_due(qk: Queuekit) -> None:
    @qk.task(delay=0.2)
    async def later(ctx: Context) -> int:
        return ctx.attempt

    async with qk, qk.worker():
        job = await later.enqueue()
        assert await job.status() is State.SCHEDULED
        assert await job.result(timeout=50) == 1
        info = await job.info()
    assert info.started_at is not None
    waited = (info.started_at - info.enqueued_at).total_seconds()
    assert waited >= 0.199


async def test_a_slow_task_hoards_nothing_that_others_could_run(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    release, quick = asyncio.Event(), []

    def tasks(app: Queuekit, name: str) -> Any:
        @app.task(name="task")
        async def task(slow: bool) -> None:
            if slow:
                await release.wait()
            else:
                quick.append(name)

        return task

    task = tasks(qk, "first")
    elsewhere = another()
    tasks(elsewhere, "second")
    async with qk, elsewhere, qk.worker(concurrency=1):
        await task.enqueue(True)
        await eventually(lambda: any_running(qk))
        await qk.enqueue_many([task.job(False) for _ in range(20)])
        async with elsewhere.worker(concurrency=1):
            await eventually(lambda: len(quick) == 20)
            release.set()


async def test_more_urgent_jobs_go_first(qk: Queuekit) -> None:
    order = []

    @qk.task
    async def task(n: int) -> None:
        order.append(n)

    async with qk:
        for n, priority in enumerate([5, 0, -5, 0]):
            await task.with_options(priority=priority).enqueue(n)
        await qk.run_worker(burst=True, concurrency=1)
    assert order == [2, 1, 3, 0]


async def test_a_job_that_expires_while_it_waits_here_never_begins(qk: Queuekit) -> None:
    go, runs = asyncio.Event(), []

    @qk.task
    async def task(n: int) -> None:
        runs.append(n)
        await go.wait()

    async with qk:
        await task.enqueue(1)
        job = await task.with_options(expires=0.2).enqueue(2)
        async with qk.worker(concurrency=1) as worker:
            await eventually(lambda: runs and overdue(worker))
            go.set()
            with pytest.raises(JobFailed, match=r"failed \(expired\)"):
                await job.result(timeout=50)
    assert runs == [1]


async def test_a_burst_goes_on_with_what_a_job_enqueued_while_a_claim_found_nothing(
    qk: Queuekit,
) -> None:
    claim_is_held, ran = asyncio.Event(), []

    @qk.task
    async def quick() -> None: ...

    @qk.task
    async def parent() -> None:
        await claim_is_held.wait()
        await child.enqueue()

    @qk.task
    async def child() -> None:
        ran.append("child")

    async with qk:
        backend = await qk.backend()
        fetch = backend.fetch

        async def held(*asked: Any, **more: Any) -> Any:
            fetched = await fetch(*asked, **more)
            if worker.running and asked[0].limit and not fetched.claims:
                claim_is_held.set()
                await eventually(lambda: not worker.running)
            return fetched

        backend.fetch = held  # type: ignore[method-assign]
        await qk.enqueue_many([parent.job(), quick.job()])
        worker = worker_of(qk, WorkerOptions(burst=True))
        await worker.run()
    assert ran == ["child"]


async def test_jobs_of_a_worker_that_died_are_rescued_and_run(qk: Queuekit) -> None:
    @qk.task
    async def task() -> str:
        return "done"

    async with qk:
        job = await task.enqueue()
        await (await qk.backend()).fetch(Ask(["default"], 1, Claimant("dead", 1), 200_000))
        with capture_logs() as lines:
            async with qk.worker():
                assert await job.result(timeout=50) == "done"
        info = await job.info()
    assert (info.attempt, info.lapses) == (1, 1)
    assert [line["count"] for line in lines if "rescued" in line["event"]] == [1]


def overdue(worker: Worker) -> bool:
    assert worker._parts is not None
    return all(run.age() > 0.2 for run in worker._parts.board.buffer)


async def any_running(app: Queuekit) -> bool:
    return any(queue.counts.get(State.RUNNING) for queue in await app.inspect.queues())
