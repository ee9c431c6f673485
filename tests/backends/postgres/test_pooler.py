"""Behind a pooler in transaction mode: our own one, and pgbouncer where it is on the PATH."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import pytest

from queuekit.backend import Backend
from queuekit.testing.conformance import LosingProxy, Lossy
from queuekit.testing.proxy import Proxy
from queuekit.testing.servers import pgbouncer
from tests.backends.postgres.pooler import Pooler
from tests.conformance import test_postgres

Make = Callable[..., Awaitable[Backend]]
POOLERS = ["ours", *(["pgbouncer"] if shutil.which("pgbouncer") else [])]


@pytest.fixture(scope="module")
def bouncer_url(postgres_url: str) -> Iterator[str]:
    with pgbouncer(postgres_url) as server:
        yield server.url


@pytest.fixture(params=POOLERS)
async def pooled_url(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[str]:
    if request.param == "pgbouncer":
        yield request.getfixturevalue("bouncer_url")
        return
    place = urlsplit(postgres_url)
    async with Pooler(place.hostname or "", place.port or 0) as pooler:
        yield pooler.url_for(postgres_url)


class TestBehindAPooler(test_postgres.TestPostgres):
    @pytest.fixture
    async def backend(self, pooled_url: str, make_backend: Make) -> Backend:
        return await make_backend(pooled_url, pooler="transaction")

    @pytest.fixture
    async def other(self, pooled_url: str, backend: Backend, make_backend: Make) -> Backend:
        return await make_backend(pooled_url, pooler="transaction")

    @pytest.fixture
    async def lossy(
        self, backend: Backend, make_backend: Make, pooled_url: str
    ) -> AsyncIterator[Lossy]:
        place = urlsplit(pooled_url)
        async with Proxy(place.hostname or "", place.port or 0) as proxy:
            made = await make_backend(proxy.url_for(pooled_url), pooler="transaction")
            yield LosingProxy(made, proxy)
