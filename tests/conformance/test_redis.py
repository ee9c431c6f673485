from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from queuekit.backend import Backend
from queuekit.testing.conformance import Conformance, LosingProxy, Lossy, SideConformance
from queuekit.testing.proxy import Proxy

Make = Callable[[str], Awaitable[Backend]]


class TestRedis(Conformance, SideConformance):
    @pytest.fixture
    async def backend(self, make_backend: Make, redis_url: str) -> Backend:
        return await make_backend(redis_url)

    @pytest.fixture
    async def other(self, backend: Backend, make_backend: Make, redis_url: str) -> Backend:
        return await make_backend(redis_url)

    @pytest.fixture
    async def lossy(
        self, backend: Backend, make_backend: Make, redis_url: str
    ) -> AsyncIterator[Lossy]:
        place = urlsplit(redis_url)
        async with Proxy(place.hostname or "", place.port or 0) as proxy:
            yield LosingProxy(await make_backend(proxy.url_for(redis_url)), proxy)
