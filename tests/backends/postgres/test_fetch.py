import asyncio
import json
from typing import Any

import asyncpg
import pytest

from queuekit.backend import Ask, Backend, BackendSettings
from queuekit.job import SUSPECT_AFTER, Claimant, State
from queuekit.testing.conformance._make import (
    LONG,
    MILLISECOND,
    ack,
    claim,
    claimant,
    claims_nothing,
    give_back,
    job,
    lapse_times,
    numbered,
    put,
    released,
    succeeded,
)
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import Connection
from queuekit_postgres.fetch import claims, cursors
from queuekit_postgres.fetch.cursors import HIGHEST, LOWEST, Cursor
from tests.backends.postgres.plans import nodes


async def test_eight_claimers_never_claim_a_job_twice(
    backend: Backend, postgres_url: str, namespace: str
) -> None:
    jobs = numbered(4000)
    for start in range(0, len(jobs), 1000):
        await put(backend, *jobs[start : start + 1000])
    claimers = [PostgresBackend(postgres_url, BackendSettings(namespace)) for _ in range(8)]

    async def work(claimer: PostgresBackend, number: int) -> list[Any]:
        ran: list[Any] = []
        who = Claimant(f"claimer-{number}", 1)
        while claims := (await claimer.fetch(Ask(["default"], 50, who, LONG))).claims:
            # some come back, so that the cursors have something to miss
            back = len(claims) // 10
            await give_back(claimer, *(released(one) for one in claims[:back]))
            await ack(claimer, *(succeeded(one) for one in claims[back:]))
            ran += [one.token.id for one in claims[back:]]
        return ran

    ran = [i for ids in await asyncio.gather(*map(work, claimers, range(8))) for i in ids]
    for claimer in claimers:
        await claimer.close()
    assert sorted(ran) == sorted(one.id for one in jobs)


async def test_a_more_urgent_job_waits_for_no_rescan(backend: Backend) -> None:
    await put(backend, *numbered(100))
    await claim(backend, 10)
    await put(backend, job("urgent", priority=-5), job("late", priority=5))
    assert (await claim(backend, 1))[0].payload == "urgent"
    await claim(backend, 10)
    await put(backend, job("urgent again", priority=-5))
    assert (await claim(backend, 1))[0].payload == "urgent again"
    assert len(await claim(backend, 81)) == 81


async def test_a_job_that_another_process_gave_back_is_found_at_once(
    backend: Backend, other: Backend
) -> None:
    await put(backend, *numbered(20))
    first = await claim(other, 1)
    assert len(await claim(backend, 10)) == 10
    await give_back(other, released(first[0]))
    fetched = await backend.fetch(Ask(["default"], 50, claimant(), LONG))
    assert len(fetched.claims) == 10
    assert "0" in {one.payload for one in fetched.claims}


async def test_a_late_commit_behind_the_cursor_is_found(
    backend: Backend, connection: Connection
) -> None:
    await put(backend, *numbered(3))
    await claim(backend, 1)
    async with connection.transaction():
        await backend.enqueue([job("late")], connection=connection)
        await put(backend, *numbered(10))
        await claim(backend, 12)
        await claims_nothing(backend)
    fetched = await backend.fetch(Ask(["default"], 5, claimant(), LONG))
    assert [one.payload for one in fetched.claims] == ["late"]


async def test_under_a_full_backlog_a_rescan_comes_within_seconds(
    backend: Backend, other: Backend
) -> None:
    await put(backend, *numbered(1000))
    behind = (await claim(other, 1))[0]
    await claim(backend, 1)
    await give_back(other, released(behind))
    deadline = asyncio.get_running_loop().time() + 5
    while True:
        (found,) = await claim(backend, 1)
        if found.token.id == behind.token.id:
            break
        await give_back_anew(backend, found)
        assert asyncio.get_running_loop().time() < deadline


async def give_back_anew(backend: Backend, found: Any) -> None:
    await ack(backend, succeeded(found))
    await put(backend, job())


async def test_a_pinned_snapshot_does_not_slow_the_claims(
    backend: PostgresBackend, postgres_url: str, namespace: str
) -> None:
    for _ in range(4):
        await put(backend, *numbered(1000))
    pinning = await asyncpg.connect(postgres_url)
    snapshot = pinning.transaction(isolation="repeatable_read")
    await snapshot.start()
    await pinning.fetchval("SELECT count(*) FROM pg_class")
    for _ in range(15):
        await ack(backend, *(succeeded(one) for one in await claim(backend, 200)))
    ranges = backend._claims._cursors["default"].ranges()
    explaining = await asyncpg.connect(postgres_url, server_settings={"enable_seqscan": "off"})
    try:
        behind = await _buffers(explaining, backend, ranges)
        at_start = await _buffers(explaining, backend, ([LOWEST], [0], [HIGHEST]))
    finally:
        await explaining.close()
        await snapshot.rollback()
        await pinning.close()
    # from the start it walks the 3,000 dead entries
    assert (behind < 20, at_start > 60) == (True, True), (behind, at_start)


async def _buffers(explaining: Connection, backend: PostgresBackend, ranges: Any) -> int:
    statement = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + backend._statements["claim"]
    undone = explaining.transaction()
    await undone.start()
    text = await explaining.fetchval(statement, "default", 10, "x", 1, LONG, 0, *ranges)
    await undone.rollback()
    return sum(
        node["Shared Hit Blocks"] + node["Shared Read Blocks"]
        for node in nodes(json.loads(text)[0]["Plan"])
        if node.get("Index Name") == "jobs_ready"
    )


async def test_many_queues_are_served_in_turn(backend: Backend) -> None:
    queues = [f"q{number}" for number in range(200)]
    await put(backend, *(job(queue=queue) for queue in queues[::50]), *numbered(3, queue="q7"))
    fetched = await backend.fetch(Ask(queues, 100, claimant(), LONG))
    assert len(fetched.claims) == 7


@pytest.mark.parametrize("short", [True, False])
def test_a_rescan_keeps_what_is_known(short: bool) -> None:
    cursor = Cursor()
    cursor.advance([(0, 10), (5, 20)], short=True)
    assert cursor.ranges() == ([LOWEST, 0, 5], [0, 10, 20], [0, 5, HIGHEST])
    cursor.rewind()
    assert cursor.ranges() == ([LOWEST], [0], [HIGHEST])
    cursor.advance([(-3, 30), (0, 4)], short=short)
    at_zero = 10 if short else 4
    assert cursor.ranges() == ([LOWEST, -3, 0, 5], [0, 30, at_zero, 20], [-3, 0, 5, HIGHEST])


def test_a_claim_that_suspects_fill_goes_nowhere() -> None:
    cursor = Cursor()
    cursor.advance([(0, 10)], short=False)
    cursor.rewind()
    cursor.advance((), short=False)
    assert cursor.ranges() == ([LOWEST], [0], [HIGHEST])
    cursor.advance([(0, 4)], short=False)
    assert cursor.ranges() == ([LOWEST, 0], [0, 4], [0, HIGHEST])


async def test_a_suspect_alone_is_claimed_while_a_rescan_is_due(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cursors, "RESCAN_EVERY", 0)
    suspect = job()
    await put(backend, suspect)
    await lapse_times(backend, SUSPECT_AFTER, suspect)
    await put(backend, *numbered(3))
    assert (await claim(backend, 1))[0].payload == "0"
    assert (await claim(backend, 1, suspects=1))[0].token.id == suspect.id
    assert [one.payload for one in await claim(backend, 2)] == ["1", "2"]


@pytest.mark.parametrize(("took", "worth"), [(0.01, True), (0.5, False)])
def test_a_rescan_costs_what_its_claim_took(took: float, worth: bool) -> None:
    """However long the worker was busy before it claimed again."""
    cursor = Cursor()
    for _ in range(2):
        cursor.advance([(0, 10)], short=False)
        cursor.rewind()
        cursor.advance([(0, 20)], short=False, took=took)
    assert cursor.worth_rescanning(found=False, short=True) is worth


async def test_claims_of_a_dropped_fetch_are_among_the_leases(backend: Backend) -> None:
    await put(backend, *numbered(5))
    who = claimant()
    await backend.fetch(Ask(["default"], 3, who, LONG))
    leases = await backend.leases(who.process)
    assert [held.number for held in leases] == [who.number] * 3
    assert {found.state for found in await _records(backend, leases)} == {State.RUNNING}


@pytest.mark.parametrize("lapses", [0, SUSPECT_AFTER], ids=["ready", "suspect"])
async def test_a_job_that_expired_since_time_was_moved_on_is_not_claimed(
    backend: Backend,
    connection: Connection,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    lapses: int,
) -> None:
    monkeypatch.setattr(claims, "ADVANCE_EVERY", 3600)
    await backend.fetch(Ask(["default"], 1, claimant(), LONG, 1))
    await put(backend, job(expires=20 * MILLISECOND))
    state = f"lapses = {lapses}, state = {namespace}.ready({lapses}::smallint)"
    await connection.execute(f"UPDATE {namespace}.jobs SET {state}")
    await asyncio.sleep(0.03)
    fetched = await backend.fetch(Ask(["default"], 1, claimant(), LONG, 1))
    assert not fetched.claims


async def _records(backend: Backend, leases: Any) -> list[Any]:
    return await backend.inspector.get([held.token.ref for held in leases])
