"""The worker as a whole: options, hooks, and how it stops."""

import asyncio
import math
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit import (
    ConfigurationError,
    Context,
    InvalidOption,
    Queuekit,
    State,
)
from queuekit.worker.slot import TURN
from tests.waiting import eventually


async def test_burst_runs_what_there_is_and_returns(qk: Queuekit) -> None:
    @qk.task
    async def parent(n: int) -> None:
        if n:
            await parent.enqueue(n - 1)

    async with qk:
        await parent.enqueue(3)
        await qk.run_worker(burst=True)
        done = await qk.inspect.list()
    assert [job.state for job in done] == [State.SUCCEEDED] * 4


@pytest.mark.parametrize("concurrency", [1, 50])
async def test_jobs_that_await_nothing_let_others_have_their_turn(
    qk: Queuekit, concurrency: int
) -> None:
    turns, seen = 0, list[int]()

    @qk.task
    async def busy() -> None:
        seen.append(turns)
        end = time.monotonic() + TURN
        while time.monotonic() < end:
            pass

    async def other() -> None:
        nonlocal turns
        while len(seen) < 60:
            turns += 1
            await asyncio.sleep(0)

    async with qk:
        await qk.enqueue_many([busy.job() for _ in range(60)])
        async with qk.worker(concurrency=concurrency):
            await asyncio.wait_for(other(), 30)
    assert max(Counter(seen).values()) <= concurrency


async def test_hooks_run_around_the_worker(qk: Queuekit) -> None:
    seen = []

    @qk.on_startup
    def first() -> None:
        seen.append("sync startup")

    @qk.on_startup
    async def second() -> None:
        seen.append("async startup")

    @qk.on_shutdown
    async def last() -> None:
        seen.append("shutdown")

    @qk.task
    async def task() -> None:
        seen.append("job")

    async with qk:
        await task.enqueue()
        await qk.run_worker(burst=True)
    assert seen == ["sync startup", "async startup", "job", "shutdown"]


async def test_leaving_the_block_lets_running_jobs_finish(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task() -> str:
        started.set()
        await asyncio.sleep(0.1)
        return "finished"

    async with qk:
        job = await task.enqueue()
        async with qk.worker():
            await started.wait()
        assert await job.result(timeout=1) == "finished"


async def test_a_worker_may_be_entered_again(qk: Queuekit) -> None:
    @qk.task
    async def task() -> int:
        return 1

    processes = []
    beside = qk.worker()
    for _ in range(2):
        async with qk, beside as worker:
            assert await (await task.enqueue()).result(timeout=50) == 1
            processes.append(worker.process)
    assert len(set(processes)) == 2


async def test_a_worker_that_runs_is_not_entered(qk: Queuekit) -> None:
    @qk.task
    async def task() -> int:
        return 1

    beside = qk.worker()
    async with qk, beside:
        with pytest.raises(InvalidOption, match=r"runs already; call qk\.worker\(\) once for each"):
            async with beside:
                pass
        assert await (await task.enqueue()).result(timeout=50) == 1


async def test_a_worker_that_could_not_start_may_be_entered_again(qk: Queuekit) -> None:
    beside = qk.worker()
    async with qk:
        with pytest.raises(ConfigurationError, match="no task"):
            async with beside:
                pass

        @qk.task
        async def task() -> int:
            return 1

        async with beside:
            assert await (await task.enqueue()).result(timeout=50) == 1


async def test_after_the_grace_period_jobs_are_released_uncounted(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with qk:
        job = await endless.enqueue()
        async with qk.worker(grace=0):
            await started.wait()
        info = await job.info()
    assert (info.state, info.attempt, info.errors) == (State.READY, 0, ())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"colour": "red"},
            "worker: colour is no option; known are queues, concurrency, .*signals",
        ),
        ({"concurrency": 0}, "concurrency=0: .*greater than or equal to 1"),
        ({"concurrency": "5"}, "concurrency='5': .*a valid integer"),
        ({"lease": 0.01}, "lease=0.01: pass seconds or a timedelta, at least 0.05 and at most"),
        ({"lease": timedelta(days=3_661)}, "lease=.*: pass seconds or a timedelta, at least 0.05"),
        ({"grace": -1}, "grace=-1: pass seconds or a timedelta, at least 0"),
        ({"grace": math.nan}, "grace=nan: pass seconds"),
        ({"grace": math.inf}, "grace=inf: pass seconds"),
        ({"grace": 1.7e12}, "grace=.*were milliseconds or a moment meant as seconds"),
        ({"queues": ["a b"]}, "queues='a b': 1 to 128 letters"),
        ({"queues": "email"}, "queues='email': .*not allowed as a Sequence"),
    ],
)
async def test_wrong_options_are_refused_before_anything_runs(
    qk: Queuekit, options: dict[str, Any], says: str
) -> None:
    @qk.task
    async def task() -> None: ...

    async with qk:
        with pytest.raises(InvalidOption, match=says):
            await qk.run_worker(**options)
        with pytest.raises(InvalidOption, match=says):
            async with qk.worker(**options):
                pass


async def test_durations_of_a_worker_may_be_timedeltas(qk: Queuekit) -> None:
    @qk.task
    async def task() -> int:
        return 1

    async with qk, qk.worker(lease=timedelta(minutes=1), grace=timedelta(seconds=5)):
        assert await (await task.enqueue()).result(timeout=timedelta(seconds=10)) == 1


async def test_an_app_without_tasks_has_nothing_to_serve(qk: Queuekit) -> None:
    with pytest.raises(ConfigurationError, match=r"define one with @qk\.task"):
        await qk.run_worker()


async def test_a_startup_hook_that_fails_ends_the_worker_and_the_block_beside_it(
    qk: Queuekit,
) -> None:
    @qk.on_startup
    def hook() -> None:
        raise ZeroDivisionError

    @qk.task
    async def task() -> None: ...

    with pytest.raises(ZeroDivisionError):
        async with qk, qk.worker():
            await asyncio.Event().wait()


async def test_a_worker_says_what_it_does(qk: Queuekit) -> None:
    go = asyncio.Event()

    @qk.task(queue="mail")
    async def task(ctx: Context) -> str:
        await go.wait()
        return repr(ctx)

    async with qk:
        async with qk.worker() as worker:
            job = await task.enqueue()
            await eventually(lambda: "1 running" in repr(worker))
            assert repr(worker) == "<Worker of mail: <Board: 0 claimed, 1 running, 0 done>>"
            go.set()
            assert await job.result(timeout=50) == f"<Context of job {job.id}, attempt 1 of 5>"
        assert "1 done" in repr(worker)


async def test_a_second_stop_means_at_once(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with qk:
        job = await endless.enqueue()
        async with qk.worker(grace=600) as worker:
            assert "not running" in repr(worker)
            await started.wait()
            worker.stop()
            worker.stop()
        assert await job.status() is State.READY


async def test_a_stop_and_leaving_the_block_are_one_request(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task(ctx: Context) -> str:
        started.set()
        while not ctx.shutting_down:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        return "finished"

    async with qk:
        job = await task.enqueue()
        async with qk.worker() as worker:
            await started.wait()
            worker.stop()
        assert await job.result(timeout=1) == "finished"


@pytest.mark.parametrize("threads", [False, True])
async def test_a_worker_that_is_cancelled_still_closes_what_it_opened(
    qk: Queuekit, threads: bool
) -> None:
    started, go, seen = threading.Event(), threading.Event(), []

    @qk.on_shutdown
    def hook() -> None:
        seen.append("shutdown")

    @qk.task
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    @qk.task
    def block() -> None:
        started.set()
        go.wait(20)

    async with qk:
        task: Any = block if threads else wait
        jobs: list[Any] = await qk.enqueue_many([task.job(), task.job()])
        worker = asyncio.create_task(qk.run_worker(threads=1, signals=False))
        await eventually(started.is_set)
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
        go.set()
        assert seen == ["shutdown"]
        states = [await job.status() for job in jobs]
        # What has not begun may have been given back on the way.
        assert set(states) <= {State.RUNNING, State.READY}
        if threads:
            assert State.RUNNING in states
        assert await qk.inspect.workers() == []


async def test_a_task_that_waits_for_a_job_without_a_slot_is_named(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.store.LOOK_AT_SLOTS", 0.05)

    @qk.task
    async def child() -> str:
        return "done"

    @qk.task
    async def parent(concurrency: int) -> str:
        job = await child.enqueue()
        try:
            return await job.result(timeout=3 if concurrency == 1 else 10)
        except TimeoutError:
            return "in vain"

    async with qk:
        for concurrency, result, warned in ((2, "done", False), (1, "in vain", True)):
            with capture_logs() as lines:
                async with qk.worker(concurrency=concurrency):
                    job = await parent.enqueue(concurrency)
                    assert await job.result(timeout=50) == result
            warnings = [line for line in lines if line["log_level"] == "warning"]
            assert [(line["task"], line["waits_for"]) for line in warnings] == [
                ("parent", "child")
            ] * warned
