"""What the fetcher does next, for all that it may know."""

from typing import Any

import pytest

from queuekit.worker.claiming import MOST_AT_ONCE, Do, Known, Step, decide

IDLE = Known(
    concurrency=10,
    free=10,
    claimed=0,
    queued_inside=0,
    pace=0.0,
    free_children=2,
    outcomes=0,
    gathered=False,
    queues_empty=False,
    stopping=False,
    outage=False,
    burst=False,
)
"""A worker of ten slots that has just started."""
FULL = {"free": 0, "claimed": 5, "pace": 200.0}
"""Every slot is taken; ten jobs begin in 50 ms."""


def after(**changes: Any) -> Step:
    return decide(IDLE._replace(**changes))


@pytest.mark.parametrize(
    ("known", "limit"),
    [
        ({}, 10),
        ({"free": 3}, 3),
        ({"pace": None}, 20),
        ({"pace": 200.0}, 20),
        ({"free": 0, "pace": 200.0}, 10),
        ({"free": 0, "pace": 19.0}, None),
        ({"free": 0, "pace": None}, 10),
        ({"free": 0, "pace": 1e9}, MOST_AT_ONCE),
        # With half of what is wanted it is time for the next, with more it is not.
        ({**FULL, "claimed": 5}, 5),
        ({**FULL, "claimed": 6}, None),
        ({**FULL, "claimed": 0}, 10),
        ({"free": 0, "pace": 1e9, "claimed": MOST_AT_ONCE}, MOST_AT_ONCE),
        ({"free": 0, "pace": 1e9, "claimed": MOST_AT_ONCE + 1}, None),
        ({"free": 0, "pace": 1e9, "claimed": MOST_AT_ONCE - 1}, MOST_AT_ONCE),
        ({"free": 0, "pace": 40.0, "claimed": 1}, 1),
    ],
)
def test_it_claims_for_free_slots_and_for_50_ms_beyond(
    known: dict[str, Any], limit: int | None
) -> None:
    step = after(**known)
    if limit is None:
        assert (step.do, step.limit, step.suspects) == (Do.WAIT_FOR_SLOT, 0, 0)
    else:
        assert (step.do, step.limit) == (Do.CLAIM, limit)


@pytest.mark.parametrize(
    ("known", "suspects"),
    [
        ({}, 2),
        ({"free_children": 0}, 0),
        ({"free": 1}, 1),
    ],
)
def test_it_takes_no_more_suspects_than_there_are_children_for(
    known: dict[str, Any], suspects: int
) -> None:
    assert after(**known).suspects == suspects


@pytest.mark.parametrize(
    ("known", "refill_at"),
    [
        ({}, 5),
        (FULL, 5),
        ({"free": 0, "pace": 60.0}, 1),
        ({"free": 0}, 0),
        ({**FULL, "outcomes": 1, "queues_empty": True}, 5),
        ({**FULL, "outage": True}, 5),
        ({"free": 0, "pace": 1e9}, MOST_AT_ONCE),
    ],
)
def test_it_wants_to_know_when_half_of_what_it_wants_is_gone(
    known: dict[str, Any], refill_at: int
) -> None:
    assert after(**known).refill_at == refill_at


CLOSED = [{"stopping": True}, {"queues_empty": True}, {"queued_inside": 1}]
"""Nothing may be claimed."""


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize(
    ("known", "do"),
    [
        ({"outcomes": 1}, Do.SETTLE),
        ({**FULL, "outcomes": 1}, Do.GATHER),
        ({**FULL, "outcomes": 1, "gathered": True}, Do.SETTLE),
        ({**FULL, "claimed": 0, "outcomes": 1}, Do.SETTLE),
    ],
)
def test_where_nothing_may_be_claimed_it_settles(
    closed: dict[str, Any], known: dict[str, Any], do: Do
) -> None:
    step = after(**known, **closed)
    assert (step.do, step.limit, step.suspects) == (do, 0, 0)


@pytest.mark.parametrize(
    ("closed", "do"),
    list(zip(CLOSED, [Do.WAIT_FOR_SLOT, Do.WAIT_FOR_WORK, Do.WAIT_FOR_SLOT], strict=True)),
)
def test_with_nothing_to_claim_and_nothing_to_settle_it_waits(
    closed: dict[str, Any], do: Do
) -> None:
    assert after(**closed).do is do
    assert after(**FULL, **closed).do is do


@pytest.mark.parametrize(
    ("known", "do"),
    [
        ({"claimed": 6}, Do.GATHER),
        ({"claimed": 6, "gathered": True}, Do.SETTLE),
        # What may be claimed now takes them along at once.
        ({"claimed": 5}, Do.CLAIM),
        ({"claimed": 0}, Do.CLAIM),
    ],
)
def test_outcomes_wait_a_moment_while_there_are_claimed_jobs(known: dict[str, Any], do: Do) -> None:
    assert after(**{**FULL, **known}, outcomes=1).do is do


@pytest.mark.parametrize(
    "known",
    [{}, {"outcomes": 1}, {"queues_empty": True}, {"stopping": True}, {"burst": True}, FULL],
)
def test_in_an_outage_it_does_nothing(known: dict[str, Any]) -> None:
    step = after(**known, outage=True)
    assert (step.do, step.limit, step.suspects) == (Do.WAIT_FOR_SERVER, 0, 0)


@pytest.mark.parametrize(
    ("known", "do"),
    [
        ({}, Do.STOP),
        ({"queues_empty": False}, Do.CLAIM),
        # What runs, is about to run or has just ended may enqueue others, or have done so.
        ({"free": 9}, Do.WAIT_FOR_WORK),
        ({"claimed": 1}, Do.WAIT_FOR_WORK),
        ({"outcomes": 1}, Do.SETTLE),
        ({"burst": False}, Do.WAIT_FOR_WORK),
    ],
)
def test_a_burst_stops_when_there_is_nothing_left(known: dict[str, Any], do: Do) -> None:
    assert after(**{"burst": True, "queues_empty": True, **known}).do is do
