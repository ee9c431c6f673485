"""Child processes for ``executor="process"`` and for suspects: what a job does to its process hits no other job.

Parent and child talk by JSON lines over two pipes. The child's side is `queuekit.child`.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from queuekit.errors import ConfigurationError, LeaseLost
from queuekit.failure import failure
from queuekit.job import Micros, Reason
from queuekit.lifecycle import Cancelled, Died, Failed, Outcome, Released, Snoozed, Succeeded
from queuekit.location import Location
from queuekit.log import level, log
from queuekit.loops import start
from queuekit.worker.board import Board
from queuekit.worker.run import HEED_WITHIN, Interruption, NotBegun, Run

KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind for kind in (Succeeded, Failed, Cancelled, Snoozed, Released, Died)
}
LINE_LIMIT: Final = 128_000_000
"""Bytes of one message of a child; a larger outcome becomes an error."""
KILL_AFTER: Final = HEED_WITHIN
"""Seconds that a child gets to report its own timeout or cancellation."""
READ_AT_ONCE: Final = 65_536
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

    @property
    def busy(self) -> int:
        """How many jobs run in one, or wait for one."""
        return self._busy

    async def run(self, run: Run, limit: float | None) -> Outcome | None:
        """Run it in a child; if that dies, the death is the job's, unless the worker stops.

        Raises:
            NotBegun: it was interrupted, or its lease was over, before a child was free.
        """
        self._busy += 1
        try:
            async with self._board.place(self._places, run):
                return await self._run(run, limit)
        finally:
            self._busy -= 1

    async def end_busy(self) -> None:
        """End those that run a job."""
        for child in self.all.difference(self._idle):
            await child.kill()

    async def close(self, patience: float) -> None:
        """End them all. The idle ones get some seconds to do so by themselves, after their shutdown hooks."""
        for child in self._idle:
            child.dismiss()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for child in self._idle:
                    await child.ended()
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
        """An idle child that lives, because the death of another would be taken for that of its next job."""
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

    def __init__(
        self, process: asyncio.subprocess.Process, orders: asyncio.WriteTransport, replies: int
    ) -> None:
        self._process = process
        self._orders = orders
        self._replies = _Lines(replies)
        self._number = 0
        self._death = start(self._see_death(), "queuekit child")

    @classmethod
    async def start(cls, location: Location) -> "_Child":
        """Start one. Its stdin is empty, and what it prints goes to our stderr."""
        reads, orders = os.pipe()
        answers, writes = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "queuekit.child",
                json.dumps(
                    {
                        **location._asdict(),
                        "path": sys.path,
                        "parent": os.getpid(),
                        "orders": reads,
                        "replies": writes,
                        "log_level": level(),
                    }
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=2,
                pass_fds=[reads, writes],
            )
        except BaseException:
            os.close(orders)
            os.close(answers)
            raise
        finally:
            os.close(reads)
            os.close(writes)
        transport, _ = await asyncio.get_running_loop().connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(orders, "wb", buffering=0)
        )
        return cls(process, transport, answers)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def run(self, run: Run, limit: float | None) -> Outcome | None:
        """The outcome. Raises `ChildDied`."""
        self._number += 1
        self._send({"claim": _plain(run), "run": self._number})
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

    def dismiss(self) -> None:
        """Let it end by itself."""
        self._orders.close()

    async def ended(self) -> int | None:
        """Wait for its end; its exit code."""
        await asyncio.shield(self._death)
        return self._process.returncode

    async def kill(self) -> int | None:
        """End it; its exit code."""
        if self._process.returncode is None:
            # Popen.kill would reap one that has just ended, and nobody would learn its exit code.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        return await self.ended()

    async def _see_death(self) -> None:
        """Its own death: processes that it has forked may live on, and have its pipes."""
        await self._process.wait()
        if not self._orders.is_closing():
            self._orders.abort()
        self._replies.end()

    async def _stop(self, run: Run) -> Outcome | None:
        """Ask it to cancel its job, and wait a little."""
        self._send({"interrupt": run.interruption.name if run.interruption else "CANCELLED"})
        try:
            async with asyncio.timeout(KILL_AFTER):
                return await self._outcome(run)
        except TimeoutError:
            raise ChildDied from None

    async def _outcome(self, run: Run) -> Outcome | None:
        while (line := await self._replies.next()) is not None:
            try:
                message = json.loads(line)
                if message["run"] != self._number:
                    continue  # a thread of an earlier job's still speaks
                if "outcome" in message:
                    return decode(message["outcome"])
                progress, logs = message["report"]
            except Exception as error:
                log.exception("a child process says what can't be understood; it is ended")
                raise ChildDied from error
            with contextlib.suppress(LeaseLost):
                run.report(progress, tuple(logs))
        raise ChildDied

    def _send(self, message: dict[str, Any]) -> None:
        if not self._orders.is_closing():
            self._orders.write(json.dumps(message).encode() + b"\n")


class _Lines:
    """Lines from a pipe. All that was written before `end` is read, whoever else still holds the writing end."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._open = True
        os.set_blocking(pipe, False)
        self._loop.add_reader(pipe, self._read)

    async def next(self) -> bytes | None:
        """The next one; None: there are no more."""
        return await self._lines.get()

    def end(self) -> None:
        """Read what is there, and close the pipe."""
        for _ in self._chunks():
            pass
        self._stop_reading()
        os.close(self._pipe)
        # What ends without a line's end is what its writer died in the middle of.
        self._lines.put_nowait(None)

    def _read(self) -> None:
        """A little at a time, as others want their turn, too."""
        next(self._chunks(), None)

    def _chunks(self) -> Iterator[None]:
        with contextlib.suppress(BlockingIOError):
            while self._open and (data := os.read(self._pipe, READ_AT_ONCE)):
                first, *more = data.split(b"\n")
                self._parts.append(first)
                for part in more:
                    self._lines.put_nowait(b"".join(self._parts))
                    self._parts = [part]
                yield
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._pipe)


def _plain(run: Run) -> list[Any]:
    (queue, job_id, delivery, *_), *rest = run.claim
    return [[queue, str(job_id), delivery], *rest]
