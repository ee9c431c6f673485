"""The types that users see. Never run: mypy and basedpyright check it (`tests/typing/test_typing.py` counts errors)."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, assert_type
from uuid import UUID

from queuekit import Context, Handle, Job, JobInfo, Queuekit, State, cron, every
from queuekit.schedules import ScheduleInfo

qk = Queuekit("sqlite://")


@qk.task
async def plain(to: str, subject: str = "hi") -> int:
    return len(to + subject)


@qk.task(queue="email", max_attempts=5)
async def with_options(to: str) -> int:
    return len(to)


@qk.schedule("0 2 * * *", timezone="Europe/Berlin")
@qk.schedule(every(60), name="often", args=["b"], misfire="all", overlap="skip")
@qk.task
async def recurring(to: str = "a") -> int:
    return len(to)


@qk.task
def resize(ctx: Context, path: Path) -> Path:
    return path


@qk.task(executor="process")
async def with_context(ctx: Context, n: int) -> list[str]:
    return [str(n)]


@qk.task
async def optional_context(n: int, *, ctx: Context | None = None) -> int:
    return n


@qk.task
async def of_anything(data: object, n: int = 1) -> int:
    return n


@qk.task(queue="email")
def of_anything_at_all(data: object = None) -> int:
    return 1


async def right() -> None:
    assert_type(await plain.enqueue("a"), Handle[int])
    assert_type(await plain.enqueue("a", subject="b"), Handle[int])
    assert_type(await with_options.with_options(delay=60, priority=-5).enqueue("a"), Handle[int])
    assert_type(await resize.enqueue(Path()), Handle[Path])
    assert_type(await with_context.enqueue(5), Handle[list[str]])
    assert_type(plain.enqueue_sync("a"), Handle[int])
    assert_type(plain.job("a"), Job[int])
    assert_type(await qk.enqueue_many([plain.job("a"), with_options.job("b")]), list[Handle[int]])
    handle = await plain.enqueue("a")
    assert_type(await handle.result(timeout=50), int)
    assert_type(handle.result_sync(), int)
    assert_type(await handle.status(), State)
    assert_type(await handle.info(), JobInfo)
    assert_type(handle.id, UUID)
    assert_type(qk.handle(handle.id, task=plain), Handle[int])
    assert_type(qk.handle("01900000-0000-7000-8000-000000000000"), Handle[Any])
    assert_type(await recurring.enqueue("a"), Handle[int])
    await qk.schedules.upsert("one", cron("@daily"), recurring.job("a"), jitter=5, count=3)
    assert_type(await qk.schedules.get("one"), ScheduleInfo)
    assert_type(await plain("a"), int)
    coroutine: Coroutine[Any, Any, int] = plain("a")
    assert_type(await coroutine, int)
    assert_type(resize(Path()), Path)
    assert_type(await with_context(5), list[str])
    assert_type(await optional_context(5), int)
    assert_type(await of_anything(data=5, n=2), int)
    assert_type(await of_anything.enqueue("a"), Handle[int])
    assert_type(of_anything_at_all(), int)
    assert_type(await qk.enqueue_many([plain.job("a"), resize.job(Path())]), list[Handle[Any]])
    assert_type(await qk.enqueue_many((plain.job("a"), with_context.job(1))), list[Handle[Any]])
    assert_type(await qk.enqueue_many(plain.job(to) for to in "ab"), list[Handle[int]])
    several: list[Job[Any]] = [plain.job("a")]
    several.append(resize.job(Path()))
    assert_type(await qk.enqueue_many(several), list[Handle[Any]])
    anything: Handle[object] = handle
    await anything.result()
    await qk.run_worker(["email"], concurrency=5, burst=True)
    async with qk.worker(threads=2, grace=0.5, signals=True):
        pass


async def wrong() -> None:
    await plain.enqueue(5)  # E: a number for a string
    await plain.enqueue()  # E: a missing argument
    await plain.enqueue("a", other=1)  # E: an unknown argument
    await with_options.with_options(delay=5).enqueue(5)  # E: still checked with options
    with_options.with_options(dealy=5)  # E: a misspelt option
    with_options.with_options(priority="high")  # E: an option of another type
    await resize.enqueue("a")  # E: a string for a path
    resize.job(Context, Path())  # E: the context is never passed
    qk.task(queue=5)  # E: an option of another type
    qk.schedule("@daily", misfire="never")(plain)  # E: no such way to make up for ticks
    qk.schedule("@daily", tz="UTC")  # E: a misspelt option of a schedule
    qk.schedule(60)(plain)  # E: a number for an interval
    qk.schedule("@daily")(len)  # E: a function for a task
    await qk.schedules.upsert("one", "@daily", plain)  # E: a task for a job
    plain.enqueue_sync(b"")  # E: bytes for a string
    await with_context(Context, 5)  # E: the context is not passed to a task that is called
    await of_anything()  # E: a missing argument of any type
    await of_anything(5, n="a")  # E: a string for a number
    await qk.enqueue_many([plain.enqueue("a")])  # E: coroutines for jobs
    await qk.run_worker(concurrencies=5)  # E: a misspelt option of the worker
    qk.worker(burst="yes")  # E: an option of the worker of another type
