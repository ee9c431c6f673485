"""The watchdog: a thread that sees that a task blocks the event loop, or that the process does not end."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Final, Self

from queuekit.log import log
from queuekit.worker.board import Board
from queuekit.worker.journal import about, named
from queuekit.worker.orders import AT_ONCE, LAST_SECOND, LAST_WORDS, Orders
from queuekit.worker.run import Run
from queuekit.worker.steps import FRAMES

BEAT: Final = 1.0
"""Seconds between two signs of life of the event loop, and between two looks at them."""
BLOCKED: Final = 3.0
"""Seconds without one after which the log says who blocks the loop; then again after twice the time."""


class Watchdog:
    """Looks at one worker while it runs.

    Args:
        orders: what the worker was told, and when.
        grace: seconds that running jobs get then.
        put_back: restores the handlers of signals, if a task has replaced them.
        ends_process: whether a process that does not end as told is ended; otherwise that is only logged.

    Attributes:
        board: the runs that may have to end; None: the worker has not begun.
    """

    def __init__(
        self,
        orders: Orders,
        grace: float,
        put_back: Callable[[], None],
        *,
        ends_process: bool,
    ) -> None:
        self.board: Board | None = None
        self._orders = orders
        self._grace = grace
        self._put_back = put_back
        self._ends_process = ends_process
        self._thread_of_loop = threading.get_ident()
        self._over = threading.Event()
        self._beaten = self._looked = monotonic()
        self._told = BLOCKED

    async def beat(self) -> None:
        """The event loop's sign of life."""
        while True:
            self._beaten = monotonic()
            self._put_back()
            await asyncio.sleep(BEAT)

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """For as long as the block lasts."""
        thread = threading.Thread(target=self._watch, name="queuekit-watchdog", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(BEAT):
            now = monotonic()
            if now - self._looked > 2 * BEAT:
                self._beaten = now  # the whole process stood still, not only its loop
            self._looked = now
            self._look(now, now - self._beaten)

    def _look(self, now: float, silent: float) -> None:
        if silent >= self._told:
            self._told *= 2
            log.error("the event loop is blocked", seconds=round(silent, 1), **self._culprit())
        elif silent < BLOCKED < self._told:
            self._told = BLOCKED
            log.warning("the event loop goes on")
        if self._ends_process and self._too_late(now, silent):
            self._end()

    def _too_late(self, now: float, silent: float) -> bool:
        orders = self._orders
        if orders.hurried_at is not None and now - orders.hurried_at > AT_ONCE:
            return True
        if orders.asked_at is None:
            return False
        needed = LAST_SECOND
        if self.board is not None:
            needed += self._grace + (2 * LAST_WORDS if silent < BLOCKED else 0)
        return now - orders.asked_at > needed

    def _culprit(self) -> dict[str, Any]:
        """The task that holds the loop's thread, and where it is."""
        frame = sys._current_frames().get(self._thread_of_loop)  # noqa: SLF001  # documented, in spite of its name
        found: dict[str, Any] = {"where": _place(frame)} if frame else {}
        while frame is not None:
            run = frame.f_locals.get("run") if frame.f_code in FRAMES else None
            if isinstance(run, Run):
                return {**found, **about(run.claim)}
            frame = frame.f_back
        return found

    def _end(self) -> None:
        """In another thread, as whoever blocks the loop may hold a lock of the log."""
        telling = threading.Thread(target=self._last_words, daemon=True)
        telling.start()
        telling.join(LAST_SECOND)
        os._exit(1)

    def _last_words(self) -> None:
        log.critical(
            "the worker did not end as it was told; the process is ended",
            jobs=named(list(self.board.running)) if self.board else (),
            **self._culprit(),
        )


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}"
