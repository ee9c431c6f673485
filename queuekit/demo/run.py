"""Runs the demo: feeds events to a queue, watches a worker process them, and settles the books."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from queuekit.app import Queuekit
from queuekit.backend import JobFilter
from queuekit.demo.app import receive
from queuekit.demo.books import Books, Check, Deliveries, checks, read_back, reckoned
from queuekit.demo.view import Glance, View
from queuekit.errors import QueuekitError
from queuekit.loops import background
from queuekit.worker.supervisor import FINISH, WorkerProcess

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
        async with _worker() as check_worker, background(feeder.run):
            await _watch(qk, feeder, check_worker, view)
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


@asynccontextmanager
async def _worker() -> AsyncIterator[Callable[[], None]]:
    """The real one, in a process of its own; gives a check that it is still there."""
    with tempfile.TemporaryFile() as log:
        child = await WorkerProcess.start(["worker", APP, "--concurrency", "16"], log)

        def check() -> None:
            if child.code is not None:
                log.seek(0)
                words = log.read()[-1000:].decode(errors="replace")
                raise DemoFailed(f"the worker has ended (exit code {child.code}): {words}")

        try:
            yield check
        finally:
            child.tell(FINISH)
            await child.ended()


async def _watch(
    qk: Queuekit, feeder: _Feeder, check_worker: Callable[[], None], view: View
) -> None:
    """Look on until all is done, or for as long as patience lasts."""
    loop = asyncio.get_running_loop()
    begun, quiet = loop.time(), 0
    # Looked at twice, as the queues of one look are not counted at one moment.
    while quiet < 2 and loop.time() - begun < PATIENCE:
        await asyncio.sleep(GLANCE)
        check_worker()
        sent = feeder.sent
        queues = await qk.inspect.queues()
        recent = await qk.inspect.list(JobFilter(tasks=["process"]), limit=RECENT)
        glance = Glance(loop.time() - begun, sent, feeder.total, queues, recent)
        view(glance)
        quiet = quiet + 1 if sent == feeder.total and not glance.unfinished else 0
