"""Orders to a worker, by signals, threads and code: to finish its jobs and end, or to end at once."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import Final

from queuekit.log import log
from queuekit.worker import forks

LAST_SECOND: Final = 1.0
"""Seconds that interrupted jobs get to end when the worker stops."""
HURRIED: Final = 0.2
"""Seconds that they get after a second signal: enough for cleaning up that waits for nobody else."""
LAST_WORDS: Final = 5.0
"""Seconds in which the last outcomes must reach the store, and as many again for hooks."""
AT_ONCE: Final = 2.0
"""Seconds that are left to a worker after a second signal."""


class Orders:
    """Orders to one worker, each of which counts once.

    They may be given from any thread and from signal handlers, also while the event loop is blocked.

    Attributes:
        finish_asked, now_asked: set on the event loop, for the worker.
        asked_at, hurried_at: when these were given, by `time.monotonic`; None: not yet.
    """

    def __init__(self) -> None:
        self.finish_asked = asyncio.Event()
        self.now_asked = asyncio.Event()
        self.asked_at: float | None = None
        self.hurried_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def obeyed_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the events on this loop, on which the worker runs."""
        self._loop = loop

    def finish(self) -> None:
        """Order to claim nothing more, and to let running jobs finish."""
        if self.asked_at is None:
            self.asked_at = monotonic()
            self._set(self.finish_asked)

    def now(self) -> None:
        """Order to wait for nothing any more."""
        self.finish()
        if self.hurried_at is None:
            self.hurried_at = monotonic()
            self._set(self.now_asked)

    def again(self) -> None:
        """Order to finish; given again, to end at once."""
        if self.asked_at is None:
            self.finish()
        else:
            self.now()

    def _set(self, event: asyncio.Event) -> None:
        if self._loop is None:
            event.set()
            return
        with suppress(RuntimeError):  # the loop is closed: the worker has ended
            self._loop.call_soon_threadsafe(event.set)


@contextmanager
def on_signals(act: Callable[[], None], *, enabled: bool = True) -> Iterator[Callable[[], None]]:
    """Call a function on SIGTERM and SIGINT.

    Python's own handlers, not those of the event loop: they come through while a task blocks the loop, too.

    Yields:
        What puts them back if a task has replaced them, as servers do that it starts.
    """
    if enabled and threading.current_thread() is not threading.main_thread():
        log.warning(
            "a worker outside of the main thread gets no signals; stop it by Worker.stop(), "
            "and pass signals=False to say so"
        )
        enabled = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        act()

    numbers = (signal.SIGTERM, signal.SIGINT) if enabled else ()

    def put_back() -> None:
        for number in numbers:
            if signal.getsignal(number) is not handle:
                log.warning(
                    "a task has replaced the handler of a signal that stops the worker; it is put back",
                    signal=number.name,
                )
                signal.signal(number, handle)

    with forks.handling(numbers, handle):
        yield put_back
