import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from queuekit.backend import Backend
from queuekit.testing.conformance import Conformance, LosingProxy, Lossy, SideConformance
from queuekit.testing.proxy import Proxy

Make = Callable[[str], Awaitable[Backend]]


TABLES = """
SELECT string_agg(format('DELETE FROM %I.%I', $1::text, relname), ';') FROM pg_class
WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN ('migrations', 'functions')
"""


@cache
def schema_of(process: int) -> str:
    """One schema for all cases of a process, emptied after each: to make one takes longer than most of them."""
    return f"conformance_{process}_{uuid4().hex[:12]}"


class TestPostgres(Conformance, SideConformance):
    @pytest.fixture
    async def namespace(self, postgres_url: str) -> AsyncIterator[str]:
        schema = schema_of(os.getpid())
        yield schema
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(await connection.fetchval(TABLES, schema))
        await connection.close()

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
