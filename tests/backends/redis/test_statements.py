"""Scripts are known to the server only as long as it remembers them."""

import asyncio
from collections.abc import Awaitable, Callable

import redis

from queuekit.backend import Backend
from queuekit.job import State
from queuekit.testing.conformance._make import (
    ack,
    claim,
    claim_one,
    eventually,
    job,
    numbered,
    put,
    record,
    succeeded,
)
from queuekit.testing.servers import redis_server
from queuekit_redis.statements.keys import NAMESPACE_KEYS, QUEUE_KEYS
from queuekit_redis.statements.lua import LUA, ORDER, script

Make = Callable[..., Awaitable[Backend]]


async def test_forgotten_scripts_are_sent_again(backend: Backend, server: redis.Redis) -> None:
    await put(backend, *numbered(3))
    server.script_flush()
    claims = await claim(backend, 3)
    server.script_flush()
    await ack(backend, *map(succeeded, claims))
    server.script_flush()
    assert not (await backend.heartbeat([claims[0].token])).cancels
    assert (await record(backend, claims[0].token.id)).state is State.SUCCEEDED


async def test_scripts_are_forgotten_while_work_goes_on(
    backend: Backend, server: redis.Redis
) -> None:
    async def forget() -> None:
        for _ in range(50):
            await asyncio.to_thread(server.script_flush)

    async def work() -> None:
        for _ in range(50):
            await put(backend, *numbered(5))
            await ack(backend, *map(succeeded, await claim(backend, 5)))

    await asyncio.gather(forget(), work())
    (queue,) = await backend.inspector.queues()
    assert queue.counts == {State.SUCCEEDED: 250}


async def test_a_restarted_server_has_everything(make_backend: Make) -> None:
    with redis_server(own=True, appendonly="always") as server:
        backend = await make_backend(server.url)
        await put(backend, *numbered(10), job(delay=1, key="k"))
        done, held = await claim(backend, 2)
        await ack(backend, succeeded(done, '"result"'))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

        assert not (await backend.heartbeat([held.token])).lost
        assert (await record(backend, done.token.id)).result == '"result"'
        await ack(backend, succeeded(held))
        await claim(backend, 9)


async def test_a_restart_ends_nobodys_sleep_for_good(make_backend: Make) -> None:
    with redis_server(own=True, appendonly="always") as server:
        backend, other = await make_backend(server.url), await make_backend(server.url)
        await backend.wait(["default"], 0.01, "sleeper")
        await asyncio.to_thread(server.restart)

        async def served() -> bool:
            await put(other, job())
            return True

        await served()
        await backend.wait(["default"], 5, "sleeper")
        await claim_one(backend)
        sleep = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
        await eventually(served)
        await asyncio.wait_for(sleep, 5)


def test_every_key_is_used_and_known() -> None:
    used = {
        name
        for file in LUA.iterdir()
        if file.name.endswith(".lua")
        for name in script(file.name[:-4]).keys
    }
    assert used <= set(ORDER)
    assert set(QUEUE_KEYS) | set(NAMESPACE_KEYS) == used | {"queues"}


def test_a_script_touches_only_the_keys_that_it_declares() -> None:
    for file in LUA.iterdir():
        if not file.name.endswith(".lua"):
            continue
        one = script(file.name[:-4])
        touched = {word for word in ORDER if f"key.{word}" in one.text.replace(f"key.{word}_", "")}
        known = {"known0", "known1", "known2", "known3"}
        assert touched - set(one.keys) - known == set(), one.name
