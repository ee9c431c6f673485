"""A live system on its way from one backend to another, with processes that know nothing of it, and kills."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from queuekit.backend import Backend, BackendSettings, Kind
from queuekit.cutover import Blocked, CutoverBackend, Phase, Status, Steering
from queuekit.registry import backend_class
from queuekit.testing.servers import Server
from tests.chaos.books import assert_balanced
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.size import JOBS
from tests.chaos.store import Store, patiently
from tests.chaos.test_kills import happened, mixed
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

LEASE = 1.0
OWNED = {Kind.LIVE, Kind.RUNNING, Kind.MOVING, Kind.FAILED}


class BothStores(Store):
    """Two stores as one."""

    def __init__(self, urls: tuple[str, str], namespace: str, backend: CutoverBackend) -> None:
        super().__init__(urls[0], namespace, cast(Backend, backend))
        self.to = urls[1]
        self.steering = Steering(backend.pair, ("the first", "the second"))

    async def persistently(self, step: Callable[[str], Awaitable[Status]]) -> Status:
        """Take a step of the cutover as soon as nothing blocks it."""
        done: list[Status] = []

        async def taken() -> bool:
            try:
                done.append(await patiently(step, "default"))
            except Blocked:
                await asyncio.sleep(0.2)
                return False
            return True

        await eventually(taken, 120)
        return done[0]


@pytest.fixture(params=["redis-postgres", "postgres-redis", "sqlite-postgres"])
async def both(request: pytest.FixtureRequest, namespace: str, folder: Path) -> Any:
    def url_of(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder}/queue.db"
        server: Server = request.getfixturevalue(f"durable_{kind}")
        return server.url

    def made(url: str) -> Backend:
        return backend_class(url)(url, BackendSettings(namespace))

    first, second = map(url_of, request.param.split("-"))
    backend = CutoverBackend(made(first), made(second))
    await backend.open()
    yield BothStores((first, second), namespace, backend)
    await backend.close()


@pytest.mark.usefixtures("round_number")
async def test_a_live_system_moves_there_and_back_and_there(
    both: BothStores, ledger: Ledger, dice: random.Random
) -> None:
    steering = both.steering
    early = mixed(dice, JOBS)
    await both.enqueue(early)

    def fleet(size: int, kind: str, *, told: bool) -> Fleet:
        to = both.to if told else ""
        return Fleet(both, ledger, size, LEASE, kind=kind, cutover_to=to)

    workers = [fleet(2, "worker", told=True), fleet(1, "worker", told=False)]
    producers = [fleet(1, "producer", told=True), fleet(1, "producer", told=False)]
    async with AsyncExitStack() as working:
        for one in workers:
            await working.enter_async_context(one)
        async with AsyncExitStack() as producing:
            for one in producers:
                await producing.enter_async_context(one)
            for n, step in enumerate((steering.start, steering.flip, steering.flip, steering.flip)):
                await happened(ledger, "end", (n + 1) * JOBS // 5)
                await both.persistently(step)
                victims = dice.choice([*workers, *producers])
                await victims.one_is_busy()
                await victims.kill(dice.choice(victims.busy))
            count = len(ledger.jobs("acknowledged"))
            await happened(ledger, "acknowledged", count + 20)
        await both.all_ended()
        await both.persistently(steering.seal)
        await both.all_ended()  # some may have been on their way before
        status = await steering.status("default")
    assert (status.phase, status.active) == (Phase.SEALED, 1)
    assert not OWNED & status.counts[0].keys(), status
    jobs = await both.ids()
    assert {job.id for job in early} | ledger.jobs("acknowledged") <= set(jobs)
    await assert_balanced(both, ledger, *workers, *producers, jobs=set(jobs))
