"""The only code that creates asyncio tasks and threads with a loop of their own: nothing is fire-and-forget."""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from types import TracebackType
from typing import Any, Final, TypeVar

T = TypeVar("T")


class LoopEnded(Exception):
    """A loop beside a block was cancelled by code that does not own it."""


class background:  # noqa: N801  # used as a verb
    """Run loops beside a block: one that fails cancels the block, leaving the block cancels the loops.

    No generator, as a task may call ``loop.shutdown_asyncgens()``.

    Raises:
        LoopEnded: somebody else has cancelled one, which would leave a block that looks alive.
    """

    def __init__(self, *loops: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loops = loops
        self._group = asyncio.TaskGroup()
        self._leaving = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> None:
        await self._group.__aenter__()
        self._tasks = [
            self._group.create_task(_held(loop, self._leaving), name=loop.__qualname__)
            for loop in self._loops
        ]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving.set()
        for task in self._tasks:
            task.cancel()
        with alone():
            await self._group.__aexit__(kind, error, trace)


@contextmanager
def alone() -> Iterator[None]:
    """An error that is the only one of a task group comes out as it is, so that ``except`` finds it."""
    try:
        yield
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) != 1:
            raise
        error = errors.exceptions[0]
        raise error from error.__cause__


async def _held(loop: Callable[[], Coroutine[Any, Any, None]], leaving: asyncio.Event) -> None:
    try:
        await loop()
    except asyncio.CancelledError:
        if leaving.is_set():
            raise
        leaving.set()
        raise LoopEnded(f"other code of this process has cancelled {loop.__qualname__}") from None
    except BaseException:
        leaving.set()  # the others are cancelled for this one
        raise


def start(
    work: Coroutine[Any, Any, T], name: str, context: Context | None = None
) -> "asyncio.Task[T]":
    """Start one piece of work whose owner keeps the task and awaits or cancels it.

    Args:
        work: to be done.
        name: of the asyncio task.
        context: its context variables; None: a copy of those that are set here.
    """
    return asyncio.get_running_loop().create_task(work, name=name, context=context)


async def call(function: Callable[[], Any]) -> None:
    """Call a function or coroutine function, and wait for its end."""
    result = function()
    if isinstance(result, Awaitable):
        await result


def current_task() -> "asyncio.Task[Any]":
    """The asyncio task that runs this code."""
    task = asyncio.current_task()
    assert task is not None, "called outside an asyncio task"
    return task


async def ended_within(seconds: float, work: Coroutine[Any, Any, None], name: str) -> bool:
    """Whether it ended in time, else it is cancelled and left to itself, as it may not heed that.

    What it raises comes out.
    """
    task = start(work, name)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        ended = task.done()
        task.cancel()
    if ended:
        task.result()
    return ended


async def first_of(*waiting: Awaitable[Any]) -> None:
    """Return as soon as one is done; the others are cancelled, and an error of the first comes through."""
    tasks = [asyncio.ensure_future(one) for one in waiting]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Portal:
    """An event loop in a thread of its own, for callers without one; made anew after a fork."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run it there and wait for it.

        Raises:
            RuntimeError: called on an event loop's thread, which it would block, or where threads are none.
        """
        _refuse_green_threads()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run_coroutine_threadsafe(work(), self._running()).result()
        raise RuntimeError(
            "the *_sync methods would block this thread's event loop; await the methods without _sync instead"
        )

    def stop(self) -> None:
        """Stop the thread, if there is one."""
        with self._guard:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None and self._pid == os.getpid():
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            # The child of a fork has the lock in whatever state it was, and not the thread.
            self._guard, self._loop, self._pid = threading.Lock(), None, os.getpid()
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="queuekit-portal", daemon=True
                )
                self._thread.start()
            return self._loop


def _refuse_green_threads() -> None:
    """Patched threads share one real one: its event loop would run inside of the caller's, and wait for itself."""
    for library, patched in _PATCHED.items():
        patching = sys.modules.get(library)
        if patching is not None and patched(patching):
            raise RuntimeError(
                f"the *_sync methods need an event loop in a real thread, and {library.partition('.')[0]} has replaced "
                "threads or select in this process; serve with threads instead (gunicorn -k gthread), "
                "or with asyncio and the methods without _sync"
            )


_PATCHED: Final[dict[str, Callable[[Any], bool]]] = {
    "gevent.monkey": lambda monkey: any(map(monkey.is_module_patched, ("threading", "select"))),
    "eventlet.patcher": lambda patcher: any(map(patcher.is_monkey_patched, ("thread", "select"))),
}
