"""What becomes of records that somebody waited for; the clock is moved on in the keys."""

import pytest
import redis

from queuekit.backend import Backend
from queuekit.job import Claim, Keep, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    LONG,
    ack,
    claim_one,
    job,
    put,
    running,
    state_of,
    succeeded,
)


async def waited_for(backend: Backend, count: int | None = 0) -> Claim:
    """A job that has succeeded, and somebody waited for it."""
    one = await running(backend, keep=Keep(LONG, count=count))
    await backend.results([one.token.ref], 0.02)
    await ack(backend, succeeded(one))
    return one


def after_a_minute(server: redis.Redis, namespace: str) -> None:
    spared = f"{{{namespace}:default}}:spared"
    members: list[bytes] = server.zrange(spared, 0, -1)  # type: ignore[assignment]
    server.zadd(spared, dict.fromkeys(members, 0))


async def test_a_count_cuts_them_after_a_minute(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    one = await waited_for(backend)
    after_a_minute(server, namespace)
    await backend.maintain(["default"])
    assert await state_of(backend, one.token.id) is None


async def test_without_a_count_they_are_in_line_at_once(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    await waited_for(backend, None)
    keys: list[bytes] = server.keys(f"{{{namespace}:default}}:s*")  # type: ignore[assignment]
    assert {key.rpartition(b"}:")[2] for key in keys} == {b"seq", b"succeeded:send"}


async def test_they_count_after_a_minute(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    first, second = await waited_for(backend, 1), await waited_for(backend, 1)
    after_a_minute(server, namespace)
    await backend.maintain(["default"])
    states = [await state_of(backend, one.token.id) for one in (first, second)]
    assert states == [None, State.SUCCEEDED]


async def test_they_do_not_pile_up_where_many_wait(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    """Each one that comes takes two with it whose time is over."""
    old = [await waited_for(backend) for _ in range(2)]
    after_a_minute(server, namespace)
    one = await waited_for(backend)
    states = [await state_of(backend, each.token.id) for each in (*old, one)]
    assert states == [None, None, State.SUCCEEDED]


@pytest.mark.parametrize("again", [False, True])
async def test_a_deleted_one_does_not_count(
    backend: Backend, server: redis.Redis, namespace: str, again: bool
) -> None:
    one = await waited_for(backend)
    await backend.inspector.steer(Event.DELETE, [one.token.ref])
    if again:
        for minute in range(4):
            server.delete(f"{{{namespace}:default}}:known{minute}")
        await put(backend, job(id=one.token.id))
        await claim_one(backend)
    after_a_minute(server, namespace)
    await backend.maintain(["default"])
    lines = server.keys(f"{{{namespace}:default}}:succeeded:*")
    assert lines == []
    assert await state_of(backend, one.token.id) is (State.RUNNING if again else None)
