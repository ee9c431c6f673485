"""One job in a child process: JSON lines over pipes, and its death seen.

For ``executor="process"`` and for suspects: whatever a job does to its process, it does to nobody else.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from queuekit.errors import ConfigurationError, LeaseLost
from queuekit.failure import failure
from queuekit.job import Micros, Reason
from queuekit.lifecycle import Cancelled, Died, Failed, Outcome, Released, Snoozed, Succeeded
from queuekit.loading import Location
from queuekit.log import log
from queuekit.worker.board import Board, Interruption, NotBegun, Run

KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind for kind in (Succeeded, Failed, Cancelled, Snoozed, Released, Died)
}
LINE_LIMIT: Final = 128_000_000
KILL_AFTER: Final = 2.0
"""Seconds that a child gets to report its own timeout or cancellation."""
START_AGAIN: Final[Micros] = 30_000_000


class ChildDied(Exception):
    """The child is gone, or does not answer."""


def encode(outcome: Outcome | None) -> list[Any]:
    """An outcome as it travels."""
    return [type(outcome).__name__, *outcome] if outcome is not None else ["nothing"]


def decode(fields: Sequence[Any]) -> Outcome | None:
    """What `encode` made."""
    name, *values = fields
    if name == "nothing":
        return None
    if name == "Failed" and values[1] is not None:
        values[1] = Reason(values[1])
    outcome: Outcome = KINDS[name](*values)
    return outcome


class Children:
    """A few child processes, reused; each runs one job at a time.

    Args:
        location: tells where they find the app; asked when the first one starts.
        most: how many there are at most.
    """

    def __init__(self, location: Callable[[], Location], board: Board, most: int) -> None:
        self._location = location
        self._board = board
        self._most = most
        self._idle: list[_Child] = []
        self._places = asyncio.Semaphore(most)
        self._busy = 0
        self.all: set[_Child] = set()

    def __repr__(self) -> str:
        return f"<Children: {self._busy} busy of {self._most}>"

    @property
    def free(self) -> int:
        """How many more jobs could begin in a child now."""
        return self._most - self._busy

    async def run(self, run: Run, limit: float | None) -> Outcome | None:
        """Run it in a child; a child that dies while nobody stops the worker is the job's death.

        Raises:
            NotBegun: it did not come to that.
        """
        self._busy += 1
        try:
            async with self._board.place(self._places, run):
                return await self._run(run, limit)
        finally:
            self._busy -= 1

    async def close(self) -> None:
        """End them all."""
        for child in list(self.all):
            await child.kill()

    async def _run(self, run: Run, limit: float | None) -> Outcome | None:
        try:
            child = self._reused() or await self._start()
        except (OSError, ConfigurationError) as error:
            log.error("no process can be started for a job; trying again", error=str(error))
            return Snoozed(START_AGAIN)
        try:
            run.check()
        except NotBegun:
            self._idle.append(child)
            raise
        if limit is not None:
            run.time_out_after(limit)
        try:
            outcome = await child.run(run, limit)
        except ChildDied:
            return self._death(run, await self._drop(child), limit)
        except BaseException:
            await self._drop(child)
            raise
        self._idle.append(child)
        return outcome

    def _death(self, run: Run, code: int | None, limit: float | None) -> Outcome | None:
        attempt = run.claim.attempt
        match run.interruption:
            case Interruption.TIMED_OUT:
                error = TimeoutError(
                    f"the task did not return within its timeout of {limit:g} s; its process was ended"
                )
                return Failed(failure(error, attempt), timed_out=True)
            case Interruption.CANCELLED:
                return Cancelled("cancelled on request")
            case Interruption.LEASE_LOST:
                return None
            case _ if self._board.stopping.is_set():
                # Ctrl-C and systemd signal children, too: that is no fault of the job.
                return Released()
            case _:
                why = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
                return Died(
                    failure(
                        ChildProcessError(f"the process that ran the job died ({why})"), attempt
                    )
                )

    def _reused(self) -> "_Child | None":
        """An idle one; one that died meanwhile would be taken for the next job's death."""
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self.all.discard(child)
        return None

    async def _start(self) -> "_Child":
        child = await _Child.start(self._location())
        self.all.add(child)
        return child

    async def _drop(self, child: "_Child") -> int | None:
        self.all.discard(child)
        return await child.kill()


class _Child:
    """One child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, location: Location) -> "_Child":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "queuekit.worker.child",
            json.dumps(
                {"source": location.source, "attribute": location.attribute, "path": sys.path}
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def run(self, run: Run, limit: float | None) -> Outcome | None:
        """The outcome. Raises `ChildDied`."""
        self._send({"claim": _plain(run)})
        run.interruptible = True
        try:
            async with asyncio.timeout(None if limit is None else limit + KILL_AFTER):
                return await self._outcome(run)
        except TimeoutError:
            run.interruption = run.interruption or Interruption.TIMED_OUT
            raise ChildDied from None
        except asyncio.CancelledError:
            if run.interruption is None:
                raise
            run.no_more_interrupts()
            return await self._stop(run)
        finally:
            run.interruptible = False

    async def kill(self) -> int | None:
        """End it; its exit code."""
        if self._process.returncode is None:
            # Popen.kill would reap one that has just ended, and nobody would learn its exit code.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        return await self._process.wait()

    async def _stop(self, run: Run) -> Outcome | None:
        """Ask it to cancel its job, and wait a little."""
        self._send({"interrupt": run.interruption.name if run.interruption else "CANCELLED"})
        try:
            async with asyncio.timeout(KILL_AFTER):
                return await self._outcome(run)
        except TimeoutError:
            raise ChildDied from None

    async def _outcome(self, run: Run) -> Outcome | None:
        assert self._process.stdout is not None
        # What ends without a line's end is what it died in the middle of.
        while (line := await self._process.stdout.readline()).endswith(b"\n"):
            message = json.loads(line)
            if "outcome" in message:
                return decode(message["outcome"])
            progress, logs = message["report"]
            with contextlib.suppress(LeaseLost):
                run.report(progress, tuple(logs))
        raise ChildDied

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")


def _plain(run: Run) -> list[Any]:
    (queue, job_id, delivery, _), *rest = run.claim
    return [[queue, str(job_id), delivery], *rest]
