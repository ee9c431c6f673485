"""Where claims go on: behind the last one, for each priority in use.

While any old snapshot is open, index entries of claimed jobs can't be removed, and a claim from the start would walk
through all of them. What comes back or commits late behind a cursor is found by a rescan from the start.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

LOWEST, HIGHEST = -32768, 32767
"""Beyond any priority; smallint."""
RESCAN_EVERY = 1.0
RESCAN_AFTER = 0.02
RESCAN_SHARE = 0.1
"""At most this share of the time goes into rescans, once they cost more than `CHEAP`."""
CHEAP = 0.02


class Ranges(NamedTuple):
    """Parts of a queue in order, each behind (priority, seq) and below a priority."""

    priorities: list[int]
    seqs: list[int]
    below: list[int]


class Cursor:
    """The cursor of one queue."""

    def __init__(self) -> None:
        self._behind: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._rescanning = False
        self._ended = 0.0
        self._costs = (0.0, 0.0)
        self._found_nothing = False

    def ranges(self) -> Ranges:
        """What is left of the queue. A priority without a cursor has no dead entries: it is read from its start."""
        used = sorted(self._behind)
        return Ranges([LOWEST, *used], [0, *(self._behind[p] for p in used)], [*used, HIGHEST])

    def advance(
        self, claimed: Sequence[tuple[int, int]], *, short: bool, took: float = 0.0
    ) -> None:
        """Go behind what was claimed.

        Args:
            claimed: as (priority, seq) in order; empty, too, if suspects alone filled the claim.
            short: whether there was no more.
            took: seconds that the claim took.
        """
        self._behind.update(claimed)
        if self._rescanning and (claimed or short):
            self._end_rescan(claimed, short=short, took=took)

    def rewind(self) -> None:
        """Begin a rescan: the next claim reads from the start."""
        self._before, self._behind = self._behind, {}
        self._rescanning = True

    def worth_rescanning(self, *, found: bool, short: bool) -> bool:
        """Whether to rescan after a claim: found something, or came back short.

        Rules: at once if it is short; but every `RESCAN_AFTER` is enough if that finds nothing, and every
        `RESCAN_EVERY` under a full backlog; and never more than the share.
        """
        if not self._behind:
            return False
        idle = time.monotonic() - self._ended
        cost = min(self._costs)  # a single hiccup of the machine tells nothing
        if cost > CHEAP and cost > idle * RESCAN_SHARE:
            return False
        if not short:
            return idle > RESCAN_EVERY
        return not found or idle > RESCAN_AFTER or not self._found_nothing

    def _end_rescan(self, claimed: Sequence[tuple[int, int]], *, short: bool, took: float) -> None:
        self._costs = (self._costs[1], took)
        self._rescanning, self._ended, self._found_nothing = False, time.monotonic(), not claimed
        reached = HIGHEST if short else claimed[-1][0]
        for priority, seq in self._before.items():
            # Beyond what was reached nothing is known; before it nothing is left.
            if priority != reached:
                self._behind[priority] = max(seq, self._behind.get(priority, 0))
