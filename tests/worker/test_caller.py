"""What a caller sees: functions that stay functions, handles, keys and results."""

import asyncio
from uuid import uuid4

import pytest

from queuekit import (
    JobNotFound,
    Queuekit,
    current,
    fixed,
)


async def test_the_function_is_still_a_function(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    assert await double(4) == 8


async def test_enqueue_many_in_one_call(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk:
        handles = await qk.enqueue_many([double.job(n) for n in range(300)])
        await qk.run_worker(burst=True)
        assert [await handle.result(timeout=10) for handle in handles] == [
            2 * n for n in range(300)
        ]


async def test_a_job_that_never_was(qk: Queuekit) -> None:
    async with qk:
        handle = qk.handle(uuid4())
        for ask in (handle.info, handle.status, handle.result, handle.cancel):
            with pytest.raises(JobNotFound):
                await ask()


async def test_result_times_out(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None: ...

    async with qk:
        with pytest.raises(TimeoutError, match="is a worker running"):
            await (await task.enqueue()).result(timeout=0.05)


async def test_enqueue_sync_and_result_sync(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk, qk.worker():
        job = await asyncio.to_thread(double.enqueue_sync, 4)
        assert await asyncio.to_thread(job.result_sync, 10) == 8
        with pytest.raises(RuntimeError, match="would block this thread's event loop"):
            double.enqueue_sync(4)
        with pytest.raises(RuntimeError, match="would block this thread's event loop"):
            job.result_sync()
        await asyncio.to_thread(qk.close_sync)


async def test_keys_deduplicate(qk: Queuekit) -> None:
    @qk.task(key=lambda user: f"u:{user}")
    async def welcome(user: str) -> str:
        return user

    async with qk:
        first, second, other = [await welcome.enqueue(user) for user in ("ada", "ada", "bob")]
        assert (first.deduplicated, second.deduplicated, other.deduplicated) == (False, True, False)
        assert second.id == first.id
        await qk.run_worker(burst=True)
        assert not (await welcome.enqueue("ada")).deduplicated


async def test_options_of_one_call_go_before_the_tasks(qk: Queuekit) -> None:
    @qk.task(timeout=600, backoff=fixed(600), max_attempts=1)
    async def task() -> int:
        if current().attempt == 1:
            await asyncio.Event().wait()
        return current().attempt

    once = task.with_options(timeout=0.05, backoff=fixed(0), max_attempts=2)
    async with qk, qk.worker():
        job = await once.enqueue()
        assert await job.result(timeout=10) == 2
        assert [error.type for error in (await job.info()).errors] == ["TimeoutError"]
