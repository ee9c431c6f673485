"""The process of ``queuekit worker``: its event loop, its supervisor, its end."""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Final, NoReturn

from queuekit.app import Queuekit
from queuekit.cli.output import emit
from queuekit.errors import ConfigurationError, QueuekitError
from queuekit.log import log
from queuekit.registry import redacted
from queuekit.worker import forks
from queuekit.worker.orders import LAST_SECOND, LAST_WORDS
from queuekit.worker.slot import TURN
from queuekit.worker.supervisor import Supervisor, obeying
from queuekit.worker.worker import Worker

SWITCH_INTERVAL: Final = TURN / 5
"""Seconds after which a busy event loop lets other threads go on: those of sync tasks and of SQLite.

Much shorter than a turn of the loop, as a thread's waiting for the interpreter begins anew with each turn.
"""


def supervise(qk: Queuekit, count: int, *, grace: float, burst: bool) -> int:
    """Run this process's command line in several; the exit code.

    Raises:
        ConfigurationError: they can't share the store.
    """
    if qk.settings.url == "sqlite://":
        raise ConfigurationError(
            f"sqlite:// is in memory, which {count} processes can't share. "
            "Use sqlite:///file.db, Redis or Postgres, or --processes 1."
        )
    return asyncio.run(Supervisor(sys.argv[1:], count, grace=grace, burst=burst).run())


def run(qk: Queuekit, worker: Worker, *, control: int | None, announced: bool) -> None:
    """Run a worker to its end, on uvloop where that is installed.

    What its tasks left behind (threads that can't be stopped, asyncio tasks that don't heed their cancellation) gets a
    second to end. What ends the event loop, or the worker, ends the process, with a reason in the log.

    Args:
        qk: the worker's app.
        worker: to be run.
        control: the pipe of its supervisor, if it has one.
        announced: say on stdout when it has started and stopped.
    """
    if announced:
        _announce(qk, worker)
    _tune()
    here = forks.here()
    runner = asyncio.Runner(loop_factory=_loop_factory())
    try:
        runner.run(_run(qk, worker, control))
    except QueuekitError:
        _end_within(LAST_WORDS, code=1)
        runner.close()
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit of an asyncio task among them
        forks.leave(here)
        log.critical(
            "the worker can't go on; its process is ended", jobs=worker.running, exc_info=error
        )
        _end(_code(error))
    _end_within(LAST_SECOND, code=0)
    runner.close()


def _code(error: BaseException) -> int:
    """The exit code: never that of success, whatever a task has passed to ``sys.exit``."""
    code = error.code if isinstance(error, SystemExit) else None
    return code if isinstance(code, int) and code else 1


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


async def _run(qk: Queuekit, worker: Worker, control: int | None) -> None:
    async with qk:
        with nullcontext() if control is None else obeying(worker, control):
            await worker.run()


def _end_within(seconds: float, *, code: int) -> None:
    timer = threading.Timer(seconds, _end, [code])
    timer.daemon = True
    timer.start()


def _end(code: int) -> NoReturn:
    """End without waiting for threads, which nobody can stop."""
    with suppress(Exception):  # of streams that are gone
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
