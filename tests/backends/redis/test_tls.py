"""TLS to the server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from queuekit.backend import Backend
from queuekit.errors import BackendUnavailable
from tests.tls import a_job_and_a_bell, secured

Make = Callable[..., Awaitable[Backend]]


@pytest.fixture
async def url(redis_url: str, authority: trustme.CA) -> AsyncIterator[str]:
    async with secured(redis_url, authority) as proxy:
        yield proxy.url_for(redis_url).replace("redis:", "rediss:")


async def test_jobs_and_bells(make_backend: Make, url: str, trusted: Path) -> None:
    await a_job_and_a_bell(await make_backend(f"{url}?ssl_ca_certs={trusted}"))


async def test_who_is_not_trusted_gets_nothing(make_backend: Make, url: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"certificate verify failed.*ssl_ca_certs="):
        await make_backend(url)
