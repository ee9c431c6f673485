import asyncio

import pytest

from queuekit.backend import Backend, BackendSettings
from queuekit.errors import BackendUnavailable, ReplyLost
from queuekit.job import State
from queuekit.testing.conformance._make import (
    ALICE,
    ack,
    answer_of,
    claim,
    claims_nothing,
    eventually,
    job,
    numbered,
    put,
    running,
    state_of,
    succeeded,
)
from queuekit.testing.servers import Server
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import Connection


async def test_a_crash_of_the_server_loses_nothing(own_server: Server, namespace: str) -> None:
    backend = PostgresBackend(own_server.url, BackendSettings(namespace))
    await backend.open()
    jobs = [*numbered(50), job(key="k", delay=1)]
    await put(backend, *jobs)
    held = await claim(backend, 5)
    waiting = asyncio.create_task(backend.wait(["empty"], 30, ALICE))
    await asyncio.to_thread(own_server.stop, immediate=True)
    with pytest.raises(BackendUnavailable):
        await backend.enqueue([job()])
    with pytest.raises(BackendUnavailable):
        await waiting
    await asyncio.to_thread(own_server.start)
    await ack(backend, *(succeeded(one) for one in held))
    await backend.maintain(["default"])
    assert len(await claim(backend, 46)) == 46
    await claims_nothing(backend)
    await backend.close()


async def test_a_server_that_stands_still_is_given_up_in_time(
    own_server: Server, namespace: str
) -> None:
    backend = PostgresBackend(own_server.url, BackendSettings(namespace, timeout=1.5))
    await backend.open()
    one = job()
    own_server.pause()
    try:
        with pytest.raises(ReplyLost):
            await asyncio.wait_for(backend.enqueue([one]), 5)
        with pytest.raises(BackendUnavailable):
            await asyncio.wait_for(backend.wake(ALICE), 5)
    finally:
        own_server.resume()
    assert answer_of((await backend.enqueue([one]))[0]) in {"stored", "known"}
    await backend.close()


async def test_a_cancelled_call_leaves_the_object_usable(backend: PostgresBackend) -> None:
    for pause in (0, 0.0005, 0.001, 0.002, 0.004):
        calls = [
            asyncio.create_task(call)
            for call in (
                backend.enqueue(numbered(300)),
                backend.maintain(["default"]),
                backend.inspector.queues(),
            )
        ]
        await asyncio.sleep(pause)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
    one = await running(backend, queue="other")
    await ack(backend, succeeded(one))
    assert await state_of(backend, one.token.id) is State.SUCCEEDED


async def test_a_doorbell_that_died_is_replaced(
    backend: PostgresBackend, other: Backend, connection: Connection
) -> None:
    waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
    bell = await eventually(lambda: _listener(backend))
    await connection.execute("SELECT pg_terminate_backend($1)", bell)
    await eventually(lambda: _another(backend, bell))
    await put(other, job())
    await asyncio.wait_for(waiting, 2)


async def test_a_deaf_doorbell_is_noticed(
    backend: PostgresBackend, other: Backend, connection: Connection
) -> None:
    waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
    bell = await eventually(lambda: _listener(backend))
    await eventually(lambda: _listening(backend))
    deaf = backend._doorbell._connection
    assert deaf is not None
    await deaf.execute("UNLISTEN *")
    await put(other, job(delay=60_000_000))  # it rings, and there is nothing to be seen
    await asyncio.wait_for(waiting, 5)
    await backend.wait(["default"], 0.1, ALICE)
    assert await _another(backend, bell)


@pytest.mark.parametrize("turns", range(4))
async def test_a_doorbell_may_be_given_up_while_it_learns_a_bell(
    backend: PostgresBackend, other: Backend, turns: int
) -> None:
    await backend.wait(["default"], 0.05, ALICE)
    asleep = [asyncio.create_task(backend.wait(["default"], 30, f"sleeper-{n}")) for n in range(5)]
    for _ in range(turns):
        await asyncio.sleep(0)
    backend._doorbell.hang_up()
    await put(other, *numbered(5))
    await asyncio.wait_for(asyncio.gather(*asleep), 5)


async def test_an_idle_wait_costs_little(
    backend: PostgresBackend, connection: Connection, namespace: str
) -> None:
    looks = 0
    original = backend._waiting._look

    async def counted(*args: object, **kwargs: object) -> object:
        nonlocal looks
        looks += 1
        return await original(*args, **kwargs)  # type: ignore[arg-type]

    backend._waiting._look = counted  # type: ignore[method-assign,assignment]
    await backend.wait(["default"], 3.3, ALICE)
    assert looks <= 8


async def test_behind_a_pooler_everything_works_without_a_session(
    postgres_url: str, namespace: str
) -> None:
    pooled = PostgresBackend(postgres_url, BackendSettings(namespace, pooler="transaction"))
    await pooled.open()
    waiting = asyncio.create_task(pooled.wait(["default"], 30, ALICE))
    await put(pooled, *numbered(3), job(key="k"))
    await asyncio.wait_for(waiting, 2)
    claims = await claim(pooled, 4)
    assert not (await pooled.heartbeat([one.token for one in claims])).lost
    await ack(pooled, *(succeeded(one) for one in claims))
    await pooled.maintain(["default"])
    assert not pooled._doorbell.audible
    found = await pooled.results([claims[0].token.ref], 1)
    assert found[claims[0].token.ref].state is State.SUCCEEDED
    await pooled.close()


async def test_a_listen_url_gives_a_pooled_backend_ears(postgres_url: str, namespace: str) -> None:
    settings = BackendSettings(namespace, pooler="transaction", listen_url=postgres_url)
    pooled = PostgresBackend(postgres_url, settings)
    await pooled.open()
    await pooled.wait(["default"], 0.05, ALICE)
    assert pooled._doorbell.audible
    await pooled.close()


async def test_closing_twice_or_before_opening_is_no_error(
    postgres_url: str, namespace: str
) -> None:
    backend = PostgresBackend(postgres_url, BackendSettings(namespace))
    await backend.close()
    await backend.open()
    await backend.close()
    await backend.close()


async def _listener(backend: PostgresBackend) -> int | None:
    bell = backend._doorbell._connection
    return bell.get_server_pid() if bell and backend._doorbell.audible else None


async def _listening(backend: PostgresBackend) -> bool:
    return len(backend._doorbell._heard) == 2


async def _another(backend: PostgresBackend, pid: int | None) -> bool:
    return await _listener(backend) not in {None, pid}
