"""What time takes away, and what it does not; the clock is moved on in the tables."""

import pytest

from queuekit import codes
from queuekit.backend import KEEP_FOR_WAITERS, STEERING, Backend, Refusal
from queuekit.job import FINISHED, SOLITARY_AFTER, Keep, KeyPolicy, State
from queuekit.testing.conformance._make import (
    ALICE,
    BOB,
    LONG,
    SECOND,
    ack,
    answer_of,
    claim,
    claim_one,
    failed,
    find_all,
    job,
    numbered,
    put,
    running,
    state_of,
    succeeded,
)
from queuekit_postgres.connection import Connection

TABLES = {
    "keys": "(queue, key, id, expires_at) VALUES ('q', '{name}', gen_random_uuid(), now_us() + {left})",
    "sleepers": "VALUES ('{name}', '{{q}}', now_us() + {left})",
    "waiters": "VALUES (gen_random_uuid(), 'q', '{name}', 0, now_us() + {left})",
    "presences": "VALUES ('{name}', '', now_us(), {left})",
    "ticks": "VALUES ('{name}', now_us() - 2592000000000 + {left})",
}
NAMES = {"keys": "key", "ticks": "queue"}


@pytest.mark.parametrize("table", TABLES)
async def test_what_is_past_its_time_goes(
    backend: Backend, connection: Connection, namespace: str, table: str
) -> None:
    await connection.execute(f"SET search_path = {namespace}")
    for name, left in {"past": 0, "present": LONG}.items():
        row = TABLES[table].format(name=name, left=left)
        await connection.execute(f"INSERT INTO {table} {row}")
    await connection.execute("SELECT prune('{q}')")
    kept = await connection.fetch(f"SELECT {NAMES.get(table, 'process')} FROM {table}")
    assert [row[0] for row in kept] == ["present"]


async def test_records_of_today_outlive_the_drop_of_older_partitions(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    kept, forever = await running(backend, keep=Keep(3600 * SECOND)), await running(backend)
    await ack(backend, failed(kept), failed(forever))
    for _ in range(2):
        await connection.execute(f"SELECT {namespace}.make_partitions(20)")
    for one in (kept, forever):
        assert await state_of(backend, one.token.id) is State.FAILED


async def test_a_count_cuts_the_record_of_a_waited_for_job_after_a_minute(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    one = await running(backend, keep=Keep(LONG, count=0))
    await backend.results([one.token.ref], 0.02)
    await ack(backend, succeeded(one))
    await connection.execute(
        f"UPDATE {namespace}.records SET finished_at = finished_at - {KEEP_FOR_WAITERS}"
    )
    await connection.execute(f"SELECT {namespace}.trim_succeeded(ARRAY['default'], 1000)")
    assert await state_of(backend, one.token.id) is None


async def test_a_count_is_reached_in_bounded_steps_though_hidden_records_pile_up(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    await put(backend, *numbered(10, keep=Keep(LONG, count=1)))
    await ack(backend, *map(succeeded, await claim(backend, 10)))
    trim = f"SELECT {namespace}.trim_succeeded(ARRAY['default'], 3)"
    assert [await connection.fetchval(trim) for _ in range(5)] == [3, 3, 3, 0, 0]
    (left,) = await find_all(backend)
    assert left.job.payload == "9"


async def test_old_records_that_a_count_cuts_are_removed(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    """Rows and all; but only those of one queue and task, and only successes."""
    await put(backend, *numbered(3, keep=Keep(LONG, count=1)), job("task", task="other"))
    first, second, third, task = await claim(backend, 4)
    queue = await running(backend, "queue", queue="other")
    for one in (failed(first), *map(succeeded, (task, queue, second, third))):
        await ack(backend, one)
    await connection.execute(f"SET search_path = {namespace}")
    await connection.execute(f"UPDATE records SET finished_at = finished_at - {180 * SECOND}")
    await connection.execute("SELECT trim_succeeded(ARRAY['default'], 1000)")
    left = await connection.fetch("SELECT payload FROM records ORDER BY payload")
    assert [row["payload"] for row in left] == ["0", "2", "queue", "task"]


@pytest.mark.parametrize("days_ago", [None, 3])
async def test_a_record_without_a_partition_goes_once_nobody_asks_for_it(
    backend: Backend, connection: Connection, namespace: str, days_ago: int | None
) -> None:
    one = await running(backend, keep=Keep(36_000 * 86_400 * SECOND))
    await ack(backend, failed(one))
    records = f"{namespace}.records_other"
    if days_ago:
        past = days_ago * 86_400 * SECOND
        await connection.execute(f"UPDATE {records} SET kept_until = finished_at - {past}")
    await connection.execute(f"SELECT {namespace}.prune('{{default}}')")
    left = await connection.fetchval(f"SELECT count(*) FROM {records}")
    assert left == (0 if days_ago else 1)


async def test_a_record_past_its_time_is_hidden_and_remembered(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    """For as long as its row is there."""
    one = await running(backend)
    await ack(backend, failed(one))
    await connection.execute(f"UPDATE {namespace}.records SET kept_until = finished_at")
    assert await state_of(backend, one.token.id) is None
    for event in STEERING:
        (change,) = await backend.inspector.steer(event, [one.token.ref])
        assert change.refused is Refusal.GONE
    (answer,) = await backend.enqueue([job(id=one.token.id)])
    assert (answer_of(answer), answer.now) == (Refusal.KNOWN, None)


async def test_a_renewal_is_no_sign_of_life(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    """Neither of the job's own nor of another job of its owner, which another gap has renewed."""
    await put(backend, job(lease=10 * SECOND), job(lease=LONG))
    await backend.maintain(["default"])
    short, long = await claim(backend, 2)

    async def renewed_after(gap: int) -> int:
        back = gap * SECOND
        await connection.execute(f"UPDATE {namespace}.ticks SET at = at - {back}")
        return (await backend.maintain(["default"])).renewed

    assert [await renewed_after(gap) for gap in (5, 30, 30)] == [1, 1, 0]
    assert list((await backend.heartbeat([long.token])).lost) == []
    assert await renewed_after(30) == 2
    assert short.lease < long.lease


async def test_a_successor_that_was_left_behind_goes_on_beside_other_keys(
    backend: Backend, connection: Connection
) -> None:
    held = await running(backend, key="k")
    await running(backend, key="another")
    await running(backend, key="k", queue="another")
    successor = job(key="k", key_policy=KeyPolicy.REPLACE)
    async with connection.transaction():
        await backend.enqueue([successor], connection=connection)
        await ack(backend, succeeded(held))
    await backend.maintain(["default"])
    assert (await claim_one(backend)).token.id == successor.id


async def test_no_successor_goes_on_while_its_holder_lives(backend: Backend) -> None:
    held = await running(backend, key="k")
    successor = job(key="k", key_policy=KeyPolicy.REPLACE)
    await put(backend, successor, *numbered(2))
    await backend.maintain(["default"])
    assert await state_of(backend, successor.id) is State.WAITING
    assert await state_of(backend, held.token.id) is State.RUNNING


async def test_a_sleeper_is_rung_behind_many_others(
    backend: Backend, other: Backend, connection: Connection, namespace: str
) -> None:
    """Those of other queues, and those who were killed in their sleep, get no ring that is for a job's queue."""
    for name, queue, left in (("other", "other", LONG), ("dead", "default", 0)):
        await connection.execute(f"""
            INSERT INTO {namespace}.sleepers
            SELECT '{name}-' || n, '{{{queue}}}', {namespace}.now_us() + {left} FROM generate_series(1, 10) AS n
        """)
    for one in (job(), job(key="k")):
        await backend.wait(["default"], 0.01, ALICE)
        await put(other, one)
        asleep = f"SELECT process FROM {namespace}.sleepers WHERE process = $1"
        assert await connection.fetchval(asleep, ALICE) is None
        await claim_one(backend, process=BOB)


async def test_a_queue_is_unserved_whatever_the_state_of_its_only_job(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    held = [code for code, state in codes.STATES.items() if state not in {*FINISHED, State.BLOCKED}]
    await put(backend, *(job(queue=f"q{code}") for code in held))
    for settle in (succeeded, failed):
        await ack(backend, settle(await running(backend, queue=settle.__name__)))
    await connection.execute(f"""
        UPDATE {namespace}.jobs SET state = substr(queue, 2)::smallint,
          lapses = CASE queue WHEN 'q{codes.SOLITARY}' THEN {SOLITARY_AFTER} ELSE 0 END
    """)
    unserved = [*(f"q{code}" for code in held), "failed", "succeeded"]
    assert await backend.unserved() == sorted(unserved)
