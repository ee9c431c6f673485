"""Movers and repair die before and after each call of a side; whoever comes next brings it to an end."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from queuekit.backend import Ask, Kind, Side
from queuekit.cutover.movers import Movers
from queuekit.cutover.repair import Repair
from queuekit.job import Ack, Claimant, Job, JobOptions, State, new_id
from queuekit.record import JobRecord
from queuekit.testing.conformance._sides import unmarked
from tests.cutover.conftest import MakeTwo, Two

QUEUE = "default"
KINDS = (Kind.LIVE, Kind.FAILED, Kind.MOVING)
CALLS = 34


class Died(Exception):
    """The process is no more."""


class Mortal:
    """A side whose callers die at one of its calls.

    Args:
        side: what it is.
        countdown: shared by both sides: after so many calls.
        before: the call is not carried out.
    """

    def __init__(self, side: Side, countdown: Iterator[int], *, before: bool) -> None:
        self._side = side
        self._countdown = countdown
        self._before = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._side, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            last = next(self._countdown) == 0
            if last and self._before:
                raise Died
            answer = await found(*args, **kwargs)
            if last:
                raise Died
            return answer

        return call


async def filled(two: Two) -> dict[str, JobRecord]:
    """A queue that is active at the second side, with all that may be left at the first; its records."""
    backend = two.backend

    def job(key: str | None = None, **options: Any) -> Job[Any]:
        return Job(new_id(), "task", '"é"', JobOptions(QUEUE, **options), key)

    jobs = {
        "failed": job(priority=-9),
        "ready": job(),
        "urgent": job(priority=-5, tags=("a", "b")),
        "later": job(delay=3_600_000_000),
        "keyed": job(key="k"),
        "protected": job(key="p", key_until=3_600_000_000),
    }
    await two.steering.start(QUEUE)
    await backend.enqueue([*jobs.values()])
    ask = Ask([QUEUE], 1, Claimant("worker", 1), 30_000_000)
    (claim,) = (await backend.fetch(ask)).claims
    await backend.ack([Ack(claim.token, "task", State.FAILED, error='{"type": "E"}')])
    found = await backend.inspector.get([one.ref for one in jobs.values()])
    assert all(found)
    await two.steering.flip(QUEUE)
    return {name: cast(JobRecord, one) for name, one in zip(jobs, found, strict=True)}


async def bring_all(two: Two) -> None:
    """What one process does, from the beginning."""
    movers, repair = Movers(two.backend.pair), Repair(two.backend.pair)
    view = (await two.backend.pair.look([QUEUE]))[QUEUE]
    for kind in KINDS:
        while await movers.move(QUEUE, view, kind):
            pass
    while await repair.go_on(QUEUE, view):
        pass


async def count_calls(two: Two) -> int:
    """Of all that is brought over."""
    sides, countdown = two.backend.pair.sides, iter(range(1_000_000, 0, -1))
    mortals = [cast(Side, Mortal(side, countdown, before=True)) for side in sides]
    two.backend.pair.sides = (mortals[0], mortals[1])
    await bring_all(two)
    two.backend.pair.sides = sides
    return 1_000_000 - next(countdown)


async def is_brought_over(two: Two, records: dict[str, JobRecord], side: int) -> None:
    """All is at this side, to the last field, and nothing at the other."""
    counts = (await two.steering.status(QUEUE)).counts
    assert not {Kind.LIVE, Kind.RUNNING, Kind.MOVING, Kind.FAILED} & counts[1 - side].keys()
    assert counts[side] == {Kind.LIVE: 5, Kind.FAILED: 1} | {
        kind: count for kind, count in counts[side].items() if kind is Kind.DONE
    }
    refs = [one.ref for one in records.values()]
    found = await two.backend.pair.backends[side].inspector.get(refs)
    assert [one and unmarked(one) for one in found] == [*map(unmarked, records.values())]
    held = await two.backend.pair.sides[side].holders(QUEUE, ["k", "p"])
    holders = [one.id if one else None for one in held.holders]
    assert holders == [records["keyed"].job.id, records["protected"].job.id]


each_pair = pytest.mark.parametrize("pair", ["sqlite-another sqlite", "redis-postgres"])


@each_pair
async def test_these_are_all_calls(make_two: MakeTwo, pair: str) -> None:
    two = await make_two(*pair.split("-"))
    records = await filled(two)
    assert await count_calls(two) == CALLS
    await is_brought_over(two, records, 1)


@each_pair
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("calls", range(CALLS))
async def test_what_a_dead_process_left_is_brought_over(
    make_two: MakeTwo, pair: str, calls: int, before: bool
) -> None:
    two = await make_two(*pair.split("-"))
    records = await filled(two)
    both, sides = two.backend.pair, two.backend.pair.sides
    countdown = iter(range(calls, -1_000_000, -1))
    mortals = [cast(Side, Mortal(side, countdown, before=before)) for side in sides]
    both.sides = (mortals[0], mortals[1])
    with pytest.raises(Died):
        await bring_all(two)
    both.sides = sides
    await bring_all(two)
    await is_brought_over(two, records, 1)
    await two.steering.flip(QUEUE)
    await bring_all(two)
    await is_brought_over(two, records, 0)
