"""Behind a pooler in transaction mode: our own one, and pgbouncer where it is on the PATH."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from queuekit.backend import Backend, BackendSettings
from queuekit.errors import BackendRefused, BackendUnavailable, ConfigurationError, ReplyLost
from queuekit.job import Job
from queuekit.testing.conformance import LosingProxy, Lossy
from queuekit.testing.conformance._make import eventually, job, put
from queuekit.testing.conformance.calls import CallCases
from queuekit.testing.conformance.cancel import CancelCases
from queuekit.testing.conformance.enqueue import EnqueueCases
from queuekit.testing.conformance.fetch import FetchCases
from queuekit.testing.conformance.lost_replies import LostReplyCases
from queuekit.testing.conformance.outage import OutageCases
from queuekit.testing.conformance.results import ResultsCases
from queuekit.testing.conformance.wait import WaitCases
from queuekit.testing.proxy import Proxy
from queuekit.testing.servers import pgbouncer
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import Connection, Dialer
from tests.backends.postgres.locks import is_waiting_for
from tests.backends.postgres.pooler import Parameters, Pooler
from tests.conformance import test_postgres

Make = Callable[..., Awaitable[Backend]]
POOLERS = ["ours", *(["pgbouncer"] if shutil.which("pgbouncer") else [])]
IGNORING = f"ignore_startup_parameters = {','.join(Dialer('', BackendSettings()).session)}"


@pytest.fixture(scope="module")
def bouncer_url(postgres_url: str) -> Iterator[str]:
    with pgbouncer(postgres_url) as server:
        yield server.url


@pytest.fixture(params=POOLERS)
async def pooled_url(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[str]:
    if request.param == "pgbouncer":
        yield request.getfixturevalue("bouncer_url")
        return
    place = urlsplit(postgres_url)
    async with Pooler(place.hostname or "", place.port or 0) as pooler:
        yield pooler.url_for(postgres_url)


class Pooled:
    """Fixtures whose connections lead through a pooler."""

    @pytest.fixture
    async def backend(self, pooled_url: str, make_backend: Make) -> Backend:
        return await make_backend(pooled_url, pooler="transaction")

    @pytest.fixture
    async def other(self, pooled_url: str, backend: Backend, make_backend: Make) -> Backend:
        return await make_backend(pooled_url, pooler="transaction")

    @pytest.fixture
    async def lossy(
        self, backend: Backend, make_backend: Make, pooled_url: str
    ) -> AsyncIterator[Lossy]:
        place = urlsplit(pooled_url)
        async with Proxy(place.hostname or "", place.port or 0) as proxy:
            made = await make_backend(proxy.url_for(pooled_url), pooler="transaction")
            yield LosingProxy(made, proxy)


@pytest.mark.parametrize("pooled_url", ["ours"], indirect=True)
class TestBehindAPooler(Pooled, test_postgres.TestPostgres):
    """All cases."""


if "pgbouncer" in POOLERS:

    @pytest.mark.parametrize("pooled_url", ["pgbouncer"], indirect=True)
    class TestBehindPgbouncer(
        Pooled,
        CallCases,
        CancelCases,
        EnqueueCases,
        FetchCases,
        LostReplyCases,
        OutageCases,
        ResultsCases,
        WaitCases,
    ):
        """What a session could matter to. The rest is seen behind our own pooler, which is harder on its clients."""


async def test_a_call_under_way_has_its_deadline_when_the_pooler_hangs(
    pooled_url: str, make_backend: Make, namespace: str, connection: Connection
) -> None:
    place = urlsplit(pooled_url)
    async with Proxy(place.hostname or "", place.port or 0) as proxy:
        url = proxy.url_for(pooled_url)
        backend = await make_backend(url, pooler="transaction", timeout=1.0)
        async with connection.transaction():
            await connection.execute(f'LOCK TABLE "{namespace}".jobs')
            storing = asyncio.create_task(backend.enqueue([job()]))
            await eventually(lambda: is_waiting_for(connection))
            proxy.stall()
            with pytest.raises(ReplyLost):
                await asyncio.wait_for(storing, 5)
        proxy.resume()
        await eventually(lambda: is_stored(backend, job()))


@contextlib.asynccontextmanager
async def untold(url: str, parameters: Parameters) -> AsyncIterator[PostgresBackend]:
    """A backend behind a pooler, whose settings tell of none."""
    place = urlsplit(url)
    async with Pooler(place.hostname or "", place.port or 0, parameters=parameters) as pooler:
        settings = BackendSettings(namespace=f"untold_{uuid4().hex}")
        backend = PostgresBackend(pooler.url_for(url), settings)
        yield backend
        await backend.close()


NAMED = r"pooler=\"transaction\" \(QUEUEKIT_POOLER=transaction\)\.$"


@pytest.mark.parametrize("parameters", ["dropped", "refused"])
async def test_a_pooler_that_the_settings_do_not_tell_of_is_seen_at_the_start(
    postgres_url: str, parameters: Parameters
) -> None:
    async with untold(postgres_url, parameters) as backend:
        with pytest.raises(ConfigurationError, match=NAMED):
            await backend.open()


async def test_one_that_is_seen_later_is_named_as_well(postgres_url: str) -> None:
    """The sessions of our own pooler have all settings, so only what is missing there tells of it."""
    async with untold(postgres_url, "passed on") as backend:
        await backend.open()
        with pytest.raises(BackendRefused, match=NAMED):
            await eventually(lambda: side_by_side(lambda: backend.enqueue([job(key="k")])))


async def test_one_that_is_seen_while_the_schema_is_made_is_named_as_well(
    postgres_url: str,
) -> None:
    async with untold(postgres_url, "passed on") as backend:
        with pytest.raises(ConfigurationError, match=NAMED):
            await eventually(lambda: side_by_side(backend.open))


async def side_by_side(call: Callable[[], Awaitable[object]]) -> bool:
    """By several connections, whose sessions are others each time."""
    await asyncio.gather(*(call() for _ in range(4)))
    return False


if "pgbouncer" in POOLERS:

    @pytest.mark.parametrize("ignored", ["", IGNORING])
    async def test_pgbouncer_is_seen_at_the_start(postgres_url: str, ignored: str) -> None:
        with pgbouncer(postgres_url, settings=ignored) as server:
            backend = PostgresBackend(server.url, BackendSettings())
            with pytest.raises(ConfigurationError, match=NAMED):
                await backend.open()
            await backend.close()


async def is_stored(backend: Backend, one: Job[Any]) -> bool:
    """Whether a job can be stored by now."""
    with contextlib.suppress(ReplyLost, BackendUnavailable):
        await put(backend, one)
        return True
    return False
