"""What becomes of a call that SQLite can't carry out."""

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from queuekit.backend import Backend, BackendSettings, Refusal
from queuekit.errors import BackendRefused, BackendUnavailable, InvalidOption, ReplyLost
from queuekit.testing.conformance._make import (
    STORED,
    ack,
    answer_of,
    claim,
    job,
    numbered,
    put,
    record,
    running,
    state_of,
    succeeded,
)
from queuekit_sqlite import SqliteBackend
from queuekit_sqlite.connection import Transaction

Make = Callable[..., Awaitable[Backend]]


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """While somebody else is writing."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def busy(backend: Backend) -> Iterator[None]:
    """While an earlier call keeps the thread."""
    done, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        done.wait()

    backend._store._thread.submit(work)  # type: ignore[attr-defined]
    assert begun.wait(10)
    try:
        yield
    finally:
        done.set()


async def test_a_lock_that_is_held_too_long(make_backend: Make, url: str, file: Path) -> None:
    backend = await make_backend(url, timeout=1.0)
    one = job()
    with locked(file):
        with pytest.raises(BackendUnavailable, match="was locked") as caught:
            await backend.enqueue([one])
        assert not isinstance(caught.value, ReplyLost)
        assert await state_of(backend, one.id) is None
    await put(backend, one)


async def test_a_lock_that_is_held_for_a_while(backend: Backend, file: Path) -> None:
    with locked(file):
        storing = asyncio.create_task(put(backend, job()))
        await asyncio.sleep(0.03)
        assert not storing.done()
    await storing


async def test_opening_waits_for_a_lock(backend: Backend, url: str, file: Path) -> None:
    late = SqliteBackend(url, BackendSettings(timeout=1.0))
    with locked(file), pytest.raises(BackendUnavailable, match="was locked"):
        await late.open()
    await late.open()
    await late.close()


async def test_a_call_that_was_not_begun_in_time_is_withdrawn(make_backend: Make, url: str) -> None:
    backend = await make_backend(url, timeout=0.5)
    one = job()
    with busy(backend), pytest.raises(BackendUnavailable, match="Nothing was stored") as caught:
        await backend.enqueue([one])
    assert not isinstance(caught.value, ReplyLost)
    assert await state_of(backend, one.id) is None


async def test_a_call_that_was_begun_and_is_late(make_backend: Make, url: str) -> None:
    backend = await make_backend(url, timeout=0.5)
    go_on = threading.Event()

    def slow(tx: Transaction) -> None:
        go_on.wait()

    with pytest.raises(ReplyLost):
        await backend._store.write(slow)  # type: ignore[attr-defined]
    go_on.set()


async def test_a_cancelled_call_leaves_the_backend_usable(backend: Backend) -> None:
    one, another = job(), job()
    with busy(backend):
        storing = asyncio.create_task(backend.enqueue([one]))
        await asyncio.sleep(0)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
    await put(backend, another)
    assert await state_of(backend, one.id) is None


async def test_a_full_disk(backend: Backend) -> None:
    """A limit on the number of pages gives the same error as a disk without room."""

    def limit(pages: int) -> None:
        backend._store._db.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    few = numbered(3)
    await put(backend, *few)
    limit(1)
    with pytest.raises(BackendRefused, match="full: make room"):
        await backend.enqueue(numbered(10_000))
    limit(1_000_000)
    claims = await claim(backend, 3)
    assert [await state_of(backend, one.id) for one in few] == ["running"] * 3
    await backend.ack([succeeded(one) for one in claims])


async def test_a_store_that_became_read_only(backend: Backend) -> None:
    backend._store._db.execute("PRAGMA query_only = 1")  # type: ignore[attr-defined]
    with pytest.raises(BackendRefused, match="check the permissions"):
        await backend.enqueue([job()])


async def test_any_other_error_is_none_of_the_drivers(backend: Backend) -> None:
    def wrong(tx: Transaction) -> None:
        tx._db.execute("SELECT 1 FROM nowhere")

    with pytest.raises(BackendRefused, match="no such table") as caught:
        await backend._store.read(wrong)  # type: ignore[attr-defined]
    assert isinstance(caught.value.__cause__, sqlite3.Error)


async def test_before_open_and_after_close(url: str) -> None:
    backend = SqliteBackend(url, BackendSettings())
    await backend.close()
    with pytest.raises(BackendUnavailable, match="open it first"):
        await backend.enqueue([job()])
    await backend.open()
    await backend.open()
    await backend.close()
    await backend.close()
    with pytest.raises(BackendUnavailable, match="open it first"):
        await backend.inspector.queues()


async def test_a_result_with_a_nul_is_not_cut(backend: Backend) -> None:
    one = await running(backend)
    await ack(backend, succeeded(one, '"a\0b"'))
    assert (await record(backend, one.token.id)).notes.result == '"a\0b"'


async def test_promises_that_it_can_not_make(backend: Backend) -> None:
    with pytest.raises(InvalidOption, match="no replicas"):
        await backend.enqueue([job(replicated=True)])
    with pytest.raises(InvalidOption, match="needs Postgres"):
        await backend.enqueue([job()], connection=object())


async def test_integers_beyond_64_bits_are_refused_alone(backend: Backend) -> None:
    good, bad = job(), job(priority=2**70)
    answers = await backend.enqueue([good, bad])
    assert [answer_of(answer) for answer in answers] == [STORED, Refusal.UNSTORABLE]
