"""A worker without work, and without a server for a while."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from tests.chaos.app import work
from tests.chaos.books import assert_balanced
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.size import AWAY
from tests.chaos.store import MortalStore
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(480)]

MOST_WAKES = 150
"""A second, of all threads together. On an idle machine so many take less than a hundredth of a core."""


async def test_a_server_that_is_away_costs_a_worker_next_to_nothing(
    store: MortalStore, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What measures coverage would be measured, too.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    job = work.job(5)
    async with Fleet(store, ledger, 1, lease=30) as workers:
        await workers.all_listen()
        process = psutil.Process(workers.alive[0].pid)
        async with store.gone():
            before, since = _wakes(process), time.monotonic()
            await asyncio.sleep(AWAY)
            assert (_wakes(process) - before) / (time.monotonic() - since) < MOST_WAKES
        back_at = time.time()
        await store.enqueue([job])
        await eventually(lambda: bool(ledger.of("start")))
        assert ledger.of("start")[0].at - back_at < 1
        await store.all_ended()
    await assert_balanced(store, ledger, workers, jobs=[job.id])


def _wakes(process: psutil.Process) -> int:
    """How often its threads have waited for something; what that costs depends on the machine."""
    found = 0
    for status in Path(f"/proc/{process.pid}/task").glob("*/status"):
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        found += int(lines["voluntary_ctxt_switches"])
    return found
