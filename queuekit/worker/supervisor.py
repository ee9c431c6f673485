"""``--processes N``: workers as child processes, restarted when they die, and ended when their supervisor is gone.

Orders travel through a pipe, because terminals and service managers send signals to parent and children alike: a child
could not tell a second request from the echo of the first. The end of the pipe tells a child, at once and on every
system, that the supervisor is gone.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final, Self

from queuekit.log import log
from queuekit.worker.orders import LAST_SECOND, LAST_WORDS, Orders, on_signals
from queuekit.worker.worker import Worker

AT_ONCE: Final = 10.0
"""Seconds: a child that ends sooner after its start has died at once."""
HOPELESS: Final = 4
"""Times in a row that a child dies at once until it counts as an error."""
BACKOFF_FIRST: Final = 0.25
BACKOFF_LAST: Final = 30.0
KILL_AFTER: Final = 5.0
"""Seconds that children get after a second signal."""

FINISH: Final = b"f"
NOW: Final = b"n"


class Supervisor:
    """Keeps worker processes running.

    Args:
        arguments: of the command line ``queuekit worker ...`` that each of them repeats for one process.
        count: how many.
        grace: seconds that running jobs get when the worker stops; a child that is there long after that is killed.
        burst: a child that ends with code 0 is not replaced.
    """

    def __init__(
        self, arguments: Sequence[str], count: int, *, grace: float, burst: bool = False
    ) -> None:
        self._arguments = arguments
        self._patience = grace + LAST_SECOND + 2 * LAST_WORDS + KILL_AFTER
        self._count = count
        self._burst = burst
        self._children: set[WorkerProcess] = set()
        self._stopping = asyncio.Event()
        self._proven = False
        self._failed = False

    def __repr__(self) -> str:
        return f"<Supervisor: {len(self._children)} of {self._count} processes>"

    async def run(self) -> int:
        """Run until told to stop by SIGTERM or SIGINT (a second one: at once), or until a burst is done.

        Returns:
            The exit code: 1 if the children die at once again and again, or one did not end well.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        log.info("supervisor started", processes=self._count)
        async with asyncio.TaskGroup() as group:
            for slot in range(self._count):
                group.create_task(self._keep_alive(), name=f"queuekit process {slot}")
        log.info("supervisor stopped")
        return int(self._failed)

    def stop(self) -> None:
        """Let the children finish their jobs; called again: stop them at once."""
        if self._stopping.is_set():
            self._tell_all(NOW)
            asyncio.get_running_loop().call_later(KILL_AFTER, self._kill_all)
        else:
            self._stopping.set()
            self._tell_all(FINISH)
            asyncio.get_running_loop().call_later(self._patience, self._kill_all)

    async def _keep_alive(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            child = await WorkerProcess.start(self._arguments)
            self._children.add(child)
            if self._stopping.is_set():
                child.tell(FINISH)
            code, lived = await child.ended()
            self._children.discard(child)
            if self._stopping.is_set() or (self._burst and code == 0):
                self._failed |= code != 0
                return
            self._proven |= lived >= AT_ONCE
            deaths = deaths + 1 if lived < AT_ONCE else 0
            self._explain(code, deaths)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_backoff(deaths)):
                    await self._stopping.wait()

    def _explain(self, code: int, deaths: int) -> None:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if deaths <= 1:
            log.warning("a worker process has ended; starting another", how=how)
        elif deaths == HOPELESS and not self._stable():
            log.error("worker processes end as soon as they start; giving up", how=how)
            self._failed = True
            self.stop()
        elif deaths == HOPELESS:
            log.error("a worker process ends as soon as it starts; trying on, less often", how=how)

    def _stable(self) -> bool:
        return self._proven or any(child.age >= AT_ONCE for child in self._children)

    def _tell_all(self, order: bytes) -> None:
        for child in self._children:
            child.tell(order)

    def _kill_all(self) -> None:
        for child in self._children:
            log.error("a worker process did not end as it was told; it is killed", pid=child.pid)
            child.kill()


class WorkerProcess:
    """One worker process, and the pipe to it; it ends when its starter is gone."""

    def __init__(self, process: asyncio.subprocess.Process, control: int) -> None:
        self._process = process
        self._control = control
        self._started = time.monotonic()

    @classmethod
    async def start(cls, arguments: Sequence[str], log: IO[bytes] | None = None) -> Self:
        """Start ``queuekit worker ...``; what it logs goes to our stderr unless a file is given."""
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "queuekit", *arguments),
                *("--processes", "1", "--supervised", str(theirs)),
                stderr=log,
                pass_fds=[theirs],
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return cls(process, ours)

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.returncode

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._started

    async def ended(self) -> tuple[int, float]:
        """Its exit code, and how many seconds it lived."""
        try:
            return await self._process.wait(), self.age
        finally:
            os.close(self._control)

    def tell(self, order: bytes) -> None:
        """Send an order."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._control, order)

    def kill(self) -> None:
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


@contextmanager
def obeying(worker: Worker, control: int) -> Iterator[None]:
    """The child's side: stop a worker by its supervisor's orders, by its end, and by SIGTERM and SIGINT.

    To finish counts once, wherever it comes from: a terminal signals parent and children alike.

    Args:
        worker: made with ``signals=False``.
        control: the reading end of the pipe.
    """
    worker.ends_process = True
    threading.Thread(
        target=_listen, args=(control, worker.orders), name="queuekit-control", daemon=True
    ).start()
    with on_signals(worker.orders.finish):
        yield


def _listen(control: int, orders: Orders) -> None:
    """In a thread of its own, as a task that blocks the event loop must not keep an orphan alive."""
    while order := os.read(control, 1):
        if order == NOW:
            orders.now()
        else:
            orders.finish()
    orders.finish()


def _backoff(deaths: int) -> float:
    return min(BACKOFF_LAST, BACKOFF_FIRST * 2 ** (deaths - 1)) if deaths else 0.0
