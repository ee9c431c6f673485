import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from queuekit.backend import Backend
from queuekit.testing.servers import Server, postgres_server, redis_server
from tests.chaos.ledger import Ledger
from tests.chaos.size import ROUNDS
from tests.chaos.store import FileStore, MortalStore, ServerStore

Make = Callable[[str], Awaitable[Backend]]


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
) -> MortalStore:
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/queue.db"
        return FileStore(url, namespace, await make_backend(url))
    server: Server = request.getfixturevalue(f"durable_{request.param}")
    return ServerStore(server, namespace, await make_backend(server.url))


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    return Ledger(folder)


@pytest.fixture
def dice(record_property: Callable[[str, object], None]) -> random.Random:
    """What decides who is hit and when; a test that fails shows the seed."""
    seed = int(os.environ.get("QUEUEKIT_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"to replay: QUEUEKIT_CHAOS_SEED={seed}")  # noqa: T201
    record_property("seed", seed)
    return random.Random(seed)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A seeded test that asks for it runs with several seeds, unless one is given."""
    if "round_number" in metafunc.fixturenames:
        rounds = 1 if "QUEUEKIT_CHAOS_SEED" in os.environ else ROUNDS
        metafunc.parametrize("round_number", range(rounds))


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """In a verbose log each seeded test shows its seed."""
    seed = dict(report.user_properties).get("seed") if report.when == "call" else None
    if seed is None or not report.passed:
        return None
    return "passed", ".", f"PASSED in {report.duration:.1f} s with seed {seed}"
