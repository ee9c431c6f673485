"""At maxmemory an enqueue gets a clear error, and everything that empties the server still passes."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis

from queuekit.backend import Ask, Backend, Presence, Report
from queuekit.errors import BackendRefused
from queuekit.job import Claim, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    DONE,
    LONG,
    answers_of,
    claim,
    claimant,
    dead,
    eventually,
    failed,
    job,
    numbered,
    put,
    record,
    released,
    retried,
    snoozed,
    succeeded,
    sweep,
)
from queuekit.testing.conformance.transfer import ALONE, in_state
from queuekit.testing.servers import redis_server
from tests.backends.redis.kinds import KINDS

Make = Callable[..., Awaitable[Backend]]


@pytest.fixture(params=KINDS, scope="module")
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with redis_server(kind=request.param, own=True) as server:
        yield server.url


@pytest.fixture
def control(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", 0)
        yield client


@pytest.fixture
async def backend(make_backend: Make, control: redis.Redis, url: str) -> Backend:
    return await make_backend(url)


def fill(control: redis.Redis) -> None:
    control.config_set("maxmemory", 1)


async def is_refused(backend: Backend) -> None:
    with pytest.raises(BackendRefused, match="is full"):
        await backend.enqueue([job()])


async def test_an_enqueue_is_refused(backend: Backend, control: redis.Redis) -> None:
    fill(control)
    await is_refused(backend)
    with pytest.raises(BackendRefused, match="is full"):
        await backend.enqueue(numbered(2, tags=("a",)), atomic=True)
    with pytest.raises(BackendRefused, match="is full"):
        await backend.enqueue([job(queue="left"), job(queue="right")], atomic=True)
    with pytest.raises(BackendRefused, match="is full"):
        await backend.transfer.store([in_state(state) for state in ALONE])
    control.config_set("maxmemory", 0)
    assert not await backend.inspector.queues()


async def test_jobs_are_claimed_and_acked(backend: Backend, control: redis.Redis) -> None:
    await put(backend, *numbered(3))
    fill(control)
    await is_refused(backend)
    claims = await claim(backend, 3)
    fetched = await backend.fetch(
        Ask(["default"], 3, claimant(), LONG), settle=[succeeded(claims[0]), failed(claims[1])]
    )
    assert answers_of(fetched.settled) == [DONE, DONE]
    assert answers_of(await backend.ack([succeeded(claims[2])])) == [DONE]
    assert (await record(backend, claims[1].token.id)).state is State.FAILED


@pytest.mark.parametrize("back", [retried, snoozed, released, dead])
async def test_jobs_are_put_back(
    backend: Backend, control: redis.Redis, back: Callable[[Claim], Any]
) -> None:
    await put(backend, job())
    (one,) = await claim(backend, 1)
    fill(control)
    assert answers_of(await backend.retry([back(one)])) == [DONE]
    assert (await record(backend, one.token.id)).state is State.READY


async def test_leases_are_kept_and_rescued(backend: Backend, control: redis.Redis) -> None:
    await put(backend, *numbered(2))
    (held,) = await claim(backend, 1)
    (gone,) = await claim(backend, 1, lease=BRIEF)
    fill(control)
    assert not (await backend.heartbeat([held.token])).lost

    async def rescued() -> bool:
        return bool((await backend.maintain(["default"])).rescued)

    await eventually(rescued)
    assert (await record(backend, gone.token.id)).state is State.READY


async def test_everything_else_passes(backend: Backend, control: redis.Redis) -> None:
    await put(backend, job(), job(delay=LONG))
    (one,) = await claim(backend, 1)
    fill(control)
    await backend.present(Presence(process="a", host="h", pid=1, version="0", queues=["default"]))
    await backend.wait(["default"], 0.01, "a")
    assert not await backend.results([one.token.ref], 0.01)
    await backend.report([Report(one.token, "1", ["line"])])
    assert (await backend.inspector.steer(Event.CANCEL, [one.token.ref]))[0].done
    assert await sweep(backend, Event.DRAIN) == 1
    await backend.inspector.pause(["default"], paused=True)
    await backend.inspector.pause(["default"], paused=False)
    await is_refused(backend)
