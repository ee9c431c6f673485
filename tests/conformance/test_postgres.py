from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from queuekit.backend import Backend
from queuekit.testing.conformance import Conformance, LosingProxy, Lossy
from queuekit.testing.proxy import Proxy

Make = Callable[[str], Awaitable[Backend]]


class TestPostgres(Conformance):
    @pytest.fixture
    def namespace(self) -> str:
        return "queuekit"

    @pytest.fixture
    async def backend(self, make_backend: Make, postgres_database: str) -> Backend:
        return await make_backend(postgres_database)

    @pytest.fixture
    async def other(self, backend: Backend, make_backend: Make, postgres_database: str) -> Backend:
        return await make_backend(postgres_database)

    @pytest.fixture
    async def lossy(
        self, backend: Backend, make_backend: Make, postgres_database: str
    ) -> AsyncIterator[Lossy]:
        place = urlsplit(postgres_database)
        async with Proxy(place.hostname or "", place.port or 0) as proxy:
            yield LosingProxy(await make_backend(proxy.url_for(postgres_database)), proxy)
