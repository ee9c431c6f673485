"""Doorbells, and how quiet an idle process is."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
import redis
from redis.client import PubSub

from queuekit.backend import Backend
from queuekit.testing.conformance._make import (
    ack,
    claim_one,
    eventually,
    job,
    put,
    running,
    succeeded,
)
from queuekit.testing.proxy import Proxy

Make = Callable[..., Awaitable[Backend]]


async def asleep(server: redis.Redis, namespace: str, count: int = 1) -> None:
    """So many sleepers are registered."""

    async def registered() -> bool:
        return server.zcard(f"{{{namespace}:default}}:sleepers") == count

    await eventually(registered)


async def test_one_that_was_rung_and_does_not_come_is_made_up_for(
    backend: Backend, server: redis.Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine may have been stopped, or have lost its power: the server takes it for there."""
    monkeypatch.setattr("queuekit_redis.wait.LOOK_RARELY", 3600)
    with server.pubsub() as stopped:  # type: ignore[no-untyped-call]
        stopped.subscribe(f"{namespace}:bell:stopped")
        await eventually(lambda: heard(stopped, "subscribe"))
        server.zadd(f"{{{namespace}:default}}:sleepers", {f"{namespace}:bell:stopped": 1e16})
        sleep = asyncio.create_task(backend.wait(["default"], 3600, "alive"))
        await asleep(server, namespace, 2)
        server.zadd(f"{{{namespace}:default}}:sleepers", {f"{namespace}:bell:alive": 2e16})
        await put(backend, job())
        await eventually(lambda: heard(stopped, "message"))
        await asyncio.wait_for(sleep, 30)


async def heard(channel: PubSub, what: str) -> bool:
    found = channel.get_message(timeout=0)
    return found is not None and found["type"] == what


async def test_a_sleeper_whose_bell_is_not_heard_looks_by_himself(
    backend: Backend,
    make_backend: Make,
    redis_url: str,
    server: redis.Redis,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("queuekit_redis.wait.LOOK_RARELY", 3600)
    monkeypatch.setattr("queuekit_redis.doorbell.SUBSCRIBED_WITHIN", 0.01)
    deaf = await make_backend(redis_url)

    async def nowhere() -> None:
        raise OSError

    monkeypatch.setattr(deaf._doorbells, "_listen_once", nowhere)  # type: ignore[attr-defined]
    sleep = asyncio.create_task(deaf.wait(["default"], 3600, "deaf"))
    await asleep(server, namespace)
    await put(backend, job())
    await asyncio.wait_for(sleep, 30)


async def test_one_job_rings_one_sleeper(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    sleeps = [asyncio.create_task(backend.wait(["default"], 30, name)) for name in "abc"]
    await asleep(server, namespace, 3)
    await put(backend, job())
    await asleep(server, namespace, 2)
    await asyncio.wait(sleeps, timeout=5)


async def test_who_is_gone_is_not_rung_in_place_of_others(
    backend: Backend, make_backend: Make, redis_url: str, server: redis.Redis, namespace: str
) -> None:
    killed = await make_backend(redis_url)
    gone = asyncio.create_task(killed.wait(["default"], 30, "killed"))
    await asleep(server, namespace)
    gone.cancel()
    await killed.close()
    sleep = asyncio.create_task(backend.wait(["default"], 30, "alive"))
    await asleep(server, namespace, 2)
    await put(backend, job())
    await asleep(server, namespace, 0)
    await asyncio.wait_for(sleep, 5)


async def test_a_dead_doorbell_is_replaced(
    make_backend: Make, backend: Backend, redis_url: str, server: redis.Redis, namespace: str
) -> None:
    place = urlsplit(redis_url)
    async with Proxy(place.hostname or "", place.port or 0) as proxy:
        sleeper = await make_backend(proxy.url_for(redis_url))
        for _ in range(3):
            sleep = asyncio.create_task(sleeper.wait(["default"], 30, "sleeper"))
            await asleep(server, namespace)
            proxy.cut()
            await put(backend, job())
            await asyncio.wait([sleep], timeout=5)
            assert sleep.done()
            sleep.exception()
            await ack(backend, succeeded(await claim_one(backend)))
            server.delete(f"{{{namespace}:default}}:sleepers")


async def test_nobody_listens_before_it_is_needed(
    backend: Backend, server: redis.Redis, namespace: str
) -> None:
    await ack(backend, succeeded(await running(backend)))
    assert not server.pubsub_channels(f"{namespace}*")
    await backend.wait(["default"], 0.01, "sleeper")
    assert server.pubsub_channels(f"{namespace}*") == [f"{namespace}:bell:sleeper".encode()]
