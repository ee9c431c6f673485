"""How much to claim next, or what to wait for: a pure function of what the fetcher knows."""

from enum import Enum
from typing import Final, NamedTuple

MOST_AT_ONCE: Final = 1_000
PREFETCH_FOR: Final = 0.05
"""Seconds of work that may be claimed beyond the free slots, at the pace at which jobs begin."""


class Do(Enum):
    """What the fetcher does next."""

    CLAIM = "claim jobs, and settle the outcomes that are there in the same call"
    SETTLE = "settle outcomes alone, because nothing may be claimed now"
    GATHER = "let outcomes wait a moment for the next claim: one round trip for both"
    WAIT_FOR_WORK = "wait for the doorbell, because the queues are empty"
    WAIT_FOR_SLOT = "wait until fewer claimed jobs wait for slots"
    WAIT_FOR_SERVER = "wait for the end of an outage"
    STOP = "stop, because a burst has nothing left to run"


class Known(NamedTuple):
    """What the fetcher knows when it decides.

    Attributes:
        concurrency: how many slots there are.
        free: slots without a run.
        claimed: jobs that are claimed and have no slot yet.
        queued_inside: runs that have a slot and wait for a thread or a child.
        pace: how many jobs begin in a second; None: not known yet.
        free_children: how many suspects could begin now.
        outcomes: how many wait to be settled.
        gathered: whether they have waited for the next claim as long as they may.
        queues_empty: whether the last claim brought less than it asked for, and no doorbell has rung since.
        stopping: whether no job is begun any more.
        outage: whether the server can't be reached.
        burst: whether the worker ends when there is nothing left to run.
    """

    concurrency: int
    free: int
    claimed: int
    queued_inside: int
    pace: float | None
    free_children: int
    outcomes: int
    gathered: bool
    queues_empty: bool
    stopping: bool
    outage: bool
    burst: bool


class Step(NamedTuple):
    """What to do next.

    Attributes:
        do: which kind of step.
        refill_at: how few claimed jobs must be left until the fetcher decides anew.
        limit: of a claim: how many jobs it asks for.
        suspects: of a claim: how many of them may be suspects.
    """

    do: Do
    refill_at: int
    limit: int = 0
    suspects: int = 0


def decide(known: Known) -> Step:
    """The next step."""
    ahead = known.concurrency if known.pace is None else int(known.pace * PREFETCH_FOR)
    wanted = min(known.free + ahead, 2 * MOST_AT_ONCE)
    # Claim when half of what is wanted is gone: batches stay large, and the next is on its way while this one runs.
    refill_at = wanted // 2
    if known.outage:
        return Step(Do.WAIT_FOR_SERVER, refill_at)
    may_claim = not (known.stopping or known.queues_empty or known.queued_inside)
    if may_claim and known.claimed <= refill_at and known.claimed < wanted:
        limit = min(wanted - known.claimed, MOST_AT_ONCE)
        return Step(Do.CLAIM, refill_at, limit, min(limit, known.free_children))
    if known.outcomes:
        wait = known.claimed and not known.gathered
        return Step(Do.GATHER if wait else Do.SETTLE, refill_at)
    if not known.queues_empty:
        return Step(Do.WAIT_FOR_SLOT, refill_at)
    nothing_here = known.free == known.concurrency and not known.claimed
    return Step(Do.STOP if known.burst and nothing_here else Do.WAIT_FOR_WORK, refill_at)
