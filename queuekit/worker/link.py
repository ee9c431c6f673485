"""The worker's connection to the store: up, or down with one prober, so that an outage costs next to nothing."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from typing import Final

from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.log import log

PROBE_FIRST: Final = 0.1
PROBE_LAST: Final = 0.7
"""Seconds between probes: the next job starts within a second after the server's return."""


class Link:
    """Whether the server can be reached.

    Args:
        probe: a call that succeeds when the server is back.
        recover: what must be done then, before anything else.

    Attributes:
        up: set while it can.
        back_at: when it came back last, by the loop's clock.
    """

    def __init__(
        self, probe: Callable[[], Awaitable[object]], recover: Callable[[], Awaitable[object]]
    ) -> None:
        self._probe = probe
        self._recover = recover
        self.up = asyncio.Event()
        self.up.set()
        self.back_at = -math.inf
        self._down = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Link: {'up' if self.up.is_set() else 'down'}>"

    def lost(self, error: Exception) -> None:
        """A call failed; everybody waits for `up` until a probe got through."""
        if self.up.is_set():
            self.up.clear()
            self._down.set()
            log.warning("the server can't be reached; trying again until it can", error=str(error))

    async def run(self) -> None:
        """Probe while the server is down."""
        while True:
            await self._down.wait()
            delay = PROBE_FIRST
            while self._down.is_set():
                await asyncio.sleep(delay * random.uniform(0.5, 1))
                delay = min(delay * 2, PROBE_LAST)
                try:
                    await self._probe()
                    await self._recover()
                except (BackendUnavailable, BackendRefused):
                    continue
                self._down.clear()
            self.back_at = asyncio.get_running_loop().time()
            self.up.set()
            log.info("the server is back")
