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
async def url(postgres_url: str, authority: trustme.CA) -> AsyncIterator[str]:
    async with secured(postgres_url, authority, on_request=True) as proxy:
        yield proxy.url_for(postgres_url)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_jobs_and_bells(make_backend: Make, url: str, trusted: Path, mode: str) -> None:
    await a_job_and_a_bell(await make_backend(f"{url}?sslmode={mode}&sslrootcert={trusted}"))


async def test_who_is_not_trusted_gets_nothing(
    make_backend: Make, url: str, tmp_path: Path
) -> None:
    others = tmp_path / "others.pem"
    trustme.CA().cert_pem.write_to_path(others)
    with pytest.raises(BackendUnavailable, match=r"certificate verify failed.*sslrootcert="):
        await make_backend(f"{url}?sslmode=verify-full&sslrootcert={others}")
