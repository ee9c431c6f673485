"""What becomes of records, and of ids; the clock is moved on in the table."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from queuekit.backend import KEEP_FOR_WAITERS, Backend, Change, JobFilter, Refusal
from queuekit.errors import JobNotFound
from queuekit.job import Keep
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    DONE,
    LONG,
    MILLISECOND,
    ack,
    answers_of,
    eventually,
    failed,
    job,
    running,
    state_of,
    succeeded,
    sweep,
)


async def test_a_count_cuts_what_was_waited_for_after_a_minute(
    backend: Backend, file: Path
) -> None:
    one = await running(backend, keep=Keep(LONG, count=0))
    await backend.results([one.token.ref], 0.02)
    await ack(backend, succeeded(one))
    await backend.maintain(["default"])
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE jobs SET spared_until = spared_until - {KEEP_FOR_WAITERS}")
    await backend.maintain(["default"])
    assert await state_of(backend, one.token.id) is None


async def test_only_ids_of_records_that_go_are_kept_apart(backend: Backend, file: Path) -> None:
    gone, stays = await running(backend, task="gone"), await running(backend, task="stays")
    await ack(backend, failed(gone), failed(stays))
    assert await sweep(backend, Event.CLEAN, JobFilter(tasks=["gone"])) == 1
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT id FROM ids").fetchall() == [(gone.token.id.bytes,)]


@pytest.mark.parametrize("kinds", ["a.x a.y", "a.y a.x", "a.x b.x", "b.x a.x"])
async def test_records_of_every_kind_are_removed_when_their_time_comes(
    backend: Backend, file: Path, kinds: str
) -> None:
    """Rows and all, though nothing is added any more."""
    early, late = (kind.split(".") for kind in kinds.split())
    for (queue, task), age in ((early, 1), (late, 50), (late, 100)):
        one = await running(backend, queue=queue, task=task, keep=Keep(age * MILLISECOND))
        await ack(backend, succeeded(one))

    async def removed() -> bool:
        await backend.maintain(["a", "b"])
        with closing(sqlite3.connect(file)) as other:
            return not other.execute("SELECT seq FROM jobs").fetchall()

    await eventually(removed)


async def test_a_record_past_its_retention_is_not_seen_though_it_was_not_pruned_yet(
    backend: Backend, file: Path
) -> None:
    one = await running(backend)
    await ack(backend, succeeded(one))
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE jobs SET kept_until = 1")
    inspector, ref = backend.inspector, one.token.ref
    assert await inspector.get([ref]) == [None]
    assert await inspector.locate([ref.id]) == [None]
    assert await inspector.find(JobFilter()) == []
    assert [some async for some in inspector.refs(JobFilter())] == []
    with pytest.raises(JobNotFound):
        await backend.results([ref], 0)
    (change,) = await inspector.steer(Event.CLEAN, [ref])
    assert change.refused is Refusal.GONE
    (answer,) = await backend.enqueue([job(id=ref.id)])
    assert answer == Change(ref, None, None, refused=Refusal.KNOWN)
    assert answers_of(await backend.ack([succeeded(one)])) == [DONE]
