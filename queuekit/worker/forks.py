"""Copies of this process that a task's ``os.fork`` made: they may run the task's code, never the worker's.

A copy that came back from the task would go on as a second worker, with the same connections and the same jobs.
"""

import os
import sys
import threading
from asyncio.events import Handle
from collections.abc import Iterator
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


def _forked() -> None:
    global _here  # noqa: PLW0603  # a fact about this process
    _here = Here(next(_numbers))
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


os.register_at_fork(after_in_child=_forked)
