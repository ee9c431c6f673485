"""Plans that can't go wrong: whatever a table's size and statistics, hot statements stay on their indexes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from queuekit.codes import FAILED, READY, RUNNING, SUCCEEDED
from queuekit.job import new_id
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import STEADY_PLANS, Connection
from queuekit_postgres.statements import Statements
from tests.backends.postgres.plans import nodes

MANY = "{" + ",".join(map(str, range(1, 501))) + "}"
IDS = "{" + ",".join(str(new_id()) for _ in range(500)) + "}"
HOT = {
    "claim": "'default', 500, 'alice', 1, 30000000, 4, '{-32768,0,5}', '{0,77,99}', '{0,5,32767}'",
    "succeed": f"'{MANY}', NULL, '{MANY}', NULL, NULL, NULL, NULL, 3600000000, 10000",
    "insert": f"'{IDS}', '{{a}}', '{{b}}', '{{c}}', '{{0}}', '{{5}}', NULL",
    "heartbeat": f"'{MANY}', '{MANY}'",
    "report": f"'{MANY}', '{MANY}', '{{1}}', '{{[]}}', 100",
    "settled": f"'{IDS}', '{{default}}', '{{1}}', '{{6}}'",
    "nonempty": "'{default}', '{-32768}', '{0}', '{32767}', true",
    "look": "'alice', '{default}', 3000000, true",
    "unserved": "",
    "results": f"'{IDS}', '{{default}}', 'alice', 1",
    "get": f"'{IDS}', '{{default}}'",
    "locate": f"'{IDS}'",
    "find": "NULL, NULL, NULL, NULL, NULL, NULL, 50, 5000, 'ffffffff-ffff-ffff-ffff-ffffffffffff', ''",
}
STEPS = {
    "leave": f"'{MANY}', '{MANY}', 86400000000, array_fill({FAILED}::smallint, '{{250}}')",
    "rescue": "'{default}', 86400000000, 0",
    "expire": "'{default}', 86400000000, 0",
    "promote": "'{default}', 0",
    "renew": "'{default}'",
    "queue_after": "''",
}
"""Functions of the schema, whose plans nothing shows."""
SMALL = {"sleepers", "presences"}  # as many rows as there are processes


@pytest.fixture
async def session(backend: PostgresBackend, postgres_url: str) -> AsyncIterator[Connection]:
    """With the settings of the backend's own."""
    opened = await asyncpg.connect(postgres_url, server_settings=STEADY_PLANS)
    yield opened
    await opened.close()


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_hot_statements_stay_on_their_indexes(
    session: Connection, namespace: str, mode: str
) -> None:
    await session.execute(f"SET plan_cache_mode = {mode}")
    statements = Statements(namespace)
    plans = {"fresh": await _plans(session, statements)}
    await _vacuum(session, namespace)
    plans["empty"] = await _plans(session, statements)
    await _fill(session, namespace, 100_000)
    plans["full"] = await _plans(session, statements)
    await _vacuum(session, namespace)
    plans["analyzed"] = await _plans(session, statements)
    wrong = [
        (size, verb, node["Node Type"], node.get("Relation Name"))
        for size, of_verb in plans.items()
        for verb, plan in of_verb.items()
        for node in nodes(plan)
        if _walks(node)
    ]
    assert not wrong


async def test_a_plan_made_for_an_empty_table_serves_a_full_one(
    session: Connection, namespace: str
) -> None:
    await session.execute("SET plan_cache_mode = force_generic_plan")
    await _vacuum(session, namespace)
    claim = await session.prepare(Statements(namespace)["claim"])
    args = ("default", 10, "alice", 1, 1_000_000, 0, [-32768], [0], [32767])
    assert await claim.fetch(*args) == []
    await _fill(session, namespace, 20_000)
    plan = json.loads(
        await session.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {claim.get_name()}"
            "('default', 10, 'alice', 1, 1000000, 0, '{-32768}', '{0}', '{32767}')"
        )
    )
    visited = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan[0]["Plan"]))
    assert visited < 500


@pytest.mark.parametrize("step", STEPS)
async def test_functions_with_plans_made_for_an_empty_table_fetch_little_of_a_full_one(
    session: Connection, namespace: str, step: str
) -> None:
    await session.execute("SET plan_cache_mode = force_generic_plan")
    await _vacuum(session, namespace)
    call = f"SELECT * FROM {namespace}.{step}({STEPS[step]})"
    await session.execute(call)
    await _fill(session, namespace, 20_000)
    undone = session.transaction()
    await undone.start()
    await session.execute(call)
    rows = await session.fetch(
        "SELECT relname, seq_scan, seq_tup_read + idx_tup_fetch AS rows FROM pg_stat_xact_user_tables "
        "WHERE schemaname = $1 AND relname IN ('jobs', 'records', 'keys')",
        namespace,
    )
    await undone.rollback()
    assert not [row for row in rows if row["seq_scan"]]
    assert sum(row["rows"] or 0 for row in rows) < 5000


async def test_the_bulk_success_can_not_walk_the_index_of_running_jobs(
    session: Connection, namespace: str
) -> None:
    plan = (await _plans(session, Statements(namespace)))["succeed"]
    used = {
        node["Index Name"]
        for node in nodes(plan)
        if node.get("Relation Name") == "jobs" and "Index Name" in node
    }
    assert used == {"jobs_pkey"}


async def _plans(session: Connection, statements: Statements) -> dict[str, Any]:
    plans = {}
    for verb, args in HOT.items():
        await session.execute(f"PREPARE {verb} AS {statements[verb]}")
        text = await session.fetchval(
            f'EXPLAIN (FORMAT JSON) EXECUTE "{verb}"{args and f"({args})"}'
        )
        plans[verb] = json.loads(text)[0]["Plan"]
        await session.execute(f'DEALLOCATE "{verb}"')
    return plans


def _walks(node: dict[str, Any]) -> bool:
    if node["Node Type"] in {"Hash Join", "Merge Join"}:
        return True
    return node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL


async def _vacuum(session: Connection, namespace: str) -> None:
    for table in ("jobs", "records", "keys", "queues", "waiters"):
        await session.execute(f"VACUUM ANALYZE {namespace}.{table}")


async def _fill(session: Connection, namespace: str, rows: int) -> None:
    await session.execute(f"""
        INSERT INTO {namespace}.jobs (
          enqueued_at, id, queue, task, payload, priority, max_attempts, state, lease, leased_until, delivery
        )
        SELECT 1, gen_random_uuid(), 'default', 'send', '{{}}', g % 3, 5,
          CASE WHEN g % 20 = 0 THEN {RUNNING} ELSE {READY} END, 1, 1, g
        FROM generate_series(1, {rows}) AS g;
        INSERT INTO {namespace}.records (
          kept_until, delivery, enqueued_at, finished_at, id, attempt, max_attempts, generation, state, priority,
          lapses, crashes, max_lapses, max_crashes, awaited, queue, task, payload
        )
        SELECT {namespace}.now_us() + 3600000000, g, 1, g, gen_random_uuid(), 1, 5, 0, {SUCCEEDED}, 0, 0, 0, 20, 3,
          false, 'default', 'send', '{{}}'
        FROM generate_series(1, {rows}) AS g;
    """)
