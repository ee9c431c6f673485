"""Whatever tasks do to their worker's process: it stops when it is told to, and never only looks alive."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count, product
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest

from queuekit import Handle, Queuekit, State, Task
from tests.waiting import eventually
from tests.worker import stubborn
from tests.worker.processes import Fleet, alive
from tests.worker.stubborn import notes

APP = f"{stubborn.__file__}:qk"
GRACE = 0.3
BOUNDED = 12.0
"""Seconds in which a worker must end, on a busy machine."""
ENDED = {State.SUCCEEDED, State.FAILED, State.CANCELLED}

Start = Callable[..., Fleet]
ALONE = ("--processes", "1")
SUPERVISED = ("--processes", "2", "PLAIN")
"""PLAIN: on asyncio's own event loop."""


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/queue.db"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start workers on a store; what is still there after the test is killed."""
    monkeypatch.chdir(tmp_path)
    numbers = count()
    with ExitStack() as stack:

        def run(url: str, *arguments: str, **env: str) -> Fleet:
            env |= {name: "1" for name in arguments if name.isupper()}
            given = tuple(one for one in arguments if not one.isupper())
            fleet = Fleet(
                APP,
                ("--grace", f"{GRACE}s", *given),
                tmp_path / f"log-{next(numbers)}",
                QUEUEKIT_URL=url,
                **env,
            )
            stack.callback(fleet.clear_away)
            return fleet

        yield run


async def begun(*tasks: str) -> None:
    await eventually(lambda: all(map(notes, tasks)))


async def states(jobs: list[Handle[Any]]) -> dict[str, tuple[State, int]]:
    infos = [await job.info() for job in jobs]
    return {info.task: (info.state, info.attempt) for info in infos}


# Stopping ends

STUBBORN = (
    stubborn.swallows,
    stubborn.swallows_with_a_helper,
    stubborn.thread_hangs,
    stubborn.child_hears_nothing,
    stubborn.waits_for_a_thread,
)


@pytest.mark.parametrize(
    ("world", "hurried"), [(ALONE, False), (ALONE, True), (SUPERVISED, False), (SUPERVISED, True)]
)
async def test_a_worker_stops_whatever_its_tasks_do(
    start: Start, store: str, world: tuple[str, ...], hurried: bool
) -> None:
    fleet = start(store, *world, "--grace", "10m" if hurried else "300ms")
    async with Queuekit(store) as qk:
        jobs = [await qk.enqueue(task.job()) for task in STUBBORN]
        left = await qk.enqueue(stubborn.leaves_a_thread.job())
        await begun(*(task.name for task in STUBBORN), "leaves_a_thread")
        await eventually(lambda: has_state(left, State.SUCCEEDED))

        fleet.signal()
        if hurried:
            await eventually(lambda: fleet.logged("waiting for running jobs"))
            fleet.signal(signal.SIGINT)

        assert await fleet.ended(BOUNDED) == 0, fleet.text
        assert await states(jobs) == {task.name: (State.READY, 0) for task in STUBBORN}
    assert {line["task"] for line in fleet.logged("a task did not stop")} == {
        "swallows",
        "swallows_with_a_helper",
    }
    interrupted = [name for line in fleet.logged("interrupted jobs") for name in line["jobs"]]
    assert {name.split()[0] for name in interrupted} == {task.name for task in STUBBORN}
    (threads,) = fleet.logged("threads can't be stopped")
    assert [name.split()[0] for name in threads["jobs"]] == ["thread_hangs"]


async def has_state(job: Handle[Any], *among: State) -> bool:
    return await job.status() in among


async def test_a_task_that_swallows_is_not_gone_on_with_when_its_process_exits(
    start: Start, store: str
) -> None:
    fleet = start(store)
    async with Queuekit(store) as qk:
        job = await qk.enqueue(stubborn.swallows.job())
        await begun("swallows")

        fleet.signal()

        assert await fleet.ended(BOUNDED) == 0
        assert await job.status() is State.READY


@pytest.mark.parametrize(
    ("world", "how", "hurried"),
    [
        (ALONE, "sleep", False),
        (ALONE, "loop", True),
        (SUPERVISED, "lock", False),
        (SUPERVISED, "loop", True),
    ],
)
async def test_a_worker_whose_loop_is_blocked_stops_and_says_by_what(
    start: Start, store: str, world: tuple[str, ...], how: str, hurried: bool
) -> None:
    fleet = start(store, *world)
    async with Queuekit(store) as qk:
        job = await qk.enqueue(stubborn.blocks.job(how))
        await begun("blocks")

        fleet.signal()
        if hurried:
            fleet.signal(signal.SIGINT)

        assert await fleet.ended(BOUNDED) == 1
    (said,) = fleet.logged("the worker did not end as it was told; the process is ended")
    assert (said["level"], said["task"], said["job_id"]) == ("critical", "blocks", str(job.id))
    assert said["where"].startswith("stubborn.py:")
    assert said["where"].endswith("in blocks")


@pytest.mark.parametrize(("world", "how"), [(ALONE, "swallows"), (SUPERVISED, "waits")])
async def test_a_hook_that_hangs_is_named_and_not_waited_for(
    start: Start, store: str, world: tuple[str, ...], how: str
) -> None:
    fleet = start(store, *world, HOOK=how)
    await fleet.started(int(world[1]))

    fleet.signal()

    assert await fleet.ended(BOUNDED) == 0, fleet.text
    said = fleet.logged("a shutdown hook did not end; it is not waited for")
    assert {line["hook"].rpartition(".")[2] for line in said} == {"at_the_end"}
    # The hook that says so on stdout comes after the one that hangs.
    assert fleet.said("stopped") == len(fleet.pids)


async def test_a_hook_that_blocks_ends_the_process(start: Start, store: str) -> None:
    fleet = start(store, HOOK="blocks")
    await fleet.started()

    fleet.signal()

    assert await fleet.ended(BOUNDED) == 1
    (said,) = fleet.logged("the worker did not end as it was told")
    assert said["where"].endswith("in at_the_end")


async def test_a_task_that_replaces_the_handler_of_a_signal_does_not_make_the_worker_deaf(
    start: Start, store: str
) -> None:
    fleet = start(store)
    await fleet.started()
    async with Queuekit(store) as qk:
        job = await qk.enqueue(stubborn.replaces_handlers.job())
        await job.result(timeout=50)
    await eventually(lambda: fleet.logged("a task has replaced the handler of a signal"))

    fleet.signal()

    assert await fleet.ended(BOUNDED) == 0


async def test_signals_to_the_whole_group_leave_children_their_grace(
    start: Start, store: str
) -> None:
    fleet = start(store, "--grace", "30s")
    await fleet.started()
    async with Queuekit(store) as qk:
        job = await qk.enqueue(stubborn.child_ends_when_told.job())
        await begun("child_ends_when_told")
        for child in psutil.Process(fleet.pids[0]).children():
            for number in (signal.SIGINT, signal.SIGTERM):
                child.send_signal(number)
        fleet.signal()
        Path("go").touch()
        assert await fleet.ended(BOUNDED) == 0
        assert await job.result(timeout=1) == "done"


async def test_a_worker_whose_stderr_is_gone_still_has_its_grace(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reads, writes = os.pipe()
    async with Queuekit(store) as qk:
        job = await qk.enqueue(stubborn.child_ends_when_told.job())
        process = subprocess.Popen(
            [sys.executable, "-m", "queuekit", "worker", APP, "--grace", "30s"],
            env={**os.environ, "QUEUEKIT_URL": store},
            stderr=writes,
        )
        os.close(writes)
        os.close(reads)
        try:
            await begun("child_ends_when_told")
            process.terminate()
            Path("go").touch()
            assert await asyncio.to_thread(process.wait, BOUNDED) == 0
        finally:
            process.kill()
            process.wait()
        assert await job.result(timeout=1) == "done"


async def test_a_hook_that_hangs_at_the_start_does_not_keep_the_process(
    start: Start, store: str
) -> None:
    fleet = start(store, HOOK="waits to start")
    await begun("at_the_start")

    fleet.signal()

    assert await fleet.ended(BOUNDED) == 1
    assert fleet.logged("the worker did not end as it was told")


# A job is not handed on while it still runs


async def test_a_job_that_does_not_stop_is_not_handed_on_before_it_can_not_go_on(
    start: Start, url: str, namespace: str
) -> None:
    async with Queuekit(url, namespace=namespace) as qk:
        first = start(url, QUEUEKIT_NAMESPACE=namespace)
        for task in (stubborn.swallows, stubborn.child_counts):
            await qk.enqueue(task.job())
        await begun("swallows", "child_counts")
        second = start(url, QUEUEKIT_NAMESPACE=namespace)
        await second.started()

        first.signal()

        assert await first.ended(BOUNDED) == 0
        await eventually(lambda: len(set(by("swallows"))) == len(set(by("child_counts"))) == 2)
    for steps in (by("swallows"), by("child_counts")):
        assert steps == sorted(steps, key=steps.index)  # of the first none after one of the second


def by(name: str) -> list[str]:
    """The processes that have noted something, in order."""
    return [line.split()[0] for line in notes(name)]


# What ends the loop


PLACES = (
    stubborn.in_the_task,
    stubborn.after_a_wait,
    stubborn.in_a_helper,
    stubborn.in_a_helper_that_nobody_awaits,
    stubborn.in_a_callback,
    stubborn.in_a_thread,
)


@pytest.mark.parametrize(
    ("loop", "places"), [((), PLACES[::2]), (("PLAIN",), PLACES[1::2])], ids=["uvloop", "asyncio"]
)
@pytest.mark.parametrize("deed", [deed for deed in stubborn.DEEDS if deed != "os._exit"])
async def test_a_worker_goes_on_or_its_process_ends_with_a_reason(
    start: Start, tmp_path: Path, loop: tuple[str, ...], places: Sequence[Task[..., Any]], deed: str
) -> None:
    left = list(places)
    while left:
        url = f"sqlite:///{tmp_path}/{len(left)}.db"
        fleet = start(url, *loop)
        async with Queuekit(url) as qk:
            while left and fleet.code is None:
                job = await qk.enqueue(left.pop().job(deed))
                await eventually(lambda: fleet.code is not None or has_state(job, *ENDED))  # noqa: B023
                fresh = await qk.enqueue(stubborn.innocent.job())
                await eventually(lambda: fleet.code is not None or has_state(fresh, *ENDED))  # noqa: B023
            if fleet.code is not None:
                assert fleet.code == 1
                says_why(fleet, deed)


async def test_a_task_that_closes_all_generators_closes_none_of_the_workers(
    start: Start, store: str
) -> None:
    fleet = start(store)
    async with Queuekit(store) as qk:
        for _ in range(2):
            job = await qk.enqueue(stubborn.closes_generators.job())
            await job.result(timeout=50)
        innocent = await qk.enqueue(stubborn.innocent.job())
        await innocent.result(timeout=50)
    fleet.signal()
    assert await fleet.ended(BOUNDED) == 0


def says_why(fleet: Fleet, deed: str) -> None:
    (said,) = fleet.logged("the worker can't go on; its process is ended")
    assert said["level"] == "critical"
    assert {
        "stop the loop": "Event loop stopped",
        "cancel all tasks": "LoopEnded: other code of this process",
        "sys.exit": "in _exit",
        "KeyboardInterrupt": "in _interrupt",
    }[deed] in said["exception"]


async def test_the_jobs_are_named_that_ran_when_all_was_cancelled(start: Start, store: str) -> None:
    fleet = start(store)
    async with Queuekit(store) as qk:
        waits = await qk.enqueue(stubborn.waits_for_a_thread.job())
        await begun("waits_for_a_thread")
        await qk.enqueue(stubborn.in_a_callback.job("cancel all tasks"))

        assert await fleet.ended(BOUNDED) == 1
    (said,) = fleet.logged("the worker ends in the middle of its jobs")
    assert f"waits_for_a_thread {waits.id}" in said["jobs"]


async def test_a_process_that_a_task_has_ended_is_replaced(start: Start, store: str) -> None:
    fleet = start(store, "--processes", "2")
    await fleet.started(2)
    async with Queuekit(store) as qk:
        await qk.enqueue(stubborn.in_a_helper.job("os._exit"))
        await fleet.started(3)
        assert [line["how"] for line in fleet.logged("a worker process has ended")] == [
            "exit code 0"
        ]
        assert await (await qk.enqueue(stubborn.innocent.job())).result(20) in fleet.pids


# What forks

FORKS = (
    stubborn.fork_at_once,
    stubborn.fork_later,
    stubborn.fork_in_a_helper,
    stubborn.fork_in_a_helper_that_nobody_awaits,
    stubborn.fork_in_a_callback,
    stubborn.fork_in_a_thread,
    stubborn.fork_in_a_child,
    stubborn.fork_in_a_childs_thread,
)


@pytest.mark.parametrize("loop", [(), ("PLAIN",)], ids=["uvloop", "asyncio"])
async def test_a_forked_copy_never_goes_on_as_a_worker(
    start: Start, url: str, namespace: str, loop: tuple[str, ...]
) -> None:
    fleet = start(url, *loop, QUEUEKIT_NAMESPACE=namespace)
    async with Queuekit(url, namespace=namespace) as qk:
        jobs: list[Handle[Any]] = []
        for number, (fork, how) in enumerate(product(FORKS, stubborn.COPIES)):
            jobs.append(await qk.enqueue(stubborn.neighbour.job(number)))
            jobs.append(await qk.enqueue(fork.job(how)))
        for job in jobs:
            await job.result(30)
        assert await (await qk.enqueue(stubborn.innocent.job())).result(20) == fleet.process.pid
    neighbours = [line.split()[1] for line in notes("neighbours")]
    assert sorted(neighbours) == sorted(set(neighbours))
    assert len([line for line in notes("steps") if not line.endswith("copy")]) == len(jobs) // 2
    copies = [int(line.split()[0]) for line in notes("copies")]
    await eventually(lambda: not any(map(alive, copies)))
    fleet.signal()
    assert await fleet.ended(BOUNDED) == 0
    assert "critical" not in {line["level"] for line in fleet.lines}


@pytest.mark.parametrize("task", [stubborn.child_counts, stubborn.child_is_idle])
async def test_a_child_ends_with_its_worker_though_a_copy_of_that_lives_on(
    start: Start, store: str, task: Task[[], None]
) -> None:
    fleet = start(store)
    async with Queuekit(store) as qk:
        await qk.enqueue(task.job())
        await begun(task.name)
        await qk.enqueue(stubborn.leaves_a_copy.job())
        await begun("leaves_a_copy")
    child, copy = (int(notes(name)[0].split()[0]) for name in (task.name, "leaves_a_copy"))
    try:
        fleet.signal(signal.SIGKILL)
        await eventually(lambda: not alive(child), BOUNDED)
        assert alive(copy)
    finally:
        os.kill(copy, signal.SIGKILL)


@pytest.mark.parametrize("task", [stubborn.ends_copies, stubborn.child_ends_copies])
@pytest.mark.parametrize("world", [ALONE, SUPERVISED])
async def test_a_copy_that_is_ended_as_soon_as_it_is_made_ends(
    start: Start, store: str, world: tuple[str, ...], task: Task[[], None]
) -> None:
    start(store, *world)
    async with Queuekit(store) as qk:
        await (await qk.enqueue(task.job())).result(40)


# The watchdog


async def test_a_blocked_loop_is_told_while_it_lasts(start: Start, store: str) -> None:
    fleet = start(store)
    async with Queuekit(store) as qk:
        job = await qk.enqueue(stubborn.blocks_until_told.job())

        await eventually(lambda: fleet.logged("the event loop is blocked"))

        said = fleet.logged("the event loop is blocked")[0]
        assert (said["level"], said["task"], said["job_id"], said["attempt"]) == (
            "error", "blocks_until_told", str(job.id), "1 of 5"
        )  # fmt: skip
        assert said["where"].startswith("stubborn.py:")
        assert not fleet.logged("the event loop goes on")
        Path("go").touch()
        await eventually(lambda: fleet.logged("the event loop goes on"))
        await job.result(20)


async def test_a_process_that_stood_still_is_not_taken_for_a_blocked_loop(
    start: Start, store: str
) -> None:
    fleet = start(store)
    (pid,) = await fleet.started()
    async with Queuekit(store) as qk:
        await (await qk.enqueue(stubborn.innocent.job())).result(20)

        os.kill(pid, signal.SIGSTOP)
        stopped = monotonic()
        await eventually(lambda: monotonic() - stopped > 3.5)
        os.kill(pid, signal.SIGCONT)

        await (await qk.enqueue(stubborn.innocent.job())).result(20)
    fleet.signal()
    assert await fleet.ended(BOUNDED) == 0
    assert not fleet.logged("the event loop")
