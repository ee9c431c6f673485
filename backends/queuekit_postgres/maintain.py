"""Moving time on."""

import time
from collections.abc import Callable, Collection, Sequence

from queuekit.backend import Upkeep
from queuekit.job import Micros
from queuekit_postgres.connection import Lanes
from queuekit_postgres.fetch import Floors
from queuekit_postgres.rows import changes
from queuekit_postgres.schema import DAYS_AHEAD
from queuekit_postgres.statements import Statements

PRUNED_AT_MOST = 20_000
PRUNED_ON_THE_WAY = 200
"""So many in the step that moves time on: idle workers, who find nothing to prune, send one transaction a round."""
PRUNE_SHARE = 0.1
"""At most this share of the time goes into pruning."""
PARTITIONS_EVERY = 600.0
RESCUE_FROM_START_EVERY = 30.0


class Maintenance:
    """What `maintain` does, in bounded steps."""

    def __init__(
        self,
        statements: Statements,
        lanes: Lanes,
        keep_failed: Micros,
        went_back: Callable[[Collection[str]], None],
    ) -> None:
        self._statements = statements
        self._lanes = lanes
        self._keep_failed = keep_failed
        self._went_back = went_back
        self._rescued = Floors(RESCUE_FROM_START_EVERY)
        self._prune_at = 0.0
        self._pruned = 0
        """by the last round"""
        self._partitions_at = time.monotonic() + PARTITIONS_EVERY

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """One round."""
        names = list(queues)
        await self._keep_partitions()
        prunes = time.monotonic() >= self._prune_at
        on_the_way = PRUNED_ON_THE_WAY if prunes and not self._pruned else 0
        (row,) = await self._lanes.fetch(
            self._statements["maintain"],
            names,
            self._keep_failed,
            self._rescued.since(queues),
            on_the_way,
        )
        rescued = changes(row["rescued"])
        self._rescued.done(queues, row["now"], len(rescued))
        if rescued:
            self._went_back(names)
        if on_the_way:
            self._pruned = row["pruned"]
        elif prunes:
            self._pruned = await self._prune(names)
        return Upkeep(
            rescued=rescued,
            expired=changes(row["expired"]),
            promoted=row["promoted"],
            renewed=row["renewed"],
            pruned=self._pruned if prunes else 0,
            due_in=_until(row["due_at"], row["now"]),
            again_in=_until(row["again_at"], row["now"]),
        )

    async def _keep_partitions(self) -> None:
        now = time.monotonic()
        if now >= self._partitions_at:
            self._partitions_at = now + PARTITIONS_EVERY
            await self._lanes.fetch(self._statements["make_partitions"], DAYS_AHEAD)

    async def _prune(self, queues: list[str]) -> int:
        began = time.monotonic()
        (row,) = await self._lanes.fetch(self._statements["prune"], queues, PRUNED_AT_MOST)
        ended = time.monotonic()
        self._prune_at = ended + (ended - began) / PRUNE_SHARE
        pruned: int = row[0]
        return pruned


def _until(moment: Micros | None, now: Micros) -> Micros | None:
    return None if moment is None else max(0, moment - now)
