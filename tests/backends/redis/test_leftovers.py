"""What the server keeps of jobs that are gone: nothing but their ids, for a while."""

import asyncio

import redis

from queuekit.backend import Backend, Report
from queuekit.job import Keep, KeyPolicy
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    MILLISECOND,
    ack,
    claim_one,
    dead,
    eventually,
    failed,
    give_back,
    job,
    lapse,
    put,
    retried,
    running,
    snoozed,
    succeeded,
)

STAY = {b"seq", b"tick", b"solo", b"known0", b"known1", b"known2", b"known3"}


def left(server: redis.Redis, namespace: str) -> set[bytes]:
    """Names of what is there of the default queue."""
    names: list[bytes] = server.keys(f"{{{namespace}:default}}:*")  # type: ignore[assignment]
    assert names
    return {name.rpartition(b":")[2] for name in names} - STAY


async def test_nothing_is_left_of_an_eventful_life(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    await put(backend, job(key="k", keep=Keep(0), expires=60_000_000, tags=("t",)))
    await give_back(backend, snoozed(await claim_one(backend)))
    await give_back(backend, retried(await claim_one(backend)))
    await give_back(backend, dead(await claim_one(backend)))
    await lapse(backend, await claim_one(backend, lease=BRIEF))
    one = await claim_one(backend)
    await put(backend, job(key="k", key_policy=KeyPolicy.REPLACE, keep=Keep(0)))
    await backend.report([Report(one.token, "0.5", ["half"])])
    await backend.inspector.steer(Event.CANCEL, [one.token.ref])
    await ack(backend, failed(one))
    await ack(backend, succeeded(await claim_one(backend)))
    assert left(server, namespace) == set()


async def test_nothing_is_left_of_a_cancel_request_for_a_job_that_succeeds(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    one = await running(backend)
    await backend.inspector.steer(Event.CANCEL, [one.token.ref])
    await ack(backend, succeeded(one, keep=Keep(0)))
    assert left(server, namespace) == set()


async def test_nothing_is_left_of_protected_keys_past_their_time(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    await ack(backend, succeeded(await running(backend, key="k", key_until=1, keep=Keep(0))))

    async def gone() -> bool:
        await backend.maintain(["default"])
        return not left(server, namespace)

    await eventually(gone)


async def test_a_waiter_that_asks_again_is_registered_once(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    one = await running(backend)
    for _ in range(3):
        await backend.results([one.token.ref], 0.02)
    channels = server.hget(f"{{{namespace}:default}}:waiters", one.token.id.bytes)
    assert channels is not None
    assert len(channels.split()) == 1


async def test_nothing_is_left_of_records_past_their_age(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    keep = Keep(MILLISECOND)
    await ack(backend, failed(await running(backend, keep=keep)))
    await ack(backend, succeeded(await running(backend, keep=keep)))
    await asyncio.sleep(0.01)
    await backend.maintain(["default"])
    assert left(server, namespace) == set()


async def test_what_is_remembered_is_forgotten_by_itself(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    for _ in range(2):
        await ack(backend, succeeded(await running(backend, keep=Keep(0))))
    names = server.keys(f"{{{namespace}:default}}:known*")
    assert names
    assert all(server.ttl(name) > 0 for name in names)


async def test_a_lease_that_has_no_run_goes(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    """No script leaves one; a server that lost a part of its data may."""
    one, leases = await running(backend), f"{{{namespace}:default}}:leases"
    server.zadd(leases, {b"0123456789abcdef": 1})
    upkeep = await backend.maintain(["default"])
    assert list(upkeep.rescued) == []
    assert server.zrange(leases, 0, -1) == [one.token.id.bytes]
