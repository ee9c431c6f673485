import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from queuekit.backend import Backend, BackendSettings
from queuekit.registry import backend_class
from queuekit.testing.servers import postgres_server, redis_server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One server a test process, started for the first test that asks."""
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_template(postgres_url: str) -> str:
    """A database that holds nothing but queuekit's schema: to clone it takes a third of the time of making it."""
    name = f"template_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = _with_database(postgres_url, name)
    backend = backend_class(url)(url, BackendSettings())
    await backend.open()
    await backend.close()
    return name


@pytest.fixture
async def postgres_database(postgres_url: str, postgres_template: str) -> AsyncIterator[str]:
    """The URL of a database of this test's own, with the schema `queuekit` in it."""
    name = f"test_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield _with_database(postgres_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
def namespace() -> str:
    """One that no other test has."""
    return f"test_{uuid4().hex[:12]}"


@pytest.fixture
async def make_backend(namespace: str) -> AsyncIterator[Callable[..., Awaitable[Backend]]]:
    """From a URL to an opened backend on this test's namespace; closed when the test is over."""
    async with contextlib.AsyncExitStack() as opened:

        async def make(url: str, **settings: object) -> Backend:
            backend = backend_class(url)(url, BackendSettings(namespace, **settings))  # type: ignore[arg-type]
            opened.push_async_callback(backend.close)
            await backend.open()
            return backend

        yield make


def _with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()
