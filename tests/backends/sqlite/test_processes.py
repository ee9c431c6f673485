"""Several processes on one file."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest

from queuekit.backend import Backend
from queuekit.job import JobRef, State
from queuekit.testing.conformance._make import claim, numbered, put, state_of

from .conftest import Start

Make = Callable[..., Awaitable[Backend]]


def ids(text: str) -> list[UUID]:
    return [UUID(word) for word in text.split()]


async def test_no_job_is_lost_or_claimed_twice(backend: Backend, start: Start) -> None:
    with ExitStack() as stack:
        producers = [stack.enter_context(start("enqueue", 20, 10)) for _ in range(2)]
        stored = [id_ for one in producers for id_ in ids(one.communicate()[0])]
    with ExitStack() as stack:
        workers = [stack.enter_context(start("work", name)) for name in ("ada", "bob")]
        ran = [id_ for one in workers for id_ in ids(one.communicate()[0])]
    assert len(ran) == len(stored) == 400
    assert set(ran) == set(stored)
    (queue,) = await backend.inspector.queues()
    assert queue.counts == {State.SUCCEEDED: 400}


async def test_a_kill_between_commits_loses_nothing(backend: Backend, start: Start) -> None:
    with start("enqueue", 100_000, 3) as producer:
        assert producer.stdout
        told = [ids(producer.stdout.readline()) for _ in range(5)]
        producer.kill()
        told += [ids(line) for line in producer.stdout if line.endswith("\n")]
    wanted = [JobRef("default", id_) for batch in told for id_ in batch]
    assert None not in await backend.inspector.get(wanted)


async def test_a_kill_within_a_transaction_leaves_no_trace(backend: Backend, start: Start) -> None:
    jobs = numbered(3)
    await put(backend, *jobs)
    with start("half_done") as process:
        assert process.stdout
        assert process.stdout.readline() == "half done\n"
    assert [await state_of(backend, one.id) for one in jobs] == [State.READY] * 3
    (queue,) = await backend.inspector.queues()
    assert queue.counts == {State.READY: 3}
    claims = await claim(backend, 3)
    assert [one.attempt for one in claims] == [1, 1, 1]


async def test_a_doorbell_rings_across_processes(
    backend: Backend, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # without ticks only a ring can end the wait
    monkeypatch.setattr("queuekit_sqlite.wait.TICK", 60)
    loop = asyncio.get_running_loop()
    lateness: list[float] = []
    with start("enqueue_when_told") as producer:
        assert producer.stdout
        assert producer.stdin
        assert await asyncio.to_thread(producer.stdout.readline) == "ready\n"
        for _ in range(5):
            waiting = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
            # a line too early finds nobody asleep, and the wait sees the job itself
            await asyncio.sleep(0.02)
            producer.stdin.write("\n")
            producer.stdin.flush()
            await asyncio.wait_for(waiting, 10)
            woken = loop.time()
            stored = float(await asyncio.to_thread(producer.stdout.readline))
            lateness.append(woken - stored)
            await claim(backend, 1)
    # the bound is 20 ms; a busy machine may spoil most tries, but not all
    assert min(lateness) < 0.02


async def test_a_lost_ring_is_made_up_for(
    backend: Backend, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with start("enqueue_when_told") as producer:
        assert producer.stdout
        assert producer.stdin
        assert await asyncio.to_thread(producer.stdout.readline) == "ready\n"
        waiting = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
        await asyncio.sleep(0.02)
        for bell in tmp_path.glob("queuekit-*"):
            bell.unlink()
        producer.stdin.write("\n")
        producer.stdin.flush()
        await asyncio.wait_for(waiting, 10)
