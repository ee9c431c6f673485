"""What its two statements tell those who wait."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from queuekit.backend import Backend
from queuekit.errors import JobNotFound
from queuekit.job import SUSPECT_AFTER, Claim, JobRef, new_id
from queuekit.testing.conformance._make import (
    ALICE,
    BOB,
    LONG,
    MILLISECOND,
    ack,
    job,
    lapse_times,
    put,
    running,
    succeeded,
)
from queuekit_postgres import PostgresBackend
from queuekit_postgres.connection import Connection

Register = Callable[..., Awaitable[None]]


@pytest.mark.parametrize("counting", [False, True])
async def test_suspects_are_work_only_if_they_count(
    backend: PostgresBackend, counting: bool
) -> None:
    """Who has no child process free for them would never sleep."""
    one = job()
    await put(backend, one)
    await lapse_times(backend, SUSPECT_AFTER, one)
    work, _, _ = await backend._waiting._look(ALICE, ["default"], suspects=counting)
    assert work is counting


async def test_nobody_gets_up_for_what_is_due_in_another_queue(backend: PostgresBackend) -> None:
    """A job that is overdue there, as nobody moves its time on, would never let him sleep."""
    await put(backend, job(queue="other", delay=MILLISECOND), job(delay=LONG))
    _, _, due_in = await backend._waiting._look(ALICE, ["default"], suspects=False)
    assert due_in is not None
    assert 0.9 * LONG < due_in <= LONG


async def test_who_asks_for_a_finished_job_does_not_wait(
    backend: PostgresBackend, connection: Connection, namespace: str
) -> None:
    one = await running(backend)
    await ack(backend, succeeded(one))
    await backend.results([one.token.ref], 5)
    with pytest.raises(JobNotFound):
        await backend.results([JobRef("default", new_id())], 5)
    assert await connection.fetchval(f"SELECT count(*) FROM {namespace}.waiters") == 0


class TestAHiddenRecord:
    """One past its retention is for those who waited for its job while an ack did not see them yet."""

    @pytest.fixture
    async def hidden(
        self, backend: PostgresBackend, connection: Connection, namespace: str
    ) -> Claim:
        one = await running(backend)
        await ack(backend, succeeded(one))
        await connection.execute(f"UPDATE {namespace}.records SET kept_until = finished_at")
        return one

    @pytest.fixture
    def register(self, connection: Connection, namespace: str) -> Register:
        async def register(id_: UUID, queue: str, name: str, since: int = 0) -> None:
            values = f"$1, $2, $3, {since}, {namespace}.now_us() + {LONG}"
            await connection.execute(
                f"INSERT INTO {namespace}.waiters VALUES ({values})", id_, queue, name
            )

        return register

    @pytest.fixture
    async def neighbours(self, backend: PostgresBackend, hidden: Claim, register: Register) -> None:
        """Others waited for it, and he waited for others."""
        me, id_ = backend._waiting._name, hidden.token.id
        for other in ((new_id(), "default", me), (id_, "other", me), (id_, "default", BOB)):
            await register(*other)

    @pytest.mark.usefixtures("neighbours")
    async def test_comes_to_him_who_waited(
        self, backend: PostgresBackend, hidden: Claim, register: Register
    ) -> None:
        await register(hidden.token.id, "default", backend._waiting._name)
        found = await backend.results([hidden.token.ref], 0.02)
        assert list(found) == [hidden.token.ref]

    @pytest.mark.usefixtures("neighbours")
    async def test_comes_to_nobody_else(self, backend: Backend, hidden: Claim) -> None:
        with pytest.raises(JobNotFound):
            await backend.results([hidden.token.ref], 0.02)

    async def test_comes_to_nobody_who_came_later(
        self, backend: PostgresBackend, hidden: Claim, register: Register
    ) -> None:
        await register(hidden.token.id, "default", backend._waiting._name, since=2**62)
        with pytest.raises(JobNotFound):
            await backend.results([hidden.token.ref], 0.02)
