"""The tasks that are run and killed; what they do is in the ledger."""

import asyncio
import ctypes
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from queuekit import Context, Queuekit, Snooze, fixed
from tests.chaos import ledger

# The dead leave no core files behind.
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

qk = Queuekit()


class PlannedError(Exception):
    """An attempt that is meant to fail."""


@qk.task
async def work(ctx: Context, ms: float) -> int:
    """Take some time; the result says which run it was."""
    with _noted(ctx):
        await asyncio.sleep(ms / 1000)
    return ctx.attempt_token


@qk.task
def work_in_thread(ctx: Context, ms: float) -> int:
    """The same where nobody can interrupt it."""
    with _noted(ctx):
        time.sleep(ms / 1000)
    return ctx.attempt_token


@qk.task(backoff=fixed(0))
async def fail_once(ctx: Context, ms: float) -> int:
    """Fail the first attempt."""
    with _noted(ctx):
        await asyncio.sleep(ms / 1000)
        if ctx.attempt == 1:
            raise PlannedError
    return ctx.attempt_token


@qk.task
async def snooze_once(ctx: Context, ms: float) -> int:
    """Put the first run off."""
    with _noted(ctx):
        await asyncio.sleep(ms / 1000)
        if _first_time(ctx):
            raise Snooze(ms / 1000)
    return ctx.attempt_token


@qk.task
async def hold(ctx: Context) -> int:
    """Take very long the first time."""
    with _noted(ctx):
        if _first_time(ctx):
            await asyncio.sleep(60)
    return ctx.attempt_token


@qk.task
async def poison(ctx: Context, kind: str) -> None:
    """Kill the process that runs it."""
    with _noted(ctx):
        POISONS[kind]()


def _exit() -> None:
    os._exit(3)


def _segfault() -> None:
    ctypes.string_at(0)


def _hog() -> None:
    """Take memory up to the limit, and end as a C library does that gets no more."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (64 << 20), hard))
    hoard = []
    try:
        while True:
            hoard.append(b"\1" * (4 << 20))
    except MemoryError:
        os.abort()


POISONS: Final[dict[str, Callable[[], None]]] = {
    "exit": _exit,
    "segfault": _segfault,
    "hog": _hog,
}


@contextmanager
def _noted(ctx: Context) -> Iterator[None]:
    run = (ctx.job_id, ctx.attempt_token, ctx.attempt)
    ledger.note("start", *run)
    try:
        yield
    finally:
        if ctx.lease_lost:
            ledger.note("lost", *run)
    ledger.note("end", *run)


def _first_time(ctx: Context) -> bool:
    """Whether the job has never come so far; remembered beside the ledger."""
    try:
        Path(os.environ[ledger.FOLDER], str(ctx.job_id)).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
