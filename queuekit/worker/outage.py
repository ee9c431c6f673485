"""Outages of the server: one prober for the whole worker while they last, so that they cost next to nothing."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final

from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.log import log

PROBE_FIRST: Final = 0.1
PROBE_LAST: Final = 0.7
"""Seconds between probes: the next job starts within a second after the server's return."""


class Outage:
    """Whether the server can't be reached now.

    Args:
        probe: raises `BackendUnavailable` or `BackendRefused` as long as it lasts.

    Attributes:
        over: set while the server can be reached; cleared from the first failed call to a probe that got through.
        ended_at: the end of the last outage, by the loop's clock.
    """

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        self._probe = probe
        self.over = asyncio.Event()
        self.over.set()
        self.ended_at = -math.inf
        self._begun = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Outage: {'over' if self.over.is_set() else 'now'}>"

    def begin(self, error: Exception) -> None:
        """A call has failed: everybody waits until it is over."""
        if self.over.is_set():
            self.over.clear()
            self._begun.set()
            log.warning("the server can't be reached; trying again until it can", error=str(error))

    async def run(self) -> None:
        """Probe while there is an outage, for ever."""
        while True:
            await self._begun.wait()
            for delay in delays():
                await asyncio.sleep(delay)
                with suppress(BackendUnavailable, BackendRefused):
                    await self._probe()
                    break
            self._begun.clear()
            self.ended_at = asyncio.get_running_loop().time()
            self.over.set()
            log.info("the server is back")


def delays() -> Iterator[float]:
    """Seconds before each probe, with jitter, so that the server is not asked by all workers at once."""
    delay = PROBE_FIRST
    while True:
        yield delay * random.uniform(0.5, 1)
        delay = min(delay * 2, PROBE_LAST)
