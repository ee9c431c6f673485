"""Whole jobs that come from elsewhere while both sides are there."""

from collections.abc import Sequence

from queuekit.backend import Change
from queuekit.cutover.pair import Pair
from queuekit.record import JobRecord


class ToTheActive:
    """Stores each job at the active side of its queue; repair mirrors it."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    async def store(self, records: Sequence[JobRecord]) -> list[Change]:
        """Store jobs as their records say; one answer each, in order."""
        views = await self._pair.views({one.ref.queue for one in records})
        answers: dict[int, Change] = {}
        for side, backend in enumerate(self._pair.backends):
            places = [n for n, one in enumerate(records) if views[one.ref.queue].active == side]
            if places:
                done = await backend.transfer.store([records[n] for n in places])
                answers |= dict(zip(places, done, strict=True))
        return [answers[n] for n in range(len(records))]
