"""Every bell is heard by those who have slept so long that they look only seldom, and here no more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from queuekit.backend import Ask, Backend
from queuekit.job import Ack, Claim, KeyPolicy, Return
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    ALICE,
    BRIEF,
    LONG,
    ack,
    cancelled,
    claim_one,
    claimant,
    dead,
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
from queuekit_postgres import PostgresBackend, wait
from queuekit_postgres.connection import Connection

Ring = Callable[[], Awaitable[object]]
HOUR = 3600.0


@pytest.fixture(autouse=True)
def no_look_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a bell can wake whoever has had the first looks."""
    monkeypatch.setattr(wait, "LOOK_EVERY", HOUR)
    monkeypatch.setattr(wait, "LOOK_RARELY", HOUR)
    monkeypatch.setattr(wait, "ASLEEP_FOR", round(HOUR * 1_000_000))


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
    return lambda: store.inspector.steer(Event.PROMOTE, [later.ref])


async def rerun(store: Backend) -> Ring:
    one = await running(store)
    await ack(store, failed(one))
    return lambda: store.inspector.steer(Event.RERUN, [one.token.ref])


async def resume(store: Backend) -> Ring:
    await store.inspector.pause(["default"], paused=True)
    await put(store, job())
    return lambda: store.inspector.pause(["default"], paused=False)


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
    looks = _counted(backend._waiting, "_look")
    asleep = asyncio.create_task(backend.wait(["default"], HOUR, ALICE))
    await eventually(lambda: _all_first_looks(looks))
    await ring()
    await asyncio.wait_for(asleep, 20)
    assert len(looks) == 1 + len(wait.FIRST_LOOKS)


@pytest.mark.parametrize("options", [{}, {"key": "k"}], ids=["plain", "with a key"])
async def test_many_sleepers_that_were_killed_swallow_no_ring(
    backend: PostgresBackend,
    other: Backend,
    connection: Connection,
    namespace: str,
    options: dict[str, Any],
) -> None:
    await connection.execute(
        f"INSERT INTO {namespace}.sleepers SELECT '0 killed ' || n, ARRAY['default'], 1::bigint << 62 "
        "FROM generate_series(1, 50) AS n"
    )
    looks = _counted(backend._waiting, "_look")
    asleep = asyncio.create_task(backend.wait(["default"], HOUR, ALICE))
    await eventually(lambda: _all_first_looks(looks))
    await put(other, job(**options))
    await asyncio.wait_for(asleep, 20)
    left = f"SELECT count(*) FROM {namespace}.sleepers WHERE process LIKE '0 killed %'"
    assert await connection.fetchval(left) == 47, "all that were rung are dead"


async def test_who_sleeps_looks_when_others_are_rung_and_sleeps_on(
    backend: PostgresBackend, connection: Connection, namespace: str
) -> None:
    looks = _counted(backend._waiting, "_look")
    asleep = asyncio.create_task(backend.wait(["default"], HOUR, ALICE))
    await eventually(lambda: _all_first_looks(looks))
    for queue in ("default", "default", "other", "default"):
        seen = len(looks)
        await connection.execute(f"SELECT pg_notify({namespace}.bell(''), '?{queue}')")
        if queue == "default":
            await eventually(lambda seen=seen: _looked(looks, seen))  # type: ignore[misc]
    assert len(looks) <= 1 + len(wait.FIRST_LOOKS) + 3
    asleep.cancel()
    await asyncio.wait([asleep])


async def _looked(looks: list[None], seen: int) -> bool:
    return len(looks) > seen


@pytest.mark.parametrize("settle", [succeeded, failed, cancelled, dead])
async def test_a_waiter_hears_the_end(
    backend: PostgresBackend, other: Backend, settle: Callable[[Claim], Ack | Return]
) -> None:
    one = await running(other, max_crashes=1)
    looks = _counted(backend._lanes, "fetch")
    asked = asyncio.create_task(backend.results([one.token.ref], HOUR))
    await eventually(lambda: _all_first_looks(looks))
    await other.fetch(Ask([], 0, claimant(), LONG), settle=[settle(one)])
    assert list(await asyncio.wait_for(asked, 20)) == [one.token.ref]


def _counted(owner: object, name: str) -> list[None]:
    """Grows by one whenever that method of the owner has returned."""
    returned: list[None] = []
    original = getattr(owner, name)

    async def counted(*args: object, **kwargs: object) -> object:
        answer = await original(*args, **kwargs)
        returned.append(None)
        return answer

    setattr(owner, name, counted)
    return returned


async def _all_first_looks(looks: list[None]) -> bool:
    return len(looks) >= 1 + len(wait.FIRST_LOOKS)
