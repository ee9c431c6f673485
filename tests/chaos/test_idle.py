"""A worker without work, and without a server for a while."""

import asyncio
import time

import psutil
import pytest

from tests.chaos.app import work
from tests.chaos.books import assert_balanced
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.size import AWAY
from tests.chaos.store import Store
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(480)]

CPU_SHARE = 0.05 / 5


async def test_a_server_that_is_away_costs_a_worker_next_to_nothing(
    store: Store, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What measures coverage would be measured, too.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    job = work.job(5)
    async with Fleet(store, ledger, 1, lease=30) as workers:
        await workers.all_listen()
        process = psutil.Process(workers.alive[0].pid)
        async with store.gone():
            before, since = _cpu(process), time.monotonic()
            await asyncio.sleep(AWAY)
            assert (_cpu(process) - before) / (time.monotonic() - since) < CPU_SHARE
        back_at = time.time()
        await store.enqueue([job])
        await eventually(lambda: bool(ledger.of("start")))
        assert ledger.of("start")[0].at - back_at < 1
        await store.all_ended()
    await assert_balanced(store, ledger, workers, jobs=[job.id])


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
