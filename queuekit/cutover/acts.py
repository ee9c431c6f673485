"""Steps at one side, each decided by a rule from what is there, and carried out if that is still so."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from queuekit.backend import Copy, Kind, Refusal, Side, Stamp, Swap
from queuekit.cutover import rules
from queuekit.job import JobRef, Micros
from queuekit.record import JobRecord

TRIES: Final = 5

Rule: TypeAlias = Callable[[Copy], Copy | None]
"""From what is found to what is to be there; None: it stays."""


class Wanted(NamedTuple):
    """A step for one job.

    Attributes:
        rule: what becomes of what is found.
        likely: what is probably found: then one call does it.
    """

    rule: Rule
    likely: Stamp | None = None


class Bounds(NamedTuple):
    """The epoch of an act, and its deadline by the clock of the side (None: this is its first step)."""

    epoch: int
    until: Micros | None = None


async def carry_out(
    side: Side, wanted: Mapping[JobRef, Wanted], bounds: Bounds
) -> dict[JobRef, Refusal]:
    """Carry out steps at a side; those that were refused: stale, late, or changed again and again."""
    refused: dict[JobRef, Refusal] = {}
    guesses = {ref: Copy(ref, one.likely) for ref, one in wanted.items() if one.likely}
    left = await _swap(side, wanted, guesses, bounds, refused)
    left += [ref for ref in wanted if ref not in guesses]
    for _ in range(TRIES):
        if not left:
            break
        found = {copy.ref: copy for copy in await side.look(left)}
        left = await _swap(side, wanted, found, bounds, refused)
    return refused | dict.fromkeys(left, Refusal.CHANGED)


async def swap(
    side: Side,
    found: Sequence[Copy],
    after: Sequence[Copy],
    bounds: Bounds,
    jobs: Mapping[JobRef, JobRecord] = MappingProxyType({}),
) -> list[Copy]:
    """Put copies in the place of others, as they were seen; those that are there now.

    Args:
        side: at which they are.
        found: as they were seen.
        after: what is to be there, in the same order.
        bounds: of the act.
        jobs: what those are that move, as far as it is known.
    """
    swaps = [
        _step(one, new, bounds, jobs.get(one.ref)) for one, new in zip(found, after, strict=True)
    ]
    done = await side.swap(swaps) if swaps else []
    return [new for new, one in zip(after, done, strict=True) if one.refused is None]


async def pages(side: Side, queue: str, kind: Kind) -> AsyncIterator[Sequence[Copy]]:
    """All copies of a kind."""
    cursor: str | None = None
    while True:
        page = await side.page(queue, kind, cursor=cursor)
        yield page.copies
        cursor = page.cursor
        if cursor is None:
            return


def _step(found: Copy, after: Copy, bounds: Bounds, job: JobRecord | None = None) -> Swap:
    """What has moved gives back the key that it has held (rule 19)."""
    frees = (job or rules.whole(found)).job.key if found.stamp.kind is Kind.MOVING else None
    return Swap(found.stamp, after, bounds.epoch, bounds.until, frees)


async def _swap(
    side: Side,
    wanted: Mapping[JobRef, Wanted],
    found: Mapping[JobRef, Copy],
    bounds: Bounds,
    refused: dict[JobRef, Refusal],
) -> list[JobRef]:
    """Those that were something else by then; notes those that were refused for good."""
    swaps = [
        _step(copy, after, bounds)
        for ref, copy in found.items()
        if (after := wanted[ref].rule(copy)) is not None
    ]
    changed: list[JobRef] = []
    for one, done in zip(swaps, await side.swap(swaps) if swaps else (), strict=True):
        if done.refused is Refusal.CHANGED:
            changed.append(one.ref)
        elif done.refused is not None:
            refused[one.ref] = done.refused
    return changed
