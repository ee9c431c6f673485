from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from queuekit.backend import Backend
from queuekit.testing.conformance import Conformance, LosingProxy, Lossy, SideConformance
from queuekit.testing.proxy import Proxy
from tests.schema import shared_schema

Make = Callable[[str], Awaitable[Backend]]


class TestPostgres(Conformance, SideConformance):
    @pytest.fixture
    async def namespace(self, postgres_url: str) -> AsyncIterator[str]:
        async with shared_schema(postgres_url) as schema:
            yield schema

    @pytest.fixture
    async def backend(self, make_backend: Make, postgres_url: str) -> Backend:
        return await make_backend(postgres_url)

    @pytest.fixture
    async def other(self, backend: Backend, make_backend: Make, postgres_url: str) -> Backend:
        return await make_backend(postgres_url)

    @pytest.fixture
    async def lossy(
        self, backend: Backend, make_backend: Make, postgres_url: str
    ) -> AsyncIterator[Lossy]:
        place = urlsplit(postgres_url)
        async with Proxy(place.hostname or "", place.port or 0) as proxy:
            yield LosingProxy(await make_backend(proxy.url_for(postgres_url)), proxy)
