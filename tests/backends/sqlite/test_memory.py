"""The store in memory is a real one: all cases hold."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from queuekit.backend import Backend, BackendSettings
from queuekit.job import new_id
from queuekit.testing.conformance import Conformance, LosingReplies, Lossy
from queuekit.testing.conformance._make import job, put, state_of
from queuekit_sqlite import SqliteBackend

Make = Callable[..., Awaitable[Backend]]


class TestInMemory(Conformance):
    @pytest.fixture
    async def backend(self, make_backend: Make) -> Backend:
        return await make_backend("sqlite://")

    @pytest.fixture
    async def other(self, backend: Backend, make_backend: Make) -> Backend:
        return await make_backend("sqlite://")

    @pytest.fixture
    async def lossy(self, backend: Backend, make_backend: Make) -> Lossy:
        return LosingReplies(await make_backend("sqlite://"))


async def test_a_namespace_is_a_store(make_backend: Make) -> None:
    one = job()
    await put(await make_backend("sqlite://"), one)
    stranger = SqliteBackend("sqlite://", BackendSettings("another"))
    await stranger.open()
    assert await state_of(stranger, one.id) is None
    await stranger.close()


async def test_it_is_empty_again_after_the_last_has_closed() -> None:
    one, namespace = job(), BackendSettings(str(new_id()))
    first, second = (SqliteBackend("sqlite://", namespace) for _ in range(2))
    await first.open()
    await put(first, one)
    await second.open()
    await first.close()
    assert await state_of(second, one.id)
    await second.close()
    await first.open()
    assert await state_of(first, one.id) is None
    await first.close()


def test_event_loops_share_it() -> None:
    """Two threads with a loop each: what one stores the other one sees, and is woken for."""
    namespace = BackendSettings(str(new_id()))

    async def produce() -> None:
        backend = SqliteBackend("sqlite://", namespace)
        await backend.open()
        await put(backend, job())
        await backend.close()

    async def consume() -> None:
        backend = SqliteBackend("sqlite://", namespace)
        await backend.open()
        waiting = asyncio.create_task(backend.wait(["default"], 30, "consumer"))
        await asyncio.to_thread(asyncio.run, produce())
        await asyncio.wait_for(waiting, 10)
        await backend.close()

    asyncio.run(consume())
