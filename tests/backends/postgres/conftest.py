from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import pytest

from queuekit.backend import Backend
from queuekit.testing.servers import Server, postgres_server
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import Connection

Make = Callable[..., Awaitable[Backend]]


@pytest.fixture
async def backend(make_backend: Make, postgres_url: str) -> PostgresBackend:
    made = await make_backend(postgres_url)
    assert isinstance(made, PostgresBackend)
    return made


@pytest.fixture
async def other(backend: PostgresBackend, make_backend: Make, postgres_url: str) -> Backend:
    return await make_backend(postgres_url)


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    """A caller's own."""
    opened = await asyncpg.connect(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """To be stopped and started at will."""
    with postgres_server(own=True) as server:
        yield server
