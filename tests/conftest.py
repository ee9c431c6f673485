import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from queuekit.backend import Backend, BackendSettings
from queuekit.registry import backend_class
from queuekit.testing.servers import postgres_server, redis_server

settings.register_profile("queuekit", deadline=None)  # tests don't time
settings.load_profile("queuekit")

# A shell starts what it puts in the background without Ctrl-C, and all that is started from there inherits it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class ChaosInOneProcess(LoadScopeScheduling):  # type: ignore[misc]  # of a package without types
    """Spread tests over the processes, but never run two of those that load the machine at once."""

    def _split_scope(self, nodeid: str) -> str:
        return "chaos" if nodeid.startswith("tests/chaos/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ChaosInOneProcess:
    return ChaosInOneProcess(config, log)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One server a test process, started for the first test that asks."""
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as server:
        yield server.url


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
