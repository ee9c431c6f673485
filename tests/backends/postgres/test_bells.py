"""Every bell is heard by those who have slept so long that they look only once a second."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from queuekit.backend import Backend
from queuekit.job import KeyPolicy
from queuekit.testing.conformance._make import (
    ALICE,
    BRIEF,
    LONG,
    ack,
    claim_one,
    eventually,
    failed,
    give_back,
    job,
    lapse,
    put,
    released,
    retried,
    running,
    snoozed,
    succeeded,
)
from queuekit_postgres import PostgresBackend

Ring = Callable[[], Awaitable[object]]


async def enqueue(store: Backend) -> Ring:
    return lambda: put(store, job())


async def enqueue_with_key(store: Backend) -> Ring:
    return lambda: put(store, job(key="k"))


async def enqueue_for_soon(store: Backend) -> Ring:
    return lambda: put(store, job(delay=10_000))


async def release(store: Backend) -> Ring:
    one = await running(store)
    return lambda: give_back(store, released(one))


async def retry(store: Backend) -> Ring:
    one = await running(store)
    return lambda: give_back(store, retried(one))


async def snooze(store: Backend) -> Ring:
    one = await running(store)
    return lambda: give_back(store, snoozed(one, 10_000))


async def rescue(store: Backend) -> Ring:
    await put(store, job())
    one = await claim_one(store, lease=BRIEF)
    return lambda: lapse(store, one)


async def succession(store: Backend) -> Ring:
    holder = await running(store, key="k")
    await put(store, job(key="k", key_policy=KeyPolicy.REPLACE))
    return lambda: ack(store, succeeded(holder))


async def promotion(store: Backend) -> Ring:
    later = job(delay=LONG)
    await put(store, later)
    return lambda: store.inspector.promote([later.id])


async def rerun(store: Backend) -> Ring:
    one = await running(store)
    await ack(store, failed(one))
    return lambda: store.inspector.retry([one.token.id])


async def resume(store: Backend) -> Ring:
    await store.inspector.pause(["default"])
    await put(store, job())
    return lambda: store.inspector.resume(["default"])


async def wake(store: Backend) -> Ring:
    return lambda: store.wake(ALICE)


@pytest.mark.parametrize(
    "prepare",
    [
        enqueue,
        enqueue_with_key,
        enqueue_for_soon,
        release,
        retry,
        snooze,
        rescue,
        succession,
        promotion,
        rerun,
        resume,
        wake,
    ],
)
async def test_a_bell_is_heard(
    backend: PostgresBackend, other: Backend, prepare: Callable[[Backend], Awaitable[Ring]]
) -> None:
    ring = await prepare(other)
    looks = _counted(backend)
    waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
    await eventually(lambda: _past_the_first(looks))
    before = len(looks)
    await ring()
    await asyncio.wait_for(waiting, 5)
    assert len(looks) == before


async def test_a_waiter_hears_the_end(backend: PostgresBackend, other: Backend) -> None:
    one = await running(other)
    asked = asyncio.create_task(backend.results([("default", one.token.id)], 30))
    await asyncio.sleep(0.6)
    begun = asyncio.get_running_loop().time()
    await ack(other, succeeded(one))
    assert list(await asked) == [one.token.id]
    assert asyncio.get_running_loop().time() - begun < 0.4


def _counted(backend: PostgresBackend) -> list[None]:
    looks: list[None] = []
    original = backend._waiting._look

    async def look(*args: object, **kwargs: object) -> object:
        looks.append(None)
        return await original(*args, **kwargs)  # type: ignore[arg-type]

    backend._waiting._look = look  # type: ignore[method-assign,assignment]
    return looks


async def _past_the_first(looks: list[None]) -> bool:
    return len(looks) >= 4
