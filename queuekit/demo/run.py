"""Runs the demo: feeds events to a queue, watches a worker process them, and settles the books."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import IO, Final, NamedTuple

from queuekit.app import Queuekit
from queuekit.backend import JobFilter
from queuekit.demo.app import receive
from queuekit.demo.books import Books, Check, Deliveries, checks, read_back, reckoned
from queuekit.demo.view import Glance, View
from queuekit.errors import QueuekitError
from queuekit.loops import background

APP: Final = "queuekit.demo.app:qk"
PER_SECOND: Final = 100
"""Deliveries."""
GLANCE: Final = 0.15
"""Seconds between two looks at the queue."""
PATIENCE: Final = 60.0
"""Seconds until the books are settled as they are."""
RECENT: Final = 8


class DemoFailed(QueuekitError):
    """The demo could not be run to its end."""


class Settlement(NamedTuple):
    """How the demo ended: the books as the queue has them, and whether they agree with the others."""

    found: Books
    checks: Sequence[Check]
    seconds: float


async def run(qk: Queuekit, given: Deliveries, view: View) -> Settlement:
    """Run it on the app's store.

    Args:
        qk: the app of `queuekit.demo.app`, its store empty.
        given: what to feed.
        view: is shown what happens.

    Raises:
        DemoFailed: the worker died.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with qk:
        feeder = _Feeder(given.bodies)
        async with _worker() as worker, background(feeder.run):
            await _watch(qk, feeder, worker, view)
        found = await read_back(qk)
    agreed = checks(reckoned(given.bodies), found, given.report)
    return Settlement(found, agreed, loop.time() - begun)


class _Feeder:
    """The provider: sends webhooks at an even pace."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._bodies = bodies
        self.sent = 0

    @property
    def total(self) -> int:
        return len(self._bodies)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number, body in enumerate(self._bodies):
            await asyncio.sleep(begun + number / PER_SECOND - loop.time())
            await receive.enqueue(body.decode(errors="replace"))
            self.sent += 1


class _Worker:
    """The real one, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raises `DemoFailed` if it is gone."""
        code = self._process.returncode
        if code is not None:
            self._log.seek(0)
            words = self._log.read()[-1000:].decode(errors="replace")
            raise DemoFailed(f"the worker has ended (exit code {code}): {words}")


@asynccontextmanager
async def _worker() -> AsyncIterator[_Worker]:
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "queuekit", "worker", APP, "--concurrency", "16"), stderr=log
        )
        try:
            yield _Worker(process, log)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _watch(qk: Queuekit, feeder: _Feeder, worker: _Worker, view: View) -> None:
    """Look on until all is done, or for as long as patience lasts."""
    loop = asyncio.get_running_loop()
    begun, quiet = loop.time(), 0
    # Looked at twice, as the queues of one look are not counted at one moment.
    while quiet < 2 and loop.time() - begun < PATIENCE:
        await asyncio.sleep(GLANCE)
        worker.check()
        sent = feeder.sent
        queues = await qk.inspect.queues()
        recent = await qk.inspect.list(JobFilter(tasks=["process"]), limit=RECENT)
        glance = Glance(loop.time() - begun, sent, feeder.total, queues, recent)
        view(glance)
        quiet = quiet + 1 if sent == feeder.total and not glance.unfinished else 0
