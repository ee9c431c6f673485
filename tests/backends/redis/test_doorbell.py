"""Doorbells, and how quiet an idle process is."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import redis

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


def requests(server: redis.Redis) -> int:
    """How many commands came from clients such as ours, without what scripts do."""
    stats = server.info("commandstats")
    kinds = ("evalsha", "eval", "ping", "subscribe", "publish", "smembers")
    return sum(stats.get(f"cmdstat_{kind}", {"calls": 0})["calls"] for kind in kinds)


async def test_an_idle_worker_sends_two_commands_a_second_at_most(
    backend: Backend, server: redis.Redis
) -> None:
    await backend.wait(["default"], 0.01, "idle")
    before = requests(server)
    await backend.wait(["default"], 3.5, "idle")
    assert requests(server) - before <= 7


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
