"""The time up to which due jobs were processed, for each set of queues, so that scans skip dead index entries."""

import time
from collections.abc import Sequence

from queuekit.job import Micros

MARGIN: Micros = 1_000_000
"""What was written by a statement that took no longer than this is not missed."""
BATCH = 1000
"""How many jobs of one kind one call deals with (see the schema); if it was so many, there may be more."""


class Floors:
    """Where scans by time begin: behind the last one, but now and then at the start, as some commit late.

    Args:
        from_start_every: seconds between scans from the very beginning.
    """

    def __init__(self, from_start_every: float) -> None:
        self._from_start_every = from_start_every
        self._floors: dict[tuple[str, ...], Micros] = {}
        self._from_start_at: dict[tuple[str, ...], float] = {}

    def since(self, queues: Sequence[str]) -> Micros:
        """Where the next scan begins."""
        key = tuple(queues)
        if self._from_start_at.get(key, 0.0) <= time.monotonic():
            self._from_start_at[key] = time.monotonic() + self._from_start_every
            self._floors[key] = 0
        return self._floors[key]

    def done(self, queues: Sequence[str], now: Micros, found: int) -> None:
        """A scan at a moment found so many."""
        if found < BATCH:
            self._floors[tuple(queues)] = now - MARGIN
