import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from queuekit.backend import Backend
from queuekit.testing.servers import Server, postgres_server, redis_server
from tests.chaos.ledger import Ledger
from tests.chaos.store import FileStore, ServerStore, Store

Make = Callable[[str], Awaitable[Backend]]
FULL = os.environ.get("QUEUEKIT_CHAOS") == "full"


@pytest.fixture(scope="session")
def durable_redis() -> Iterator[Server]:
    """One to be killed that loses nothing by it."""
    with redis_server(appendonly="always", own=True) as server:
        yield server


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[Server]:
    with postgres_server(durable=True, own=True) as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """Nothing is kept of it, even if the test fails."""
    with TemporaryDirectory(prefix="queuekit-chaos-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(params=["sqlite", "redis", "postgres"])
async def store(
    request: pytest.FixtureRequest, namespace: str, make_backend: Make, folder: Path
) -> Store:
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/queue.db"
        return FileStore(url, namespace, await make_backend(url))
    server: Server = request.getfixturevalue(f"durable_{request.param}")
    return ServerStore(server, namespace, await make_backend(server.url))


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    return Ledger(folder)


@pytest.fixture
def dice() -> random.Random:
    """What decides who is hit and when; a test that fails shows the seed."""
    seed = int(os.environ.get("QUEUEKIT_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"to replay: QUEUEKIT_CHAOS_SEED={seed}")  # noqa: T201
    return random.Random(seed)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """At full size each seeded test that asks for it runs with 20 seeds."""
    if "round_number" in metafunc.fixturenames:
        rounds = 20 if FULL and "QUEUEKIT_CHAOS_SEED" not in os.environ else 1
        metafunc.parametrize("round_number", range(rounds))
