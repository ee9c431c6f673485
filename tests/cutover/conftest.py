"""Two backends as one, in a phase of a cutover."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from queuekit.backend import Backend, BackendSettings
from queuekit.cutover import CutoverBackend, Phase, Steering
from queuekit.registry import backend_class
from tests.schema import shared_schema


class Two(NamedTuple):
    """Both backends as one, opened, and what turns their gates."""

    backend: CutoverBackend
    steering: Steering


MakeTwo = Callable[..., Awaitable[Two]]


@pytest.fixture
async def schema(postgres_url: str) -> AsyncIterator[str]:
    """An empty namespace in Postgres."""
    async with shared_schema(postgres_url) as name:
        yield name


@pytest.fixture
def urls(tmp_path: Path, redis_url: str, postgres_url: str) -> dict[str, str]:
    """Of each kind of store."""
    return {
        "redis": redis_url,
        "postgres": postgres_url,
        "sqlite": f"sqlite:///{tmp_path}/first.db",
        "another sqlite": f"sqlite:///{tmp_path}/second.db",
    }


@pytest.fixture
async def make_two(namespace: str, schema: str, urls: dict[str, str]) -> AsyncIterator[MakeTwo]:
    """From two kinds of stores to both as one."""

    def made(kind: str) -> Backend:
        name = schema if kind == "postgres" else namespace
        return backend_class(urls[kind])(urls[kind], BackendSettings(name))

    async with AsyncExitStack() as opened:

        async def make(first: str, second: str, mirror: str = "sync") -> Two:
            both = CutoverBackend(made(first), made(second), mirror)
            opened.push_async_callback(both.close)
            await both.open()
            return Two(both, Steering(both.pair, (first, second)))

        yield make


async def bring(two: Two, queues: Sequence[str], phase: Phase) -> None:
    """Bring queues that have never been in a cutover to a phase."""
    steps = {
        Phase.NONE: [],
        Phase.MIRROR: [two.steering.start],
        Phase.MOVED: [two.steering.start, two.steering.flip],
        Phase.SEALED: [two.steering.start, two.steering.flip, two.steering.seal],
    }
    for queue in queues:
        for step in steps[phase]:
            await step(queue)
        status = await two.steering.status(queue)
        assert status.phase is phase, status
