"""What both sides have of a job, as one."""

from collections.abc import Sequence
from typing import NamedTuple

from queuekit.backend import ABSENT, Copy, Kind
from queuekit.cutover import rules
from queuekit.cutover.pair import Pair
from queuekit.job import JobRef
from queuekit.record import JobRecord


class Seen(NamedTuple):
    """The copies of one job at both sides."""

    first: Copy
    second: Copy

    @property
    def owner(self) -> int | None:
        """The side at which it lives; None: neither, now."""
        return next((side for side, copy in enumerate(self) if rules.is_live(copy)), None)

    @property
    def place(self) -> int:
        """The side at which it lives, or its record is; if there is none, the first."""
        kept = next((side for side, copy in enumerate(self) if copy.record is not None), 0)
        return kept if self.owner is None else self.owner

    @property
    def known(self) -> bool:
        """Whether it is somewhere, or its record is."""
        return self.record is not None

    @property
    def end(self) -> JobRecord | None:
        """The record of its end; None: it has not ended, or nothing is kept of that."""
        record = self.record
        return record if self.owner is None and record is not None and record.finished else None

    @property
    def generation(self) -> int:
        """How often people have run it again."""
        return max(one.stamp.generation for one in self)

    @property
    def record(self) -> JobRecord | None:
        """What is known of it: from where it lives, else its end, else from a copy on its way, or a mirror."""
        texts = {Kind.HELD, Kind.MOVING}
        copies = [one for one in self if one.record is not None or one.stamp.kind in texts]
        best = max(copies, key=_worth, default=None)
        if best is None or (best.stamp.kind is Kind.HELD and self._ended_without_record):
            return None
        return rules.whole(best)

    @property
    def _ended_without_record(self) -> bool:
        return any(one.stamp.kind is Kind.DONE for one in self)


async def seen(pair: Pair, refs: Sequence[JobRef]) -> dict[JobRef, Seen]:
    """What both sides have of some jobs; before any cutover, and of one that is away, as if it had nothing."""
    await pair.views({ref.queue for ref in refs})
    found = await pair.at_each(lambda side: pair.sides[side].look(refs))
    nothing = [Copy(ref, ABSENT) for ref in refs]
    both = zip(refs, found.get(0, nothing), found.get(1, nothing), strict=True)
    return {ref: Seen(*two) for ref, *two in both}


def _worth(copy: Copy) -> tuple[bool, int, int]:
    order = (Kind.HELD, Kind.MOVING, Kind.FAILED, Kind.DONE, Kind.LIVE, Kind.RUNNING)
    return rules.is_live(copy), copy.stamp.generation, order.index(copy.stamp.kind)
