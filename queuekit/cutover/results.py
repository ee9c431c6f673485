"""Waiting for the end of jobs that may move meanwhile."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from queuekit.cutover.pair import Pair
from queuekit.cutover.seen import Seen, seen
from queuekit.errors import JobNotFound
from queuekit.job import JobRef
from queuekit.loops import first_of
from queuekit.record import JobRecord

WAIT_AT_ONE_SIDE: Final = 2.0
"""Seconds after which both sides are asked again where the jobs are."""
SHORTEST: Final = 0.001
ON_THE_WAY: Final = 0.05
"""Seconds between two looks at jobs that neither side has now."""


async def for_ends(pair: Pair, refs: Sequence[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
    """The records of those that have finished, as soon as one has; what `Backend.results` gives."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_for
    registers = wait_for > 0
    while True:
        both = await seen(pair, refs)
        for ref, one in both.items():
            if not one.known and not await _is_known_to_either(pair, ref):
                raise JobNotFound.named(ref)
        found = {ref: one.end for ref, one in both.items() if one.end is not None}
        left = end - loop.time()
        if found or (left <= 0 and not registers):
            return found
        registers = False  # who waits is remembered where the jobs are, however short the wait is
        found = await _ends_where_they_are(pair, both, min(max(left, SHORTEST), WAIT_AT_ONE_SIDE))
        if found:
            return found


async def _is_known_to_either(pair: Pair, ref: JobRef) -> bool:
    """Asked again, as one of them may have been away. Raises `BackendUnavailable`: it still is."""
    first, second = [(await side.look([ref]))[0] for side in pair.sides]
    return Seen(first, second).known


async def _ends_where_they_are(
    pair: Pair, both: dict[JobRef, Seen], wait_for: float
) -> dict[JobRef, JobRecord]:
    found: dict[JobRef, JobRecord] = {}

    async def wait_at(side: int, refs: Sequence[JobRef]) -> None:
        with suppress(JobNotFound):
            found.update(await pair.backends[side].results(refs, wait_for))

    owners = {side: [ref for ref, one in both.items() if one.owner == side] for side in (0, 1)}
    waits = [wait_at(side, refs) for side, refs in owners.items() if refs]
    await first_of(*waits or [asyncio.sleep(ON_THE_WAY)])
    return found
