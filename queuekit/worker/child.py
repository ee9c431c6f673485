"""The child's side of `queuekit.worker.isolated`: ``python -m queuekit.worker.child LOCATION``."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable
from time import monotonic
from typing import Any, BinaryIO
from uuid import UUID

from queuekit.app import Queuekit
from queuekit.job import Claim, Token
from queuekit.loading import Location, load
from queuekit.loops import current_task, start
from queuekit.worker.board import Board, Interruption, Run
from queuekit.worker.executor import Executor
from queuekit.worker.isolated import encode


class Pipe:
    """Writes messages to the parent; what the task prints goes to stderr instead."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        with contextlib.suppress(BrokenPipeError):
            self._out.write(json.dumps(message).encode() + b"\n")
            self._out.flush()

    def add(self, token: Token, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:  # noqa: ARG002
        """Hand a report to the parent."""
        self.send({"report": [progress, logs]})
        done: asyncio.Future[None] = asyncio.Future(loop=self.loop)
        self.loop.call_soon_threadsafe(done.set_result, None)
        return done


async def serve(app: Queuekit, pipe: Pipe) -> None:
    """Run the jobs that the parent sends, one at a time, until it is gone."""
    pipe.loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=128_000_000)
    await pipe.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    board = Board(pipe, 1, 1e6)
    executor = Executor(app.tasks, board, 1, None, _never)
    await app.run_hooks("startup")
    running: asyncio.Task[None] | None = None
    run: Run | None = None
    while line := await lines.readline():
        message = json.loads(line)
        if "claim" in message:
            run = Run(board, _claim(message["claim"]), monotonic())
            running = start(_one(executor, run, pipe), "queuekit job")
        elif run is not None:
            run.interrupt(Interruption[message["interrupt"]])
    if running is not None:
        running.cancel()
    await app.run_hooks("shutdown")


async def _one(executor: Executor, run: Run, pipe: Pipe) -> None:
    run.slot = current_task()
    pipe.send({"outcome": encode(await executor.run(run))})


async def _never(run: Run) -> int:
    raise AssertionError(f"the parent sent job {run.claim.token.id} of an unknown task")


def _claim(fields: list[Any]) -> Claim:
    (queue, job_id, delivery), *rest = fields
    return Claim(Token(queue, UUID(job_id), delivery), *rest)


def main() -> None:
    """Load the app and serve."""
    where = json.loads(sys.argv[1])
    sys.path[:] = where["path"]
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    app = load(Location(where["source"], where["attribute"]))
    asyncio.run(serve(app, Pipe(out)))
    os._exit(0)  # a thread that still runs must not keep the child alive


if __name__ == "__main__":
    main()
