"""What a caller sees: functions that stay functions, handles, keys and results."""

import asyncio
from typing import Any

import pytest

from queuekit import (
    InvalidOption,
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
        assert [await handle.result(timeout=50) for handle in handles] == [
            2 * n for n in range(300)
        ]


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
        assert await job.result(timeout=50) == 2
        assert [error.type for error in (await job.info()).errors] == ["TimeoutError"]


async def test_jobs_of_different_tasks_in_one_call(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    @qk.task
    def shout(text: str) -> str:
        return text.upper()

    async with qk, qk.worker():
        handles = await qk.enqueue_many(job for job in (double.job(4), shout.job("a")))
        assert [await handle.result(timeout=50) for handle in handles] == [8, "A"]


async def test_what_is_no_job_is_not_enqueued(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk:
        unstarted: Any = double.enqueue(4)
        with pytest.raises(InvalidOption, match=r"takes jobs; make each with task\.job"):
            await qk.enqueue_many([double.job(4), unstarted])
        unstarted.close()
        assert not await qk.inspect.list()


# A worker beside a block


def add_task(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None: ...


async def test_what_the_block_raises_comes_out_as_it_is(qk: Queuekit) -> None:
    add_task(qk)
    for mine in (KeyError("mine"), ExceptionGroup("mine", [KeyError("mine")])):
        mine.__cause__ = ValueError("why")
        with pytest.raises(type(mine)) as error:
            async with qk.worker():
                raise mine
        assert error.value is mine
        assert error.value.__context__ is None
        assert isinstance(error.value.__cause__, ValueError)


async def test_a_part_of_the_worker_that_fails_comes_out_of_its_groups(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_task(qk)

    async def fail(*_: Any) -> None:
        raise OSError("of a part")

    monkeypatch.setattr("queuekit.worker.reporter.Reporter.run", fail)
    with pytest.raises(OSError, match="of a part"):
        async with qk.worker():
            await asyncio.Event().wait()


async def test_if_both_fail_the_blocks_error_comes_out_and_tells_of_the_workers(
    qk: Queuekit,
) -> None:
    add_task(qk)
    failing = asyncio.Event()

    @qk.on_startup
    async def fail() -> None:
        await failing.wait()
        raise OSError("of the worker")

    async def block() -> None:
        async with qk.worker():
            failing.set()
            raise KeyError("mine")

    with pytest.raises(KeyError) as error:
        await block()
    assert error.value.__notes__ == ["The worker beside it failed, too: OSError('of the worker')"]


async def test_a_block_that_is_cancelled_is_cancelled(qk: Queuekit) -> None:
    add_task(qk)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), qk.worker():
            await asyncio.Event().wait()
