"""Threads for sync tasks."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from queuekit.worker import forks


class Returned(NamedTuple):
    """What a function returned, or raised.

    A value, because not every error can be raised through a future: StopIteration can't, and GeneratorExit ends
    generators on its way.
    """

    value: Any = None
    error: BaseException | None = None


class Threads:
    """Daemon threads for sync tasks, made as needed: one that hangs does not keep the process from ending."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = 0
        """idle threads minus queued work; negative: a thread is missing"""
        self._guard = threading.Lock()

    def submit(self, work: Callable[[], Any]) -> "asyncio.Future[Returned]":
        """Run it in a thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Returned] = loop.create_future()
        here = forks.here()

        def item() -> None:
            try:
                returned = Returned(work())
            except BaseException as error:  # noqa: BLE001  # it is the task's, and goes to who awaits it
                returned = Returned(error=error)
            forks.leave(here)
            with contextlib.suppress(RuntimeError):  # the loop has ended before the thread did
                loop.call_soon_threadsafe(_tell, future, returned)

        self._waiting.put(item)
        with self._guard:
            self._idle -= 1
            if self._idle < 0 and len(self._threads) < self._most:
                thread = threading.Thread(target=self._serve, name="queuekit-task", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def _serve(self) -> None:
        while True:
            with self._guard:
                self._idle += 1
            self._waiting.get()()


def _tell(future: "asyncio.Future[Returned]", returned: Returned) -> None:
    if not future.done():
        future.set_result(returned)
