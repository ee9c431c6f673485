"""An app whose tasks do to their worker's process whatever they can; run by real workers in `test_ends`.

The settings come from the environment; all files are in the working directory.
"""

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

if "PLAIN" in os.environ:
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # as where it is not installed

from queuekit import Queuekit

qk = Queuekit()
EVER = 600.0


def note(name: str, text: object = "") -> None:
    """A line in a file, in one write."""
    with Path(name).open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


def notes(name: str) -> list[str]:
    """What was noted, by whomever."""
    return Path(name).read_text().splitlines() if Path(name).exists() else []


@qk.on_startup
async def at_the_start() -> None:
    if os.environ.get("HOOK") == "waits to start":
        note("at_the_start")
        await asyncio.sleep(EVER)


@qk.on_shutdown
async def at_the_end() -> None:
    match os.environ.get("HOOK"):
        case "waits":
            await asyncio.sleep(EVER)
        case "blocks":
            time.sleep(EVER)
        case "swallows":
            await _swallow()
        case "raises":
            raise RuntimeError("of a hook")


async def _swallow() -> None:
    while True:
        with suppress(BaseException):
            await asyncio.sleep(EVER)


# What does not stop


@qk.task
async def swallows() -> None:
    for step in count():
        note("swallows", step)
        with suppress(BaseException):
            await asyncio.sleep(0.02)


@qk.task
async def swallows_with_a_helper() -> None:
    helper = asyncio.create_task(_swallow())
    note("swallows_with_a_helper")
    while True:
        with suppress(BaseException):
            await helper


@qk.task
def thread_hangs() -> None:
    note("thread_hangs")
    time.sleep(EVER)


@qk.task
async def leaves_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(EVER,), daemon=False).start()
    note("leaves_a_thread")


@qk.task
async def waits_for_a_thread() -> None:
    note("waits_for_a_thread")
    await asyncio.to_thread(time.sleep, EVER)


@qk.task(executor="process")
async def child_hears_nothing() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    note("child_hears_nothing")
    re.match(r"(a+)+$", "a" * 64 + "b")  # it never gives the interpreter away


@qk.task(executor="process")
def child_counts() -> None:
    for step in count():
        note("child_counts", step)
        time.sleep(0.01)


def _end_copies() -> None:
    for _ in range(30):
        if not (copy := os.fork()):
            time.sleep(20)
            os._exit(0)
        os.kill(copy, signal.SIGTERM)
        assert os.waitpid(copy, 0)[1] == signal.SIGTERM


@qk.task(max_attempts=1)
def ends_copies() -> None:
    _end_copies()


@qk.task(executor="process", max_attempts=1)
def child_ends_copies() -> None:
    _end_copies()


@qk.task
async def leaves_a_copy() -> None:
    if os.fork() == 0:
        note("leaves_a_copy")
        time.sleep(EVER)
        os._exit(0)


@qk.task(executor="process")
def child_is_idle() -> None:
    note("child_is_idle")


@qk.task
async def blocks(how: str) -> None:
    note("blocks", how)
    match how:
        case "sleep":
            time.sleep(EVER)
        case "loop":
            while True:
                pass
        case "lock":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()


@qk.task
async def blocks_until_told() -> None:
    note("blocks_until_told")
    while not Path("go").exists():
        time.sleep(0.02)


# What ends the loop, or the process


def _stop_loop() -> None:
    asyncio.get_running_loop().stop()


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def _close_loop() -> None:
    asyncio.get_running_loop().close()


def _stop_and_close() -> None:
    loop = asyncio.get_running_loop()
    loop.stop()
    loop.call_soon(loop.close)


def _exit() -> None:
    sys.exit()


def _interrupt() -> None:
    raise KeyboardInterrupt


def _vanish() -> None:
    os._exit(0)


DEEDS: dict[str, Callable[[], None]] = {
    "stop the loop": _stop_loop,
    "cancel all tasks": _cancel_all,
    "close the loop": _close_loop,
    "sys.exit": _exit,
    "KeyboardInterrupt": _interrupt,
    "os._exit": _vanish,
}


async def _as_helper(deed: str) -> None:
    DEEDS[deed]()


@qk.task(max_attempts=1)
async def in_the_task(deed: str) -> None:
    DEEDS[deed]()


@qk.task(max_attempts=1)
async def after_a_wait(deed: str) -> None:
    await asyncio.sleep(0.01)
    DEEDS[deed]()
    await asyncio.sleep(0.01)


@qk.task(max_attempts=1)
async def in_a_helper(deed: str) -> None:
    await asyncio.create_task(_as_helper(deed))


@qk.task(max_attempts=1)
async def in_a_helper_that_nobody_awaits(deed: str) -> None:
    helpers.append(asyncio.create_task(_as_helper(deed)))


@qk.task(max_attempts=1)
async def in_a_callback(deed: str) -> None:
    asyncio.get_running_loop().call_soon(DEEDS[deed])


@qk.task(max_attempts=1)
def in_a_thread(deed: str) -> None:
    DEEDS[deed]()


helpers: list[asyncio.Task[Any]] = []


@qk.task
async def innocent() -> int:
    return os.getpid()


# What forks


COPIES = ("returns", "raises", "exits", "sleeps", "awaits")


async def _fork(how: str) -> int:
    if copy := os.fork():
        return copy
    note("copies")
    match how:
        case "raises":
            raise RuntimeError("of a copy")
        case "exits":
            sys.exit(3)
        case "sleeps":
            time.sleep(0.2)
        case "awaits":
            await asyncio.sleep(0.01)
    return 0


def _step(copy: int) -> None:
    """What only one process may come to."""
    note("steps", "of a copy" if copy == 0 else "")


@qk.task(max_attempts=1)
async def fork_at_once(how: str) -> None:
    _step(await _fork(how))


@qk.task(max_attempts=1)
async def fork_later(how: str) -> None:
    await asyncio.sleep(0.01)
    _step(await _fork(how))
    await asyncio.sleep(0.01)


@qk.task(max_attempts=1)
async def fork_in_a_helper(how: str) -> None:
    _step(await asyncio.create_task(_fork(how)))


@qk.task(max_attempts=1)
async def fork_in_a_helper_that_nobody_awaits(how: str) -> None:
    helpers.append(asyncio.create_task(_fork(how)))
    await asyncio.sleep(0.01)
    _step(1)


@qk.task(max_attempts=1)
async def fork_in_a_callback(how: str) -> None:
    forked = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: forked.set_result(os.fork()))
    _step(await forked)


@qk.task(max_attempts=1)
def fork_in_a_thread(how: str) -> None:
    _step(asyncio.run(_fork(how)))


@qk.task(max_attempts=1, executor="process")
async def fork_in_a_child(how: str) -> None:
    _step(await _fork(how))


@qk.task(max_attempts=1, executor="process")
def fork_in_a_childs_thread(how: str) -> None:
    _step(asyncio.run(_fork(how)))


@qk.task
async def neighbour(number: int) -> None:
    for step in range(20):
        note("neighbours", f"{number}.{step}")
        await asyncio.sleep(0.005)


@qk.task
async def replaces_handlers() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)


@qk.task(executor="process")
def child_ends_when_told() -> str:
    note("child_ends_when_told")
    while not Path("go").exists():
        time.sleep(0.01)
    return "done"


@qk.task
async def closes_generators() -> None:
    await asyncio.get_running_loop().shutdown_asyncgens()
