"""The steps of a cutover: what each of them does in each phase, and what blocks it."""

from collections.abc import Awaitable, Callable

import pytest

from queuekit.backend import Ask, Kind, Mark
from queuekit.cutover import Blocked, CutoverBackend, Phase, Status, Steering
from queuekit.job import Ack, Claimant, Job, JobOptions, State, new_id
from queuekit.lifecycle import Event
from tests.cutover.conftest import MakeTwo, Two, bring
from tests.waiting import eventually

QUEUE = "default"
LEASE = 30_000_000


@pytest.fixture
async def two(make_two: MakeTwo) -> Two:
    return await make_two("sqlite", "another sqlite")


def job(**options: object) -> Job[None]:
    return Job(new_id(), "task", "{}", JobOptions(QUEUE, **options))  # type: ignore[arg-type]


async def claimed(backend: CutoverBackend) -> Ack:
    """The end, as failed, of a job that runs now."""
    fetched = await backend.fetch(Ask([QUEUE], 1, Claimant("worker", 1), LEASE))
    (claim,) = fetched.claims
    return Ack(claim.token, claim.task, State.FAILED)


async def persistently(step: Callable[[str], Awaitable[Status]]) -> Status:
    """As soon as nothing blocks it; a worker's part is done meanwhile."""
    done: list[Status] = []

    async def taken() -> bool:
        try:
            done.append(await step(QUEUE))
        except Blocked:
            return False
        return True

    await eventually(taken)
    return done[0]


STEPS: dict[str, Callable[[Steering], Callable[[str], Awaitable[Status]]]] = {
    "start": lambda steering: steering.start,
    "flip": lambda steering: steering.flip,
    "seal": lambda steering: steering.seal,
    "abort": lambda steering: steering.abort,
}
TABLE = [
    (Phase.NONE, "start", Phase.MIRROR),
    (Phase.NONE, "flip", None),
    (Phase.NONE, "seal", None),
    (Phase.NONE, "abort", None),
    (Phase.MIRROR, "start", Phase.MIRROR),
    (Phase.MIRROR, "flip", Phase.MOVED),
    (Phase.MIRROR, "seal", Phase.SEALED),
    (Phase.MIRROR, "abort", Phase.NONE),
    (Phase.MOVED, "start", Phase.MOVED),
    (Phase.MOVED, "flip", Phase.MIRROR),
    (Phase.MOVED, "seal", Phase.SEALED),
    (Phase.MOVED, "abort", None),
    (Phase.SEALED, "start", Phase.SEALED),
    (Phase.SEALED, "flip", None),
    (Phase.SEALED, "seal", Phase.SEALED),
    (Phase.SEALED, "abort", Phase.MOVED),
]


@pytest.mark.parametrize(("phase", "step", "after"), TABLE, ids=str)
async def test_each_step_in_each_phase(
    two: Two, phase: Phase, step: str, after: Phase | None
) -> None:
    await bring(two, [QUEUE], phase)
    before = await two.steering.status(QUEUE)
    act = STEPS[step](two.steering)
    if after is None:
        with pytest.raises(Blocked, match=QUEUE):
            await act(QUEUE)
        after = phase
    else:
        await act(QUEUE)
    status = await two.steering.status(QUEUE)
    assert status.phase is after
    assert status.epoch >= before.epoch or after is Phase.NONE


async def test_a_side_that_owns_something_is_not_sealed(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    await two.backend.enqueue([job(), job()])
    end = await claimed(two.backend)
    await two.steering.flip(QUEUE)
    with pytest.raises(Blocked, match=r"1 live, 1 running; keep a worker"):
        await two.steering.seal(QUEUE)
    assert (await two.steering.status(QUEUE)).phase is Phase.SEALING
    with pytest.raises(Blocked, match="sealing"):
        await two.steering.flip(QUEUE)
    await two.backend.maintain([QUEUE])
    await two.backend.ack([end])
    status = await persistently(two.steering.seal)
    assert status.phase is Phase.SEALED
    assert status.counts[1] == {Kind.LIVE: 1, Kind.FAILED: 1}


async def test_an_abort_lets_the_passive_side_in_again(two: Two) -> None:
    await bring(two, [QUEUE], Phase.SEALED)
    status = await two.steering.abort(QUEUE)
    assert (status.phase, status.active, status.epoch) == (Phase.MOVED, 1, 4)
    assert (await two.steering.flip(QUEUE)).phase is Phase.MIRROR


async def test_a_cutover_that_is_ended_before_the_flip_leaves_no_mirror(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    await two.backend.enqueue([job() for _ in range(5)])
    status = await two.steering.abort(QUEUE)
    assert status.counts == ({Kind.LIVE: 5}, {})
    await two.steering.start(QUEUE)
    await two.backend.maintain([QUEUE])
    await eventually(lambda: _mirrored(two, 5))


async def _mirrored(two: Two, count: int) -> bool:
    return (await two.steering.status(QUEUE)).counts[1].get(Kind.HELD) == count


async def test_the_sealed_side_is_closed_and_the_other_one_is_home(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.cutover.repair.SEALED_FOR", 0.0)
    await bring(two, [QUEUE], Phase.SEALED)
    await two.backend.enqueue([job()])
    await two.backend.maintain([QUEUE])
    status = await persistently(two.steering.close)
    assert (status.phase, status.active) == (Phase.CLOSED, 1)
    first, second = [(await side.gates([QUEUE]))[0] for side in two.backend.pair.sides]
    assert first is not None
    assert second is not None
    assert (first.mark, second.mark, first.epoch) == (Mark.CLOSED, Mark.HOME, second.epoch)
    await two.backend.enqueue([job()])
    assert (await two.steering.status(QUEUE)).counts[1] == {Kind.LIVE: 2}
    again = await two.steering.start(QUEUE)
    assert (again.phase, again.active, again.epoch % 2) == (Phase.MIRROR, 0, 1)


async def test_whoever_comes_by_finishes_a_flip(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    (gate,) = await two.backend.pair.sides[0].gates([QUEUE])
    assert gate is not None
    await two.backend.pair.sides[0].turn(QUEUE, gate, gate._replace(epoch=2))
    assert (await two.steering.status(QUEUE)).phase is Phase.FLIPPING
    await two.backend.maintain([QUEUE])

    async def moved() -> bool:
        return (await two.steering.status(QUEUE)).phase is Phase.MOVED

    await eventually(moved)


async def test_another_cutover_of_the_queue_is_refused(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    elsewhere = Steering(two.backend.pair, ("the first", "a third"))
    with pytest.raises(Blocked, match="another cutover, with another sqlite"):
        await elsewhere.start(QUEUE)


async def test_both_sides_must_not_be_one(two: Two) -> None:
    with pytest.raises(Blocked, match="the same store"):
        await Steering(two.backend.pair, ("one", "one")).start(QUEUE)


async def test_tombstones_are_forgotten_in_time(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.cutover.rules.REMEMBERED", 0)
    monkeypatch.setattr("queuekit.cutover.repair.REST", 0.0)
    await bring(two, [QUEUE], Phase.MIRROR)
    await two.backend.enqueue([job() for _ in range(3)])
    fetched = await two.backend.fetch(Ask([QUEUE], 2, Claimant("worker", 1), LEASE))
    await two.backend.ack([Ack(one.token, one.task, State.SUCCEEDED) for one in fetched.claims])
    await two.backend.inspector.steer(Event.CLEAN, [one.token.ref for one in fetched.claims])
    await two.backend.maintain([QUEUE])

    async def forgotten() -> bool:
        counts = (await two.steering.status(QUEUE)).counts
        return counts == ({Kind.LIVE: 1}, {Kind.HELD: 1})

    await eventually(forgotten)
