import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from queuekit.backend import Backend, Refusal
from queuekit.errors import BackendRefused, InvalidOption
from queuekit.job import Ack, Job, JobRef, KeyPolicy, State
from queuekit.testing.conformance._make import (
    ALICE,
    LONG,
    MILLISECOND,
    REPLACED,
    STORED,
    ack,
    answer_of,
    answers_of,
    claim,
    claim_one,
    claims_nothing,
    eventually,
    job,
    numbered,
    put,
    record,
    running,
    state_of,
    succeeded,
)
from queuekit.times import LONGEST, LONGEST_DAYS
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import Connection
from queuekit_postgres.fetch.cursors import HIGHEST, LOWEST
from tests.backends.postgres.locks import is_waiting_for

FIRST = ("default", 1, ALICE, 1, LONG, 0, [LOWEST], [0], [HIGHEST])
"""Arguments of a claim of the first job in line."""


async def test_a_job_is_there_once_the_callers_transaction_commits(
    backend: Backend, connection: Connection
) -> None:
    one = job()
    async with connection.transaction():
        answers = await backend.enqueue([one], connection=connection)
        assert answer_of(answers[0]) is STORED
        await claims_nothing(backend)
    assert (await claim_one(backend)).token.id == one.id


async def test_a_rollback_takes_the_job_back(backend: Backend, connection: Connection) -> None:
    jobs = [job(key="k"), *numbered(10), job(delay=LONG), job(id=job().id)]
    undone = connection.transaction()
    await undone.start()
    await backend.enqueue(jobs, connection=connection)
    await undone.rollback()
    assert await backend.inspector.get([one.ref for one in jobs]) == [None] * len(jobs)
    await put(backend, job(key="k"))


async def test_a_commit_rings(backend: Backend, other: Backend, connection: Connection) -> None:
    async with connection.transaction():
        await other.enqueue([job()], connection=connection)
        waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
        await asyncio.sleep(0.05)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 0.9)


async def test_a_connection_of_a_pool_will_do(backend: Backend, postgres_url: str) -> None:
    async with (
        asyncpg.create_pool(postgres_url, min_size=1, max_size=1) as pool,
        pool.acquire() as pooled,
        pooled.transaction(),
    ):
        await backend.enqueue([job()], connection=pooled)
    await claim_one(backend)


async def test_without_a_transaction_it_is_refused(
    backend: Backend, connection: Connection
) -> None:
    with pytest.raises(InvalidOption, match="transaction"):
        await backend.enqueue([job()], connection=connection)
    with pytest.raises(InvalidOption, match="asyncpg"):
        await backend.enqueue([job()], connection=object())


async def test_errors_of_the_callers_connection_come_through(
    backend: Backend, connection: Connection
) -> None:
    with pytest.raises(asyncpg.CharacterNotInRepertoireError):
        async with connection.transaction():
            await backend.enqueue([job("\0")], connection=connection)


async def test_an_open_transaction_does_not_hold_up_the_ack_of_the_holder(
    backend: Backend, connection: Connection
) -> None:
    held = await running(backend, key="k")
    successor = job("2", key="k", key_policy=KeyPolicy.REPLACE)
    async with connection.transaction():
        (answer,) = await backend.enqueue([successor], connection=connection)
        assert (answer_of(answer), answer.now) == (STORED, State.WAITING)
        await asyncio.wait_for(ack(backend, succeeded(held)), 2)
    await backend.maintain(["default"])
    assert (await claim_one(backend)).payload == "2"


async def test_an_open_replacement_of_a_successor_does_not_hold_up_the_ack_of_the_holder(
    backend: Backend, connection: Connection
) -> None:
    held = await running(backend, key="k")
    await put(backend, replacing("2"))
    async with connection.transaction():
        (answer,) = await backend.enqueue([replacing("3")], connection=connection)
        assert (answer_of(answer), answer.now) == (REPLACED, State.WAITING)
        await asyncio.wait_for(ack(backend, succeeded(held)), 2)
        await claims_nothing(backend)
    await backend.maintain(["default"])
    assert (await claim_one(backend)).payload == "3"


async def test_successors_of_several_open_transactions_run_one_after_the_other(
    backend: Backend, connection: Connection, postgres_url: str
) -> None:
    held = await running(backend, key="k")
    second = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await backend.enqueue([replacing("2")], connection=connection)
        async with second.transaction():
            await backend.enqueue([replacing("3")], connection=second)
    await second.close()
    await ack(backend, succeeded(held))
    for payload in "23":
        one = await claim_one(backend)
        assert one.payload == payload
        await claims_nothing(backend)
        await ack(backend, succeeded(one))


async def test_a_ready_job_is_replaced_in_the_callers_transaction(
    backend: Backend, connection: Connection
) -> None:
    one = job("1", key="k")
    await put(backend, one)
    async with connection.transaction():
        (answer,) = await backend.enqueue([replacing("2")], connection=connection)
        assert (answer_of(answer), answer.holder) == (REPLACED, one.id)
        await claims_nothing(backend)
    assert (await claim_one(backend)).payload == "2"
    await claims_nothing(backend)


async def test_a_job_that_is_being_claimed_is_not_replaced(
    backend: PostgresBackend, connection: Connection, postgres_url: str
) -> None:
    """Though the same id is free in another queue."""
    one = job("1", key="k")
    await put(backend, one, job(id=one.id, queue="another", key="k"))
    second = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        async with second.transaction():
            await second.fetch(backend._statements["claim"], *FIRST)
            storing = backend.enqueue([replacing("2")], connection=connection)
            (answer,) = await asyncio.wait_for(storing, 2)
        assert (answer_of(answer), answer.now) == (STORED, State.WAITING)
    await second.close()
    found = await record(backend, JobRef("default", one.id))
    assert (found.state, found.job.payload) == (State.RUNNING, "1")


async def test_a_key_that_changes_hands_meanwhile_leads_to_its_new_holder(
    backend: PostgresBackend, connection: Connection, postgres_url: str, namespace: str
) -> None:
    """And that one is being claimed."""
    old, new = job("1", key="k"), job("2")
    await put(backend, old, new)
    second = await asyncpg.connect(postgres_url)
    await connection.execute(f"SET search_path = {namespace}")
    async with connection.transaction():
        await connection.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", old.id)
        storing = asyncio.create_task(backend.enqueue([replacing("3")]))
        await eventually(lambda: is_waiting_for(connection))
        async with second.transaction():
            await second.fetch(backend._statements["claim"], *FIRST)
            await connection.execute("DELETE FROM jobs WHERE id = $1", old.id)
            await connection.execute("UPDATE keys SET id = $1", new.id)
            await connection.execute("COMMIT; BEGIN")
            await eventually(lambda: is_waiting_for(second))
    (answer,) = await asyncio.wait_for(storing, 5)
    await second.close()
    assert (answer_of(answer), answer.now) == (STORED, State.WAITING)
    found = await record(backend, new.id)
    assert (found.state, found.job.payload) == (State.RUNNING, "2")


async def test_an_open_transaction_that_takes_over_a_key_does_not_hold_up_an_ack(
    backend: Backend, connection: Connection
) -> None:
    held = await running(backend, key="k", key_until=MILLISECOND)
    async with connection.transaction():
        (answer,) = await backend.enqueue([job(key="k")], connection=connection)
        assert answer_of(answer) is STORED
        await asyncio.wait_for(ack(backend, succeeded(held)), 2)


async def test_of_two_transactions_one_takes_over_a_key(
    backend: Backend, connection: Connection, postgres_url: str
) -> None:
    await running(backend, key="k", key_until=MILLISECOND)
    first, second = job(key="k"), job(key="k")
    late = await asyncpg.connect(postgres_url)
    async with connection.transaction(), late.transaction():
        await backend.enqueue([first], connection=connection)
        storing = asyncio.create_task(backend.enqueue([second], connection=late))
        await eventually(lambda: is_waiting_for(connection))
        await connection.execute("COMMIT; BEGIN")
        (answer,) = await asyncio.wait_for(storing, 5)
    await late.close()
    assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, first.id)


def replacing(payload: str) -> Job[Any]:
    return job(payload, key="k", key_policy=KeyPolicy.REPLACE)


async def test_atomic_names_the_guilty_one(backend: Backend) -> None:
    jobs = [*numbered(40), job("\0"), *numbered(9)]
    with pytest.raises(BackendRefused, match="Job 40 of the batch"):
        await backend.enqueue(jobs, atomic=True)
    await claims_nothing(backend)


async def test_the_sql_function_enqueues(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    sql = (
        f"SELECT {namespace}.enqueue('send', '{{\"to\": \"ada\"}}', queue => 'mail', priority => 3)"
    )
    made: UUID = await connection.fetchval(sql)
    assert made.version == 7
    one = await claim_one(backend, queue="mail")
    assert (one.token.id, one.task, one.max_attempts) == (made, "send", 5)
    assert one.payload == '{"v":1,"a":{"to": "ada"}}'


async def test_the_sql_function_knows_delays_and_keys(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    sql = f"SELECT {namespace}.enqueue('send', delay => '1 hour', key => 'k')"
    first = await connection.fetchval(sql)
    assert await connection.fetchval(sql) == first
    assert await state_of(backend, first) is State.SCHEDULED


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("'no name'", "Names of tasks and queues"),
        ("NULL", "Names of tasks and queues"),
        ("'send', queue => 'no name'", "Names of tasks and queues"),
        ("'send', queue => NULL", "Names of tasks and queues"),
        ("'send', '[1]'", "args must be a JSON object"),
        ("'send', NULL", "args must be a JSON object"),
        ("'send', priority => 101", "priority must be -100 to 100, not 101"),
        ("'send', priority => -101", "priority must be -100 to 100, not -101"),
        ("'send', priority => NULL", "priority must be"),
        (
            "'send', delay => '-1 second'",
            "delay must be an interval of 0 to 3660 days, not -00:00:01",
        ),
        (
            "'send', delay => '3661 days'",
            "delay must be an interval of 0 to 3660 days, not 3661 days",
        ),
        ("'send', delay => '58000 years'", "delay must be an interval of 0 to 3660 days"),
        ("'send', delay => NULL", "delay must be"),
        ("'send', max_attempts => 0", "max_attempts must be 1 to 32767, not 0"),
        ("'send', max_attempts => 32768", "max_attempts must be 1 to 32767, not 32768"),
        ("'send', max_attempts => NULL", "max_attempts must be"),
        ("'send', key => ''", "key must have 1 to 255 bytes"),
        ("'send', key => repeat('x', 256)", "key must have 1 to 255 bytes"),
    ],
)
async def test_the_sql_function_checks(
    backend: Backend, connection: Connection, namespace: str, args: str, message: str
) -> None:
    with pytest.raises(asyncpg.DataError, match=message):
        await connection.execute(f"SELECT {namespace}.enqueue({args})")


@pytest.mark.parametrize(
    "args",
    [
        "delay => '3660 days'", "delay => '0'", "priority => -100", "priority => 100", "max_attempts => 32767",
        "max_attempts => 1", "key => 'x'", "key => repeat('x', 255)",
    ],
)  # fmt: skip
async def test_the_sql_function_takes_what_python_takes(
    backend: Backend, connection: Connection, namespace: str, args: str
) -> None:
    assert await connection.fetchval(f"SELECT {namespace}.enqueue('send', {args})")


async def test_the_longest_delay_is_the_same_in_sql(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    made = await connection.fetchval(
        f"SELECT {namespace}.enqueue('send', delay => '{LONGEST_DAYS} days')"
    )
    found = await record(backend, made)
    assert found.times.scheduled_at == found.times.enqueued_at + LONGEST


async def test_a_trigger_enqueues(backend: Backend, connection: Connection, namespace: str) -> None:
    await connection.execute(f"""
        CREATE TABLE {namespace}.users (name text);
        CREATE FUNCTION {namespace}.welcome() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM {namespace}.enqueue('welcome', jsonb_build_object('name', NEW.name));
          RETURN NEW;
        END $$;
        CREATE TRIGGER welcome AFTER INSERT ON {namespace}.users
        FOR EACH ROW EXECUTE FUNCTION {namespace}.welcome();
        INSERT INTO {namespace}.users VALUES ('ada'), ('bob');
    """)
    assert {one.task for one in await claim(backend, 2)} == {"welcome"}


async def test_a_result_that_can_not_be_stored_fails_its_job_alone(backend: Backend) -> None:
    await put(backend, *numbered(20))
    claims = await claim(backend, 20)
    acks = [succeeded(one, '"\0"' if one.payload == "7" else "1") for one in claims]
    assert answers_of(await backend.ack(acks)).count(Refusal.UNSTORABLE) == 1
    (bad,) = (one for one in claims if one.payload == "7")
    (found,) = await backend.inspector.get([bad.token.ref])
    assert found is not None
    assert (found.state, found.life.reason) == (State.FAILED, "invalid_result")
    assert isinstance(acks[0], Ack)
