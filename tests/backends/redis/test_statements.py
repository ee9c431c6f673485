"""Scripts: what they are made of, and that the server may forget them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
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
from queuekit_redis.statements.lua import BASE, LUA, header, mentioned, parts, read, script

Make = Callable[..., Awaitable[Backend]]

SCRIPTS = sorted(Path(file.name).stem for file in LUA.iterdir() if file.name != "shared")
SHARED = sorted(Path(file.name).stem for file in (LUA / "shared").iterdir())
TABLES = {*SHARED} - {BASE}
FILES = [*(f"{name}.lua" for name in SCRIPTS), *(f"shared/{name}.lua" for name in SHARED)]


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
        assert (await record(backend, done.token.id)).notes.result == '"result"'
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


def test_every_key_is_known_and_used() -> None:
    used = {key for name in SCRIPTS for key in script(name).keys}
    assert {*QUEUE_KEYS, *NAMESPACE_KEYS} == used | {"queues"}


@pytest.mark.parametrize("path", FILES)
def test_a_header_names_the_tables_and_the_keys_that_a_file_mentions(path: str) -> None:
    text = read(path)
    names = mentions(text)
    own = {Path(path).stem} if path.startswith("shared/") else set[str]()
    assert set(header("uses", text)) == names.keys() & TABLES - own
    assert set(header("keys", text)) == names.get("key", set())


@pytest.mark.parametrize("path", FILES)
def test_what_a_file_asks_a_table_for_is_there(path: str) -> None:
    names = mentions(read(path))
    for table in names.keys() & TABLES:
        defined = {name for part in parts(table) for name in part.names}
        assert {f"{table}.{name}" for name in names[table]} <= defined


@pytest.mark.parametrize("table", SHARED)
def test_every_part_of_a_shared_file_is_in_some_script(table: str) -> None:
    for part in parts(table):
        if any(part.names):
            assert any(part.text in script(name).text for name in SCRIPTS), part.names


def mentions(text: str) -> dict[str, set[str]]:
    """What is asked for of each name in a file: ``{"life": {"leave"}, ...}``."""
    found: dict[str, set[str]] = {}
    for name in mentioned(re.sub("--.*", "", text)):
        owner, dot, asked = name.partition(".")
        if dot:
            found.setdefault(owner, set()).add(asked)
    return found
