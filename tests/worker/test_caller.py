"""What a caller sees: functions that stay functions, handles, keys and results."""

import asyncio
import math
from typing import Any
from uuid import uuid4

import pytest

from queuekit import (
    InvalidOption,
    JobNotFound,
    Queuekit,
    State,
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


async def test_jobs_of_different_tasks_in_one_call(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    @qk.task
    def shout(text: str) -> str:
        return text.upper()

    async with qk, qk.worker():
        handles = await qk.enqueue_many(job for job in (double.job(4), shout.job("a")))
        assert [await handle.result(timeout=10) for handle in handles] == [8, "A"]


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


async def test_a_handle_of_an_id_as_text(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk, qk.worker():
        job = await double.enqueue(4)
        assert await qk.handle(str(job.id), task=double).result(timeout=10) == 8
    others: list[Any] = ["", "email", 5, None, job]
    for other in others:
        with pytest.raises(InvalidOption, match="is no job's id; pass a UUID, or its text"):
            qk.handle(other)


async def test_a_handle_of_another_tasks_job_says_so(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    @qk.task(name="shout", aliases=["whisper"])
    async def shout(text: str) -> str:
        return text

    async with qk, qk.worker():
        job = await double.enqueue(4)
        assert await job.result(timeout=10) == 8
        for wrong in (
            qk.handle(job.id, task=shout),
            qk.handle(job.id, task=shout, queue="default"),
        ):
            for look in (wrong.info, wrong.result):
                with pytest.raises(
                    JobNotFound, match=f"{job.id} is one of task 'double', not of 'shout'"
                ):
                    await look()
            assert await wrong.status() is State.SUCCEEDED
        for right in (qk.handle(job.id, task=double), qk.handle(job.id)):
            assert await right.result() == (await right.info()).result == 8


async def test_the_job_that_holds_a_key_may_be_another_tasks(qk: Queuekit) -> None:
    @qk.task(key="one")
    async def double(n: int) -> int:
        return 2 * n

    @qk.task(key="one")
    async def shout(text: str) -> str:
        return text

    async with qk:
        first = await double.enqueue(4)
        second = await shout.enqueue("a")
        assert second.deduplicated
        assert second.id == first.id
        assert await second.status() is State.READY
        with pytest.raises(JobNotFound, match="is one of task 'double', not of 'shout'"):
            await second.info()


async def test_a_handle_of_a_task_that_was_renamed(qk: Queuekit) -> None:
    @qk.task(name="shout", aliases=["whisper"])
    async def shout(text: str) -> str:
        return text

    async with qk, qk.worker():
        job = await qk.enqueue(shout.job("a")._replace(task="whisper"))
        assert await qk.handle(job.id, task=shout).result(timeout=10) == "a"


@pytest.mark.parametrize("timeout", [-1, math.nan, "5"])
async def test_a_wait_that_can_not_be(qk: Queuekit, timeout: Any) -> None:
    async with qk:
        with pytest.raises(InvalidOption, match="timeout: pass seconds or a timedelta, at least 0"):
            await qk.handle(uuid4()).result(timeout=timeout)


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
