"""Jobs that have a slot and wait for a thread or a child: they can still be called off."""

import asyncio
import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import psutil
import pytest

from queuekit import Handle, JobCancelled, Queuekit, State
from queuekit.errors import BackendRefused
from queuekit.worker import children
from queuekit.worker.board import Board
from queuekit.worker.worker import Worker
from tests.waiting import eventually
from tests.worker.faults import Fault
from tests.worker.records import events, record_of

APP = """
import os, time
from pathlib import Path
from queuekit import Queuekit

qk = Queuekit({url!r}, namespace={namespace!r}, grace=5.0, lease=10.0)
here = Path({folder!r})

@qk.task(executor="process")
def pid() -> int:
    return os.getpid()

@qk.task(executor="process")
def stay(name: str) -> str:
    (here / name).touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    return name
"""


@pytest.fixture
def app(url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An app that children find, too."""
    name = f"app_{uuid4().hex[:8]}"
    code = APP.format(url=url, namespace=namespace, folder=str(tmp_path))
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(name)


class Threads:
    """A task whose first job holds the only thread until it is let go."""

    def __init__(self, qk: Queuekit) -> None:
        self.go = threading.Event()
        self.runs: list[str] = []

        @qk.task
        def task(name: str) -> str:
            self.runs.append(name)
            self.go.wait(30)
            return name

        self.task = task

    async def hold(self, worker: Worker) -> None:
        """Wait until the first job runs and another one waits."""
        await eventually(lambda: self.runs)
        await one_waits(worker)


@pytest.fixture
def threads(qk: Queuekit) -> Iterator[Threads]:
    made = Threads(qk)
    yield made
    made.go.set()


def board_of(worker: Worker) -> Board:
    assert worker._parts is not None
    return worker._parts.board


async def one_waits(worker: Worker) -> None:
    await eventually(lambda: worker._parts and board_of(worker).queued_inside == 1, within=20)


async def when_it_stops(worker: Worker, act: Callable[[], object]) -> None:
    await board_of(worker).stopping.wait()
    act()


async def test_a_job_that_waits_for_a_thread_is_cancelled_without_having_begun(
    qk: Queuekit, threads: Threads
) -> None:
    async with qk, qk.worker(threads=1) as worker:
        first, second = [await threads.task.enqueue(name) for name in ("first", "second")]
        await threads.hold(worker)

        await second.cancel()

        with pytest.raises(JobCancelled):
            await second.result(timeout=50)
        assert await first.status() is State.RUNNING
        threads.go.set()
        assert await first.result(timeout=50) == "first"
    assert threads.runs == ["first"]


async def test_a_job_that_waits_for_a_child_is_cancelled_without_having_begun(
    app: ModuleType, tmp_path: Path
) -> None:
    async with app.qk, app.qk.worker(children=1) as worker:
        first, second = [await app.stay.enqueue(name) for name in ("first", "second")]
        await one_waits(worker)
        await eventually((tmp_path / "first").exists, within=20)

        await second.cancel()

        with pytest.raises(JobCancelled):
            await second.result(timeout=50)
        assert await first.status() is State.RUNNING
        (tmp_path / "go").touch()
        assert await first.result(timeout=50) == "first"
    assert not (tmp_path / "second").exists()


async def test_a_thread_is_given_to_the_next_after_one_that_waited_in_vain(
    qk: Queuekit, threads: Threads
) -> None:
    async with qk, qk.worker(threads=1) as worker:
        jobs = [await threads.task.enqueue(name) for name in ("first", "second")]
        await threads.hold(worker)
        await jobs[1].cancel()
        await eventually(lambda: board_of(worker).queued_inside == 0)
        jobs.append(await threads.task.enqueue("third"))
        await threads.hold(worker)
        threads.go.set()
        assert await jobs[2].result(timeout=50) == "third"
    assert threads.runs == ["first", "third"]


async def test_a_job_whose_lease_went_to_others_while_it_waited_never_begins_here(
    qk: Queuekit, another: Callable[[], Queuekit], threads: Threads
) -> None:
    async with qk, another() as elsewhere:
        faults = [
            Fault(await qk.backend(), verb, BackendRefused) for verb in ("heartbeat", "maintain")
        ]
        async with qk.worker(threads=1, lease=0.5) as worker:
            jobs = [await threads.task.enqueue(name) for name in ("first", "second")]
            await threads.hold(worker)
            await elsewhere.inspect.pause("default")
            await both_rescued(elsewhere, jobs)
            for fault in faults:
                fault.over()
            await eventually(lambda: board_of(worker).queued_inside == 0)
            threads.go.set()
        record = await record_of(elsewhere, jobs[1])
    assert threads.runs == ["first"]
    assert (record.state, record.life.attempt, events(record)) == (State.READY, 0, ["lapse"])


async def both_rescued(elsewhere: Queuekit, jobs: list[Handle[Any]]) -> None:
    backend = await elsewhere.backend()

    async def lapsed() -> bool:
        await backend.maintain(["default"])
        return all([(await record_of(elsewhere, job)).life.lapses for job in jobs])

    await eventually(lapsed)


async def test_a_job_that_waited_longer_than_its_lease_is_released_instead_of_begun(
    qk: Queuekit, threads: Threads
) -> None:
    async with qk:
        for verb in ("heartbeat", "maintain"):
            Fault(await qk.backend(), verb, BackendRefused)
        async with qk.worker(threads=1, lease=0.5) as worker:
            jobs = [await threads.task.enqueue(name) for name in ("first", "second")]
            await threads.hold(worker)
            await qk.inspect.pause("default")
            (waiting,) = [
                run for run in board_of(worker).running if run.claim.token.id == jobs[1].id
            ]
            await eventually(lambda: waiting.age() > 0.5)
            threads.go.set()
            await eventually(lambda: is_ready(jobs[1]))
        record = await record_of(qk, jobs[1])
    assert threads.runs == ["first"]
    assert record.life.attempt == 0
    assert set(events(record)) == {"release"}


async def is_ready(job: Handle[Any]) -> bool:
    return await job.status() is State.READY


@pytest.mark.parametrize("grace", [0, 20])
async def test_a_worker_that_stops_releases_what_waits_for_a_thread(
    qk: Queuekit, threads: Threads, grace: int
) -> None:
    async with qk, asyncio.TaskGroup() as group:
        jobs = [await threads.task.enqueue(name) for name in ("first", "second")]
        async with qk.worker(threads=1, grace=grace) as worker:
            await threads.hold(worker)
            if grace:
                group.create_task(when_it_stops(worker, threads.go.set))
        records = [await record_of(qk, job) for job in jobs]
    assert threads.runs == ["first"]
    assert [record.state for record in records] == [
        State.SUCCEEDED if grace else State.READY,
        State.READY,
    ]
    assert (records[1].life.attempt, events(records[1])) == (0, ["release"])


async def test_a_worker_that_stops_releases_what_waits_for_a_child(
    app: ModuleType, tmp_path: Path
) -> None:
    async with app.qk, asyncio.TaskGroup() as group:
        jobs = [await app.stay.enqueue(name) for name in ("first", "second")]
        async with app.qk.worker(children=1, grace=60) as worker:
            await one_waits(worker)
            group.create_task(when_it_stops(worker, (tmp_path / "go").touch))
        records = [await record_of(app.qk, job) for job in jobs]
    assert [record.state for record in records] == [State.SUCCEEDED, State.READY]
    assert (records[1].life.attempt, events(records[1])) == (0, ["release"])
    assert not (tmp_path / "second").exists()


async def test_a_child_that_died_while_idle_is_no_fault_of_the_next_job(app: ModuleType) -> None:
    async with app.qk, app.qk.worker(children=1):
        first = await (await app.pid.enqueue()).result(timeout=50)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: not psutil.pid_exists(first))

        job = await app.pid.enqueue()

        assert await job.result(timeout=50) != first
        record = await record_of(app.qk, job)
    assert (record.life.crashes, events(record)) == (0, [])


class SlowStart:
    """Children that start, and are given to their job only when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.go = asyncio.Event(), asyncio.Event()
        self._start = children._Child.start
        monkeypatch.setattr(children._Child, "start", self)

    async def __call__(self, *where: Any) -> Any:
        child = await self._start(*where)
        self.started.set()
        try:
            await self.go.wait()
        except BaseException:
            await child.kill()
            raise
        return child


async def test_a_job_is_cancelled_while_its_child_starts(
    app: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowStart(monkeypatch)
    (tmp_path / "go").touch()
    async with app.qk, app.qk.worker(children=1) as worker:
        job = await app.stay.enqueue("job")
        await asyncio.wait_for(slow.started.wait(), 20)
        await job.cancel()
        await eventually(lambda: all(run.cancelled for run in board_of(worker).running))
        slow.go.set()

        with pytest.raises(JobCancelled):
            await job.result(timeout=50)
        assert not (tmp_path / "job").exists()

        # The child is as good as new.
        assert worker._parts is not None
        (child,) = worker._parts.children.all
        assert await (await app.pid.enqueue()).result(timeout=50) == child._process.pid


async def test_a_worker_stops_while_a_child_starts(
    app: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowStart(monkeypatch)
    async with app.qk:
        job = await app.stay.enqueue("job")
        async with app.qk.worker(grace=0):
            await asyncio.wait_for(slow.started.wait(), 20)
        record = await record_of(app.qk, job)
    assert (record.state, record.life.attempt, record.life.crashes) == (State.READY, 0, 0)
    assert events(record) == ["release"]
    assert not (tmp_path / "job").exists()
