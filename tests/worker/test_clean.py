"""What runs leave behind for the next of their slot (nothing), and what asyncio's own tools do inside of tasks."""

import asyncio
import decimal
import threading
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import structlog
from structlog.testing import capture_logs

from queuekit import JobFailed, Queuekit
from tests.waiting import eventually

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


def soil() -> list[Any]:
    """What the run finds; then it leaves something behind."""
    found = [TENANT.get(), dict(structlog.contextvars.get_contextvars()), decimal.getcontext().prec]
    TENANT.set("somebody")
    structlog.contextvars.bind_contextvars(tenant="somebody")
    decimal.getcontext().prec = 3
    return found


async def soil_and_wait(where: list[Any]) -> None:
    where.append(soil())
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["async", "waits", "helper", "raises", "thread"])
async def test_each_run_begins_with_what_was_set_when_the_worker_started(
    qk: Queuekit, how: str
) -> None:
    found: list[Any] = []

    @qk.task(max_attempts=1)
    async def task() -> None:
        if how == "waits":
            await soil_and_wait(found)
        elif how == "helper":
            await asyncio.create_task(soil_and_wait(found))
        else:
            found.append(soil())
        if how == "raises":
            raise ValueError

    @qk.task
    def thread() -> None:
        found.append(soil())

    TENANT.set("of the program")
    with decimal.localcontext() as context:
        context.prec = 11
        async with qk, qk.worker(concurrency=1, threads=1):
            for _ in range(3):
                job = await (thread if how == "thread" else task).enqueue()
                try:
                    await job.result(timeout=50)
                except JobFailed:
                    assert how == "raises"
        assert decimal.getcontext().prec == 11
    assert found == [["of the program", {}, 11]] * 3


async def test_a_cancel_that_comes_too_late_hits_nobody(qk: Queuekit) -> None:
    tasks: list[Any] = []
    ran: WeakKeyDictionary[Any, list[int]] = WeakKeyDictionary()

    @qk.task
    async def careless(number: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        ran.setdefault(task, []).append(number)
        asyncio.get_running_loop().call_later(0.005 * number, task.cancel)
        tasks.append(task)
        return number

    @qk.task
    async def innocent(number: int) -> int:
        for _ in range(5):
            await asyncio.sleep(0.005)
        return number

    async with qk, qk.worker(concurrency=2):
        jobs: list[Any] = []
        for number in range(10):
            jobs += [await careless.enqueue(number), await innocent.enqueue(number)]
        assert [await job.result(timeout=50) for job in jobs] == [
            n for n in range(10) for _ in "ab"
        ]
    assert sorted(numbers for (numbers,) in ran.values()) == list(range(10))


async def test_timeouts_and_task_groups_work_as_in_plain_asyncio(qk: Queuekit) -> None:
    async def fails() -> None:
        raise KeyError("of one")

    @qk.task(timeout=30, max_attempts=1)
    async def task() -> list[str]:
        told = []
        try:
            async with asyncio.timeout(20):
                try:
                    async with asyncio.timeout(0.01):
                        await asyncio.Event().wait()
                except TimeoutError:
                    told.append("inner")
                await asyncio.sleep(0)
        except TimeoutError:
            told.append("outer")
        try:
            async with asyncio.timeout(0.01):
                async with asyncio.timeout(20):
                    await asyncio.Event().wait()
        except TimeoutError:
            told.append("outer of two")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                group.create_task(asyncio.Event().wait())
        except* KeyError:
            told.append("group")
        await asyncio.sleep(0)
        running = asyncio.current_task()
        assert running is not None
        return [*told, str(running.cancelling())]

    @qk.task(timeout=0.2, max_attempts=1)
    async def too_slow() -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())

    async with qk, qk.worker(concurrency=1):
        told = await (await task.enqueue()).result(timeout=50)
        with pytest.raises(JobFailed, match=r"\(timeout\)"):
            await (await too_slow.enqueue()).result(timeout=50)
        assert await (await task.enqueue()).result(timeout=50) == told
    assert told[:-1] == ["inner", "outer of two", "group"]
    assert told == await asyncio.create_task(task())


@pytest.mark.parametrize("signals", [True, False])
async def test_a_worker_in_another_thread_is_stopped_from_here(qk: Queuekit, signals: bool) -> None:
    workers: list[Any] = []

    @qk.task
    async def task() -> str:
        return threading.current_thread().name

    async def serve() -> None:
        async with qk, qk.worker(signals=signals) as worker:
            workers.append(worker)
            await worker.orders.finish_asked.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="host")
    with capture_logs() as lines:
        thread.start()
        try:
            await eventually(lambda: workers)
            async with Queuekit(qk.settings.url, namespace=qk.settings.namespace) as producer:
                assert await (await producer.enqueue(task.job())).result(timeout=50) == "host"
        finally:
            await eventually(lambda: workers)
            workers[0].stop()
            await eventually(lambda: not thread.is_alive())
    warned = [line for line in lines if "outside of the main thread" in line["event"]]
    assert len(warned) == signals


@pytest.mark.parametrize("left", ["a timer", "a weak key", "a cancellation"])
async def test_what_a_run_without_a_wait_leaves_to_its_asyncio_task_hits_nobody(
    qk: Queuekit, left: str
) -> None:
    seen: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
    fired = asyncio.Event()

    def fire(task: "asyncio.Task[Any]") -> None:
        task.cancel()
        fired.set()

    @qk.task(max_attempts=1)
    async def leaves() -> None:
        me = asyncio.current_task()
        assert me is not None
        if left == "a timer":
            asyncio.get_running_loop().call_later(0.05, fire, me)
        elif left == "a weak key":
            seen[me] = "left"
        else:
            me.cancel()

    @qk.task(max_attempts=1)
    async def follows() -> str | None:
        found = seen.get(asyncio.current_task())
        if left == "a timer":
            await fired.wait()
        await asyncio.sleep(0)
        return found

    async with qk:
        # So many that some follow at once, without anything that the slot itself waits for between them.
        pairs = [job for _ in range(30) for job in (leaves.job(), follows.job())]
        followers = (await qk.enqueue_many(pairs))[1::2]
        async with qk.worker(concurrency=1):
            assert [await job.result(timeout=50) for job in followers] == [None] * 30
