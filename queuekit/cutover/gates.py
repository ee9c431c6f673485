"""Turning gates: each turn is one step at one side, and whoever sees a turn half done does the rest."""

from queuekit.backend import Gate, Mark
from queuekit.cutover.pair import Pair
from queuekit.cutover.phase import View


async def turned(pair: Pair, queue: str, side: int, before: Gate | None, after: Gate) -> bool:
    """Turn a gate that was seen; whether it is turned now."""
    return await pair.sides[side].turn(queue, before, after) == after


async def help_raise(pair: Pair, queue: str, view: View) -> bool:
    """Raise the side that is behind to the epoch of the other (rule 9); whether it was done.

    Whoever raises the home writes its record with it (rule 18).
    """
    first, second = view
    if first is None or second is None:
        return False  # only repair may make a record that is not there (rule 10)
    behind, ahead = (0, second) if first.epoch < second.epoch else (1, first)
    old = view[behind]
    assert old is not None, "both gates are there"
    new = old._replace(epoch=ahead.epoch)
    if ahead.mark is Mark.CLOSED:
        new = new._replace(mark=Mark.HOME, marked_at=ahead.epoch)
    return await turned(pair, queue, behind, old, new)
