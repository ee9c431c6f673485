# ruff: noqa: BLE001, RSE102, SIM105, T201  # no task should, these do
"""An app whose tasks do what no task should, and innocent ones among them. Imported by workers' children, too."""

import asyncio
import contextvars
import decimal
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from queuekit import Cancel, Context, GiveUp, Queuekit, Retry, Snooze, current, fixed

qk = Queuekit()

tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
kept: list[Any] = []
by_task: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
AGAIN = 0.01


class Mute(Exception):
    """Has nothing to say, and that badly."""

    def __str__(self) -> str:
        raise self

    __repr__ = __str__

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
        raise SystemExit

    def __getattribute__(self, name: str) -> Any:
        raise GeneratorExit


class EndlessCause(Exception):
    @property
    def __cause__(self) -> BaseException:  # pyright: ignore[reportIncompatibleVariableOverride]
        return EndlessCause()

    @__cause__.setter
    def __cause__(self, value: Any) -> None: ...  # pyright: ignore[reportIncompatibleVariableOverride]


class Unprepared(Cancel):
    def __init__(self) -> None: ...


class SnoozeInWords(Snooze):
    def __init__(self) -> None:
        super().__init__(0)
        self.delay: Any = "a while"


class Odd(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError

    def encode(self, encoding: str = "", errors: str = "") -> Any:
        raise TypeError


def cyclic() -> BaseException:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__context__ = second, first
    return BaseExceptionGroup("a group", [first, asyncio.CancelledError(), GeneratorExit()])


ERRORS: list[Callable[[], BaseException]] = [
    lambda: ValueError("plain"),
    lambda: ValueError("\0\ud800" * 1_000),
    Mute,
    EndlessCause,
    cyclic,
    SystemExit,
    lambda: SystemExit(0),
    KeyboardInterrupt,
    GeneratorExit,
    StopIteration,
    StopAsyncIteration,
    asyncio.CancelledError,
    TimeoutError,
    RecursionError,
    MemoryError,
    BaseException,
    lambda: Cancel(Mute()),
    lambda: Cancel("\0" * 5_000),
    Unprepared,
    lambda: GiveUp(Odd("x")),
    lambda: Retry(delay=0, reason=Odd("\ud800")),
    lambda: Retry(delay=1e300),
    lambda: Snooze(float("nan")),
    lambda: Snooze(-1),
    SnoozeInWords,
]

RESULTS: list[Callable[[], Any]] = [
    lambda: None,
    object,
    lambda: float("nan"),
    lambda: "\0\ud800",
    lambda: 10**5_000,
    lambda: {Odd("x"): Mute()},
    lambda: lambda: None,
    lambda: iter([1, 2]),
    lambda: asyncio.Event().wait(),
    lambda: type,
    lambda: sys.modules,
]


def stain() -> None:
    """Leave traces in all that a run could share with the next."""
    tenant.set("somebody")
    decimal.getcontext().prec = 3
    structlog.contextvars.bind_contextvars(tenant="somebody")


def report(n: int) -> None:
    """Say what can't be stored, or hardly."""
    ctx = current()
    values: list[Any] = [0.5, float("nan"), "half", None, 10**400, Mute()]
    try:
        ctx.progress(values[n % len(values)], Odd("note") if n % 2 else "\0\ud800" * 2_000)
        ctx.log(Odd("\0") if n % 3 else Mute())
    except Exception:
        ctx.log("not stored")


def fork_and_return() -> None:
    """The copy comes back from the task, too."""
    pid = os.fork()
    if pid:
        threading.Thread(target=reap, args=(pid,), daemon=True).start()


def reap(pid: int) -> None:
    """See to its end: a copy of a process with threads may hang in a lock that one of them held."""
    for _ in range(100):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


async def swallow(seconds: float) -> None:
    """Heed nothing for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.01)
        except BaseException:
            pass


async def cancel_helper(n: int) -> None:
    helper = asyncio.ensure_future(asyncio.Event().wait())
    helper.cancel()
    await helper


async def cancelled_by_helper(n: int) -> None:
    me = asyncio.current_task()
    assert me is not None

    async def helper() -> None:
        me.cancel("by a helper")

    async with asyncio.TaskGroup() as group:
        group.create_task(helper())
        await asyncio.Event().wait()


async def cancel_now(n: int) -> None:
    me = asyncio.current_task()
    assert me is not None
    for _ in range(n % 3 + 1):
        me.cancel()
    if n % 2:
        await asyncio.sleep(0)


async def cancel_later(n: int) -> None:
    """A timeout made at home, which nobody calls off."""
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().call_later(n % 5 * 0.01, me.cancel)
    if n % 2:
        await asyncio.sleep(0.02)


async def keep_task(n: int) -> None:
    kept.append(asyncio.current_task())
    by_task[asyncio.current_task()] = "mine"
    for task in kept[-20:]:
        task.cancel()


async def orphan(n: int) -> None:
    """A helper that goes on, and fails."""

    async def helper() -> None:
        await asyncio.sleep(n % 5 * 0.01)
        raise RuntimeError("of an orphan")

    task = asyncio.ensure_future(helper())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    kept.append(task)


async def scopes(n: int) -> None:
    try:
        async with asyncio.timeout(0.005):
            async with asyncio.timeout(1):
                await asyncio.sleep(1)
    except TimeoutError:
        if n % 2:
            raise


async def wait_a_little(n: int) -> None:
    await asyncio.sleep(n % 4 * 0.005)


async def raise_error(n: int) -> None:
    if n % 2:
        await asyncio.sleep(0)
    raise ERRORS[n % len(ERRORS)]()


async def forked(n: int) -> None:
    fork_and_return()
    if n % 2:
        await asyncio.sleep(0)


def plain(function: Callable[[int], Any]) -> Callable[[int], Coroutine[Any, Any, None]]:
    async def call(n: int) -> None:
        function(n)

    return call


ASYNC: dict[str, Callable[[int], Coroutine[Any, Any, None]]] = {
    "raise": raise_error,
    "stain": plain(lambda n: stain()),
    "report": plain(report),
    "swallow": lambda n: swallow((0.0, 0.1, 600.0)[n % 3]),
    "cancel helper": cancel_helper,
    "cancelled by helper": cancelled_by_helper,
    "cancel now": cancel_now,
    "cancel later": cancel_later,
    "keep task": keep_task,
    "orphan": orphan,
    "scopes": scopes,
    "wait": wait_a_little,
    "fork": forked,
    "block": plain(lambda n: time.sleep(n % 3 * 0.01)),
}


def raise_sync(n: int) -> None:
    raise ERRORS[n % len(ERRORS)]()


def dies(n: int) -> None:
    os._exit(n % 3)


def close_files(n: int) -> None:
    os.closerange(3, 100)


def read_stdin(n: int) -> None:
    assert sys.stdin.read() == ""


SYNC: dict[str, Callable[[int], None]] = {
    "raise": raise_sync,
    "stain": lambda n: stain(),
    "report": report,
    "fork": lambda n: fork_and_return(),
    "block": lambda n: time.sleep(n % 4 * 0.02),
    "exit": lambda n: sys.exit(n % 3),
}
IN_CHILDREN: dict[str, Callable[[int], None]] = {
    **SYNC,
    "die": dies,
    "close files": close_files,
    "read stdin": read_stdin,
    "print": lambda n: print("{}"),
}


@qk.task(max_attempts=2, backoff=fixed(0), timeout=0.2)
async def hostile_async(acts: list[tuple[str, int]], returns: int) -> Any:
    for act, n in acts:
        await ASYNC[act](n)
    return RESULTS[returns % len(RESULTS)]()


@qk.task(max_attempts=2, backoff=fixed(0))
def hostile_thread(acts: list[tuple[str, int]], returns: int) -> Any:
    for act, n in acts:
        SYNC[act](n)
    return RESULTS[returns % len(RESULTS)]()


@qk.task(max_attempts=2, backoff=fixed(0), executor="process", max_crashes=1, timeout=5)
def hostile_child(acts: list[tuple[str, int]], returns: int) -> Any:
    for act, n in acts:
        IN_CHILDREN[act](n)
    return RESULTS[returns % len(RESULTS)]()


def clean() -> list[str]:
    """The traces of others that a run can see."""
    return [
        name
        for name, seen in {
            "tenant": tenant.get() != "nobody",
            "decimal": decimal.getcontext().prec == 3,
            "structlog": bool(structlog.contextvars.get_contextvars()),
        }.items()
        if seen
    ]


@qk.task(max_attempts=1)
async def innocent_async(n: int, waits: bool) -> tuple[int, list[str]]:
    seen = clean()
    if waits:
        await asyncio.sleep(0.002)
    if by_task.get(asyncio.current_task()):
        seen.append("task")
    return n, seen


@qk.task(max_attempts=1)
def innocent_thread(n: int, waits: bool) -> tuple[int, list[str]]:
    if waits:
        time.sleep(0.002)
    return n, clean()


@qk.task(max_attempts=1, executor="process")
async def innocent_child(ctx: Context, n: int, waits: bool) -> tuple[int, list[str]]:
    await ctx.log("innocent")
    return n, clean()
