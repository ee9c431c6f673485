"""The child's side of `queuekit.worker.children`: ``python -m queuekit.child WHERE``."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import IO, Any, BinaryIO, Final
from uuid import UUID

from queuekit.app import Queuekit
from queuekit.failure import failure
from queuekit.job import Claim, Reason, Token
from queuekit.lifecycle import Failed, Outcome
from queuekit.loading import load
from queuekit.location import Location
from queuekit.log import configure
from queuekit.loops import start
from queuekit.worker import forks
from queuekit.worker.board import Board
from queuekit.worker.children import LINE_LIMIT, encode
from queuekit.worker.executor import Executor
from queuekit.worker.orders import LAST_WORDS
from queuekit.worker.run import Interruption, Run
from queuekit.worker.steps import Clean

BEAT: Final = 1.0
CANT_SPEAK: Final = 70
"""The exit code of a child that can't tell its parent what came of a job (EX_SOFTWARE of sysexits.h)."""


class Pipe:
    """Writes messages to the parent, from any thread. A child that can't ends: its parent would wait for ever."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._guard = threading.Lock()
        self._number = 0
        self._here = forks.here()

    def begin(self, number: int) -> None:
        """From now on messages are of this run."""
        self._number = number

    def tell(self, outcome: Outcome | None) -> None:
        """Send what came of the run."""
        try:
            fits = self._send({"outcome": encode(outcome)})
        except (TypeError, ValueError, RecursionError):
            fits = False
        if not fits:
            error = ValueError(
                f"the result does not fit into {LINE_LIMIT:,} bytes; store it elsewhere and return a reference"
            )
            self._send({"outcome": encode(Failed(failure(error, 0), Reason.INVALID_RESULT))})

    def add(self, token: Token, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:  # noqa: ARG002
        """Hand a report to the parent."""
        self._send({"report": [progress, logs]})
        done: asyncio.Future[None] = asyncio.Future(loop=self.loop)
        self.loop.call_soon_threadsafe(done.set_result, None)
        return done

    def _send(self, message: dict[str, Any]) -> bool:
        """Whether it was short enough."""
        forks.leave(self._here)
        data = json.dumps({**message, "run": self._number}).encode() + b"\n"
        if len(data) > LINE_LIMIT:
            return False
        try:
            with self._guard:
                self._out.write(data)
                self._out.flush()
        except BrokenPipeError:
            pass  # the parent is gone, and `serve` ends for it
        except (OSError, ValueError):
            os._exit(CANT_SPEAK)
        return True


async def serve(
    app: Queuekit,
    orders: IO[bytes],
    pipe: Pipe,
    parent: int,
    orphaned: Callable[[], object] = lambda: None,
) -> None:
    """Run the jobs that the parent sends, one at a time, until it is gone.

    Args:
        app: whose tasks they are of.
        orders: from the parent; they end when it has no more, or is gone.
        pipe: to the parent.
        parent: its process id.
        orphaned: called in a thread when the orders have ended, or the parent, which no task can block.
    """
    pipe.loop = asyncio.get_running_loop()
    messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def listen() -> None:
        with orders, suppress(RuntimeError):  # the loop is closed: the process ends anyway
            for line in orders:
                pipe.loop.call_soon_threadsafe(messages.put_nowait, json.loads(line))
        end()

    def watch() -> None:
        """The orders of a parent that is gone don't end while a copy that it has forked lives on."""
        while os.getppid() == parent:
            time.sleep(BEAT)
        end()

    def end() -> None:
        with suppress(RuntimeError):
            pipe.loop.call_soon_threadsafe(messages.put_nowait, None)
        orphaned()

    for watcher in (listen, watch):
        threading.Thread(target=watcher, name=f"queuekit-{watcher.__name__}", daemon=True).start()
    board = Board(
        pipe, 2, 1e6
    )  # one more than there is, as a child does not know of its worker's slots
    await app.tasks.run_hooks("startup")
    executor = Executor(app.tasks, board, 1, None, _never, Clean())
    run: Run | None = None
    beating = start(_beat(), "queuekit beat")
    with forks.kept_from_the_loop():
        while message := await messages.get():
            if "claim" in message:
                pipe.begin(message["run"])
                run = Run(board, _claim(message["claim"]), monotonic())
                run.slot = start(_one(executor, run, pipe), "queuekit job")
            elif run is not None:
                run.interrupt(Interruption[message["interrupt"]])
    if run is not None:
        run.interrupt(Interruption.SHUTDOWN)
    beating.cancel()
    await app.tasks.run_hooks("shutdown")


async def _beat() -> None:
    """An event loop whose file descriptors a task has closed sees that when it wakes up, and nothing else wakes it."""
    while True:  # noqa: ASYNC110  # for its own sake
        await asyncio.sleep(BEAT)


async def _one(executor: Executor, run: Run, pipe: Pipe) -> None:
    pipe.tell(await executor.run(run))


async def _never(run: Run) -> int:
    raise AssertionError(f"the parent sent job {run.claim.token.id} of an unknown task")


def _claim(fields: list[Any]) -> Claim:
    (queue, job_id, delivery), *rest = fields
    return Claim(Token(queue, UUID(job_id), delivery), *rest)


def _end_soon() -> None:
    time.sleep(LAST_WORDS)
    os._exit(0)


def _leave_to_the_worker(_number: int, _frame: FrameType | None) -> None:
    """Terminals and service managers signal children, too, whose jobs have their grace as all others.

    A function that does nothing, not SIG_IGN, which programs that a task starts would inherit.
    """


def main() -> None:
    """Load the app and serve."""
    with forks.handling((signal.SIGTERM, signal.SIGINT), _leave_to_the_worker):
        _main()


def _main() -> None:
    where = json.loads(sys.argv[1])
    sys.path[:] = where["path"]
    orders, replies = where["orders"], where["replies"]
    for pipe in (orders, replies):
        os.set_inheritable(pipe, False)
    app = load(Location(where["source"], where["attribute"]))
    if where["log_level"]:
        configure(where["log_level"])
    here = forks.here()
    try:
        asyncio.Runner().run(
            serve(
                app,
                os.fdopen(orders, "rb"),
                Pipe(os.fdopen(replies, "wb")),
                where["parent"],
                _end_soon,
            )
        )
    except BaseException:  # noqa: BLE001  # say because a task has stopped the loop
        forks.leave(here)
        traceback.print_exc()
        os._exit(CANT_SPEAK)
    os._exit(0)  # threads and asyncio tasks that still run must not keep the child alive


if __name__ == "__main__":
    main()
