"""The process of ``queuekit worker``: its event loop, its supervisor, its end."""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, NoReturn

from queuekit.app import Queuekit
from queuekit.cli.output import emit
from queuekit.errors import ConfigurationError
from queuekit.registry import redacted
from queuekit.worker.supervisor import Supervisor, obeying
from queuekit.worker.worker import TURN, Worker

IDLE: Final = {"queuekit-task": "_serve", "asyncio": "_worker"}
"""By the names of threads that run tasks' functions: where they are while they have none."""

SWITCH_INTERVAL: Final = TURN / 5
"""Seconds after which a busy event loop lets other threads go on: those of sync tasks and of SQLite.

Much shorter than a turn of the loop, as a thread's waiting for the interpreter begins anew with each turn.
"""


def supervise(qk: Queuekit, count: int, *, burst: bool) -> int:
    """Run this process's command line in several; the exit code.

    Raises:
        ConfigurationError: they can't share the store.
    """
    if qk.settings.url == "sqlite://":
        raise ConfigurationError(
            f"sqlite:// is in memory, which {count} processes can't share. "
            "Use sqlite:///file.db, Redis or Postgres, or --processes 1."
        )
    return asyncio.run(Supervisor(sys.argv[1:], count, burst=burst).run())


def run(
    qk: Queuekit, worker: Worker, *, control: int | None, grace: float, announced: bool
) -> None:
    """Run a worker to its end, on uvloop where that is installed.

    Args:
        qk: the worker's app.
        worker: to be run.
        control: the pipe of its supervisor, if it has one.
        grace: seconds that it may need to stop.
        announced: say on stdout when it has started and stopped.
    """
    if announced:
        _announce(qk, worker)
    _tune()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(qk, worker, control, grace))
        if _task_hangs():
            _end_now()


def _tune() -> None:
    """For a process that makes and drops many small objects: what is loaded by now need never be looked at again."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _announce(qk: Queuekit, worker: Worker) -> None:
    about = {"pid": os.getpid(), "queues": worker.queues, "url": redacted(qk.settings.url)}
    qk.on_startup(lambda: emit({"event": "started", **about}))
    qk.on_shutdown(lambda: emit({"event": "stopped", **about}))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(qk: Queuekit, worker: Worker, control: int | None, grace: float) -> None:
    async with qk:
        with nullcontext() if control is None else obeying(worker, control, grace):
            await worker.run()


def _task_hangs() -> bool:
    """Whether a thread still runs a task that was told to stop in vain."""
    frames = sys._current_frames()  # noqa: SLF001  # documented, in spite of its name
    return any(
        thread.name.startswith(name) and frame.f_code.co_name != idle
        for thread in threading.enumerate()
        if (frame := frames.get(thread.ident or 0)) is not None
        for name, idle in IDLE.items()
    )


def _end_now() -> NoReturn:
    """End without waiting for threads, which nobody can stop."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
