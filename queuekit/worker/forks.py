"""Copies of this process that a task's ``os.fork`` made: they may run the task's code, never the worker's.

A copy that came back from the task would go on as a second worker, with the same connections and the same jobs.
"""

import os
from itertools import count
from typing import NewType

Here = NewType("Here", int)

_numbers = count()
_here = Here(next(_numbers))


def here() -> Here:
    """Which copy of the process this is; cheaper to ask than its pid."""
    return _here


def leave(whose: Here) -> None:
    """End this process if it is a copy that was forked since `here` gave that."""
    if _here != whose:
        os._exit(0)


def _forked() -> None:
    global _here  # noqa: PLW0603  # a fact about this process
    _here = Here(next(_numbers))


os.register_at_fork(after_in_child=_forked)
