"""The types that users see. Never run: mypy and basedpyright check it (`tests/typing/test_typing.py` counts errors)."""

from pathlib import Path
from typing import assert_type
from uuid import UUID

from queuekit import Context, Handle, Job, JobInfo, Queuekit, State

qk = Queuekit("sqlite://")


@qk.task
async def plain(to: str, subject: str = "hi") -> int:
    return len(to + subject)


@qk.task(queue="email", max_attempts=5)
async def with_options(to: str) -> int:
    return len(to)


@qk.task
def resize(ctx: Context, path: Path) -> Path:
    return path


@qk.task(executor="process")
async def with_context(ctx: Context, n: int) -> list[str]:
    return [str(n)]


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
    assert_type(await handle.result(timeout=10), int)
    assert_type(handle.result_sync(), int)
    assert_type(await handle.status(), State)
    assert_type(await handle.info(), JobInfo)
    assert_type(handle.id, UUID)
    assert_type(qk.handle(handle.id, task=plain), Handle[int])
    assert_type(await plain("a"), int)


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
    plain.enqueue_sync(b"")  # E: bytes for a string
