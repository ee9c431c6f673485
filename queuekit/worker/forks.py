"""Copies of this process that a task's ``os.fork`` made: they may run the task's code, never the worker's.

A copy that came back from the task would go on as a second worker, with the same connections and the same jobs.
"""

import os
import signal
import sys
import threading
from asyncio.events import Handle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing import process
from pathlib import Path
from types import FrameType
from typing import Any, Final, NewType

from queuekit.loops import current_task

Here = NewType("Here", int)

CALLS: Final = Handle._run.__code__  # noqa: SLF001
"""The code by which asyncio's own event loop calls something."""
MULTIPROCESSING: Final = str(Path(process.__file__).parent)
_numbers = count()
_here = Here(next(_numbers))
_loops: list[tuple[int, FrameType | None]] = []
"""the threads of event loops, and what runs them"""
_signals: dict[int, tuple[Any, Any]] = {}
"""which this process handles: how, and how its copies do"""
_forking = threading.local()


def here() -> Here:
    """Which copy of the process this is; cheaper to ask than its pid."""
    return _here


def leave(whose: Here) -> None:
    """End this process if it is a copy that was forked since `here` gave that."""
    if _here != whose:
        os._exit(0)


@contextmanager
def kept_from_the_loop() -> Iterator[None]:
    """While the block lasts, no copy comes back to this thread's event loop, say from an asyncio task of a job's own.

    It would go on with all that is ready there, and take events from the queue of the kernel that it shares with us.
    """
    work: Any = current_task().get_coro()
    loop = threading.get_ident(), work.cr_frame.f_back
    _loops.append(loop)
    try:
        yield
    finally:
        _loops.remove(loop)


@contextmanager
def handling(
    numbers: Iterable[signal.Signals], handle: Callable[[int, FrameType | None], object]
) -> Iterator[None]:
    """While the block lasts, handle signals so, but not in copies: they have what was before.

    A signal to a copy waits for that. Else it would be lost, and whoever ends a copy at once, as pools of processes do,
    would wait for its end for ever.
    """
    before = {number: signal.signal(number, handle) or signal.SIG_DFL for number in numbers}
    _signals.update({number: (handle, usual) for number, usual in before.items()})
    try:
        yield
    finally:
        for number, usual in before.items():
            _signals.pop(number, None)
            signal.signal(number, usual)


def _before_fork() -> None:
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _signals)


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _forked() -> None:
    global _here  # noqa: PLW0603  # a fact about this process
    _here = Here(next(_numbers))
    for number, (ours, usual) in _signals.items():
        if signal.getsignal(number) is ours:
            signal.signal(number, usual)
    _signals.clear()
    _after_fork()
    thread = threading.get_ident()
    runners = [frame for of, frame in _loops if of == thread]
    called = _called_by_loop(runners) if runners else None
    if called is not None:
        sys.settrace(lambda *_: None)
        called.f_trace_lines = False
        called.f_trace = _at_its_end


def _called_by_loop(runners: list[FrameType | None]) -> FrameType | None:
    """What the event loop called, and what is on its way now; None if it never comes back there."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001  # documented, in spite of its name
    while frame is not None:
        if frame.f_code.co_filename.startswith(MULTIPROCESSING):
            return None  # it ends its copies itself
        caller = frame.f_back
        if caller in runners or (caller is not None and caller.f_code is CALLS):
            return frame
        frame = caller
    return None


def _at_its_end(_frame: FrameType, event: str, _arg: object) -> None:
    if event == "return":  # or awaits, or raises
        os._exit(0)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forked)
