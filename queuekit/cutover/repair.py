"""Repair: it pages through both sides and mends what was left half-way, or never came (rule 16)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from queuekit.backend import Copy, Kind
from queuekit.cutover import rules
from queuekit.cutover.acts import Bounds, swap
from queuekit.cutover.pair import ACT_WITHIN, Pair
from queuekit.cutover.phase import View
from queuekit.cutover.rules import Act, Place
from queuekit.log import log

AT_ONCE: Final = 500
REST: Final = 5.0
"""Seconds between two passes, at least."""
SHARE: Final = 0.1
"""Of the time a pass may take so much, so that many jobs cost no more than a longer way to what is wrong."""
SEALED_FOR: Final = 60.0
"""Seconds after the seal in which no mirror is dropped (rule 18): a late repeat may be let in again by an abort."""


@dataclass
class Pass:
    """One way through a queue.

    Attributes:
        view: that it goes by; each of its acts is refused in another epoch.
        left: sides and kinds that are still to be paged through, the present one last.
        cursor: in the present one.
    """

    view: View
    left: list[tuple[int, Kind]]
    cursor: str | None = None
    begun_at: float = field(default_factory=monotonic)


class Repair:
    """Repairs the queues of a pair, a page at a time; any number of processes may do so at once."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._passes: dict[str, Pass] = {}
        self._due_at: dict[str, float] = {}
        self._sealed_at: dict[str, float] = {}

    async def go_on(self, queue: str, view: View) -> bool:
        """Look at a page, if a pass is due or under way; whether it is under way."""
        self._note_seal(queue, view)
        under_way = self._passes.get(queue)
        if under_way is None or under_way.view != view:
            if under_way is None and monotonic() < self._due_at.get(queue, 0.0):
                return False
            under_way = self._passes[queue] = Pass(view, [*_way(view)])
        side, kind = under_way.left[-1]
        page = await self._pair.sides[side].page(
            queue, kind, cursor=under_way.cursor, limit=AT_ONCE
        )
        await self._mend(queue, view, side, page.copies)
        under_way.cursor = page.cursor
        if page.cursor is None:
            under_way.left.pop()
        if under_way.left:
            return True
        self._passes.pop(queue)
        now = monotonic()
        self._due_at[queue] = now + max(REST, (now - under_way.begun_at) / SHARE)
        return False

    async def _mend(self, queue: str, view: View, side: int, copies: Sequence[Copy]) -> None:
        """The copies that give rise to acts were read first, those of the other side after them."""
        if not copies:
            return
        until = [self._pair.moment(one) + ACT_WITHIN for one in (0, 1)]
        others = await self._pair.sides[1 - side].look([one.ref for one in copies])
        place = Place(side == view.active, _shut(view, side), _shut(view, 1 - side))
        steps: tuple[list[tuple[Copy, Copy]], list[tuple[Copy, Copy]]] = ([], [])
        told: Counter[str] = Counter()
        for mine, other in zip(copies, others, strict=True):
            act = (
                rules.forgotten(mine, other, self._pair.moment(side))
                if mine.stamp.kind is Kind.DONE
                else rules.repaired(place, mine, other)
            )
            if act is not None and self._may(queue, act):
                at = 1 - side if act.at_other else side
                steps[at].append((other if act.at_other else mine, act.after))
                told[act.name] += 1
        for at, some in enumerate(steps):
            found, after = [one for one, _ in some], [new for _, new in some]
            await swap(self._pair.sides[at], found, after, Bounds(view.epoch, until[at]))
        if told:
            log.debug("repaired copies of a queue in a cutover", queue=queue, **_words(told))

    def _may(self, queue: str, act: Act) -> bool:
        """Whether it may be done now: a job with a key comes back by a keyed act, and no mirror is dropped early."""
        if act.name == "drop the mirror":
            return monotonic() - self._sealed_at.get(queue, monotonic()) > SEALED_FOR
        return act.after.record is None or act.after.record.job.key is None

    def _note_seal(self, queue: str, view: View) -> None:
        if _shut(view, view.passive):
            self._sealed_at.setdefault(queue, monotonic())
        else:
            self._sealed_at.pop(queue, None)


def _way(view: View) -> Iterator[tuple[int, Kind]]:
    """Which kinds of which sides give rise to acts; the last one comes first."""
    yield view.active, Kind.DONE
    yield view.passive, Kind.DONE
    yield view.active, Kind.LIVE
    yield view.passive, Kind.HELD
    yield view.active, Kind.HELD
    yield view.active, Kind.MOVING


def _shut(view: View, side: int) -> bool:
    gate = view[side]
    return gate is not None and gate.shut


def _words(told: Counter[str]) -> dict[str, int]:
    return {name.replace(" ", "_"): count for name, count in told.items()}
