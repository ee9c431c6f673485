"""What the tests of this folder share."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import pytest
import redis

from queuekit.backend import Backend

Make: TypeAlias = Callable[..., Awaitable[Backend]]


@pytest.fixture
async def backend(make_backend: Make, redis_url: str) -> Backend:
    return await make_backend(redis_url)


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    """The server itself, to look behind the backend's back."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
