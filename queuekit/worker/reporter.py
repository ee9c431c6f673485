"""Progress and log lines of running jobs, sent in batches in the background."""

import asyncio
from collections.abc import Awaitable, Generator
from typing import Final

from queuekit.backend import Backend, Report
from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.job import Token
from queuekit.log import log

GATHER_FOR: Final = 0.05
MOST_WAITING: Final = 10_000


class Receipt(Awaitable[None]):
    """What a task gets for a report; awaited, it waits until that is stored."""

    def __init__(self) -> None:
        self._settled = asyncio.Event()

    def __await__(self) -> Generator[object, None, None]:
        yield from self._settled.wait().__await__()

    def settle(self) -> None:
        """End the waiting: the report is stored, or never will be."""
        self._settled.set()


class Reporter:
    """Gathers reports from the loop and from threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Report, Receipt]] = []
        self._some = asyncio.Event()
        self._sending = asyncio.Lock()

    def add(self, token: Token, progress: str | None, logs: tuple[str, ...]) -> Awaitable[None]:
        """Send in the background; from any thread."""
        receipt = Receipt()
        entry = (Report(token, progress, logs), receipt)
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._append(entry)
        else:
            self._loop.call_soon_threadsafe(self._append, entry)
        return receipt

    async def run(self) -> None:
        """Send what has gathered, for ever; what is left is sent at the end."""
        try:
            while True:
                await self._some.wait()
                await asyncio.sleep(GATHER_FOR)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Send what waits; when this returns, what was on its way before has arrived, too."""
        async with self._sending:
            self._some.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._send(batch)

    async def _send(self, batch: list[tuple[Report, Receipt]]) -> None:
        try:
            await self._backend.report([report for report, _ in batch])
        except (BackendUnavailable, BackendRefused) as error:
            log.warning(
                "progress and log lines of running jobs were not stored",
                count=len(batch),
                error=str(error),
            )
        for _, receipt in batch:
            receipt.settle()

    def _append(self, entry: tuple[Report, Receipt]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            _, oldest = self._waiting.pop(0)
            oldest.settle()
        self._waiting.append(entry)
        self._some.set()
