"""Storing jobs while both sides are there: in which order, and what if one of them is away."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from queuekit.backend import BackendSettings, Change, Kind, Refusal
from queuekit.cutover import CutoverBackend, Phase, Steering
from queuekit.errors import InvalidOption, ReplyLost
from queuekit.job import Job, JobOptions, KeyPolicy, State, new_id
from queuekit.lifecycle import Event
from queuekit.registry import backend_class
from queuekit.testing.servers import Server, redis_server
from tests.cutover.conftest import MakeTwo, Two, bring
from tests.waiting import eventually

QUEUE = "default"


def job(key: str | None = None, *, fresh: bool = True, **options: Any) -> Job[Any]:
    return Job(new_id(), "task", "{}", JobOptions(QUEUE, **options), key, fresh)


@pytest.fixture
async def two(make_two: MakeTwo) -> Two:
    return await make_two("sqlite", "another sqlite")


async def kinds(two: Two, one: Job[Any]) -> list[Kind]:
    """What both sides have of a job."""
    return [(await side.look([one.ref]))[0].stamp.kind for side in two.backend.pair.sides]


async def test_a_job_is_alive_at_the_active_side_and_mirrored_at_the_other(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    one, other = job(), job()
    await two.backend.enqueue([one])
    assert await kinds(two, one) == [Kind.LIVE, Kind.HELD]
    await two.steering.flip(QUEUE)
    await two.backend.pair.look()
    await two.backend.enqueue([other])
    assert await kinds(two, other) == [Kind.HELD, Kind.LIVE]


async def test_who_believes_the_other_side_to_be_active_does_no_harm(
    two: Two, make_two: MakeTwo
) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    late = await make_two("sqlite", "another sqlite")
    await late.backend.pair.look([QUEUE])
    await two.steering.flip(QUEUE)
    one, known = job(), job(fresh=False)
    assert all(change.done for change in await late.backend.enqueue([one, known]))
    assert await kinds(two, known) == [Kind.HELD, Kind.LIVE]
    assert Kind.LIVE in await kinds(two, one)
    await two.backend.maintain([QUEUE])

    async def moved() -> bool:
        return await kinds(two, one) == [Kind.HELD, Kind.LIVE]

    await eventually(moved)


async def test_who_believes_a_sealed_side_to_be_active_is_sent_to_the_other(
    two: Two, make_two: MakeTwo
) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    late = await make_two("sqlite", "another sqlite")
    await late.backend.pair.look([QUEUE])
    await two.steering.flip(QUEUE)
    await two.steering.seal(QUEUE)
    one = job()
    (change,) = await late.backend.enqueue([one])
    assert change.done
    assert (await kinds(two, one))[1] is Kind.LIVE


async def test_an_id_that_the_passive_side_knows_is_known(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    one = job()
    await two.backend.enqueue([one])
    await two.steering.flip(QUEUE)
    await two.backend.pair.look()
    (change,) = await two.backend.enqueue([one._replace(fresh=False)])
    assert (change.refused, change.found) == (Refusal.KNOWN, State.READY)
    assert (await kinds(two, one)).count(Kind.LIVE) == 1


async def test_a_key_that_a_job_at_the_passive_side_holds_is_held(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    first = job("k")
    await two.backend.enqueue([first])
    await two.steering.flip(QUEUE)
    await two.backend.pair.look()
    (change,) = await two.backend.enqueue([job("k")])
    assert (change.refused, change.holder) == (Refusal.KEY_HELD, first.id)


async def test_a_holder_at_the_passive_side_is_brought_over_and_replaced(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    first = job("k")
    await two.backend.enqueue([first])
    await two.steering.flip(QUEUE)
    await two.backend.pair.look()
    new = job("k", key_policy=KeyPolicy.REPLACE)._replace(payload='{"new": 1}')
    (change,) = await two.backend.enqueue([new])
    assert (change.done, change.holder) == (True, first.id)
    assert await kinds(two, first) == [Kind.HELD, Kind.LIVE]
    (record,) = await two.backend.pair.backends[1].inspector.get([first.ref])
    assert record is not None
    assert record.job.payload == new.payload
    (mirror,) = await two.backend.pair.sides[0].look([first.ref])
    assert new.payload.replace('"', '\\"') in mirror.text


@pytest.fixture
def another_redis() -> Iterator[Server]:
    """One of the test's own, to be stopped."""
    with redis_server(appendonly="always", own=True) as server:
        yield server


@pytest.fixture
async def beside(
    urls: dict[str, str], namespace: str, another_redis: Server
) -> AsyncIterator[tuple[CutoverBackend, CutoverBackend]]:
    """A cutover from a file to a server; that waits for the server, or not."""
    settings = BackendSettings(namespace, timeout=1.0)

    def made(mirror: str) -> CutoverBackend:
        first, second = (
            backend_class(url)(url, settings) for url in (urls["sqlite"], another_redis.url)
        )
        return CutoverBackend(first, second, mirror)

    usual, strict = made("sync"), made("strict")
    await usual.open()
    await strict.open()
    await Steering(usual.pair, ("a file", "a server")).start(QUEUE)
    await strict.pair.look([QUEUE])
    yield usual, strict
    await usual.close()
    await strict.close()


async def test_jobs_are_stored_while_the_passive_side_is_away_and_mirrored_later(
    beside: tuple[CutoverBackend, CutoverBackend], another_redis: Server
) -> None:
    usual, strict = beside
    another_redis.stop()
    one = job()
    assert [change.done for change in await usual.enqueue([one])] == [True]
    with pytest.raises(ReplyLost, match="strict"):
        await strict.enqueue([job()])
    another_redis.start()
    await usual.maintain([QUEUE])

    async def mirrored() -> bool:
        (copy,) = await usual.pair.sides[1].look([one.ref])
        return copy.stamp.kind is Kind.HELD

    await eventually(mirrored)
    again: list[Change] = [*await strict.enqueue([job()])]
    assert again[0].done


async def test_a_mirror_that_is_not_waited_for_comes_all_the_same(make_two: MakeTwo) -> None:
    two = await make_two("sqlite", "another sqlite", "async")
    await bring(two, [QUEUE], Phase.MIRROR)
    one = job()
    await two.backend.enqueue([one])

    async def mirrored() -> bool:
        return await kinds(two, one) == [Kind.LIVE, Kind.HELD]

    await eventually(mirrored)


async def test_what_has_ended_gets_no_mirror_when_it_is_sent_again(two: Two) -> None:
    await bring(two, [QUEUE], Phase.MIRROR)
    one = job()
    await two.backend.pair.backends[0].enqueue([one])
    await two.backend.pair.backends[0].inspector.steer(Event.CANCEL, [one.ref])
    (change,) = await two.backend.enqueue([one._replace(fresh=False)])
    assert change.refused is Refusal.KNOWN
    assert await kinds(two, one) == [Kind.FAILED, Kind.ABSENT]


async def test_a_job_with_a_key_is_no_part_of_a_batch_that_two_stores_must_agree_on(
    two: Two,
) -> None:
    await bring(two, [QUEUE], Phase.MOVED)
    with pytest.raises(InvalidOption, match="enqueue it alone"):
        await two.backend.enqueue([job(), job("k")], atomic=True)
    assert [change.done for change in await two.backend.enqueue([job()], atomic=True)] == [True]
