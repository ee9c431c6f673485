"""Jobs in child processes: results, deaths, timeouts, cancellation."""

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from queuekit import ConfigurationError, Handle, JobCancelled, JobFailed, Queuekit, State
from queuekit.errors import BackendRefused
from queuekit.location import location_of
from tests.waiting import eventually
from tests.worker.faults import Fault
from tests.worker.processes import alive

APP = """
import asyncio, ctypes, multiprocessing, os, signal, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from typing import Any
import __main__
if hasattr(__main__, "LINE_LIMIT"):
    __main__.LINE_LIMIT = 200_000
from queuekit import Context, GiveUp, Queuekit, Snooze, fixed

qk = Queuekit({url!r}, namespace={namespace!r})
started = []

@qk.on_startup
async def begin():
    started.append("yes")

@qk.task(executor="process")
def who(n: int) -> list[int]:
    print("a task may print")
    return [os.getpid(), n]

@qk.task(executor="process")
async def hooks(ctx: Context) -> list[str]:
    await ctx.log("from the child")
    await ctx.progress(0.5)
    return started

@qk.task(executor="process", backoff=fixed(0), max_attempts=2)
def broken() -> None:
    raise ValueError("in the child")

@qk.task(executor="process")
async def dies(how: str) -> None:
    if how == "exit":
        os._exit(3)
    ctypes.string_at(0)

@qk.task(executor="process", timeout=0.2, max_attempts=1)
def hangs() -> None:
    time.sleep(60)

@qk.task(executor="process", timeout=0.2, max_attempts=1)
async def waits() -> None:
    await asyncio.sleep(60)

@qk.task(executor="process")
async def endless(marker: str) -> None:
    open(marker, "w").close()
    await asyncio.sleep(60)

@qk.task(executor="process")
async def chatty(ctx: Context, marker: str) -> None:
    open(marker, "w").close()
    while True:
        for n in range(20):
            ctx.progress(n / 20)
            time.sleep(0.005)
        await asyncio.sleep(0)

@qk.task(executor="process", max_crashes=1)
async def dies_while_it_speaks(ctx: Context) -> None:
    pipe = ctx._run._owner.report.__self__
    pipe._out.write(b'{{"outcome": ["Succeeded", "')
    pipe._out.flush()
    os._exit(4)

@qk.task(executor="process")
async def forgets(marker: str) -> str:
    open(marker, "w").close()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "finished all the same"

@qk.task(executor="process")
async def stubborn(marker: str) -> None:
    open(marker, "w").close()
    time.sleep(60)

@qk.on_shutdown
def end():
    if "ENDED" in os.environ:
        with open(os.environ["ENDED"], "a") as file:
            file.write(f"{{os.getpid()}}\\n")

@qk.task(executor="process")
def reads_and_prints() -> str:
    print("printed")
    os.write(1, b"written")
    return sys.stdin.read()

@qk.task(executor="process", max_crashes=1)
def harms_its_pipes(how: str) -> None:
    for pipe in range(3, 256):
        try:
            os.close(pipe) if how == "closed" else os.write(pipe, b"garbage\\n")
        except OSError:
            pass

@qk.task(executor="process", max_attempts=1)
def large(size: int) -> str:
    return "x" * size

@qk.task(executor="process", max_attempts=1)
def unencodable(what: str) -> Any:
    if what == "cycle":
        found = []
        found.append(found)
        return found
    return object() if what == "object" else chr(0xD800)

@qk.task(executor="process", max_crashes=1)
def killed_with_a_helper(marker: str) -> None:
    if os.fork() == 0:
        open(marker, "w").write(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    while not os.path.exists(marker) or not open(marker).read():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

@qk.task(executor="process")
def ends_with_a_helper(marker: str) -> str:
    if os.fork() == 0:
        open(marker, "w").write(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    return "ended"

def square(n: int) -> int:
    return n * n

@qk.task(executor="process")
def pools() -> list[int]:
    with multiprocessing.Pool(2) as pool:
        return pool.map(square, range(4))

@qk.task(executor="process")
async def pools_of_the_loop() -> list[int]:
    with ProcessPoolExecutor(2) as pool:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(loop.run_in_executor(pool, square, n) for n in range(4))))

@qk.task(executor="process")
async def subprocesses() -> list[str]:
    process = await asyncio.create_subprocess_exec("cat", stdout=-1)
    out, _ = await process.communicate()
    return [out.decode(), subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout]

@qk.task(executor="process", max_attempts=1)
async def gives_up() -> None:
    raise GiveUp("in the child")

@qk.task(executor="process", max_attempts=1)
async def sleepy(marker: str) -> int:
    if os.path.exists(marker):
        return 7
    open(marker, "w").close()
    raise Snooze(0.01)
"""


@pytest.fixture
def app(url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name = f"app_{uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(APP.format(url=url, namespace=namespace))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONFAULTHANDLER", "")
    return importlib.import_module(name)


async def test_it_runs_elsewhere_and_the_child_is_reused(app: ModuleType) -> None:
    async with app.qk, app.qk.worker(children=1):
        jobs = [await app.who.enqueue(n) for n in range(3)]
        results = [await job.result(timeout=50) for job in jobs]
    assert [n for _, n in results] == [0, 1, 2]
    (child,) = {pid for pid, _ in results}
    assert child != os.getpid()


async def test_the_child_runs_the_hooks_and_reports(app: ModuleType) -> None:
    async with app.qk, app.qk.worker():
        job = await app.hooks.enqueue()
        assert await job.result(timeout=50) == ["yes"]
        info = await job.info()
    assert info.logs == ("from the child",)
    assert info.progress == {"value": 0.5, "note": None}


async def test_errors_come_through_with_their_traceback(app: ModuleType) -> None:
    async with app.qk, app.qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): ValueError: in the child") as failed:
            await (await app.broken.enqueue()).result(timeout=50)
        with pytest.raises(JobFailed, match=r"\(gave_up\): GiveUp: in the child"):
            await (await app.gives_up.enqueue()).result(timeout=50)
    assert len(failed.value.errors) == 2
    assert "raise ValueError" in failed.value.errors[0].traceback


@pytest.mark.parametrize(("how", "death"), [("exit", "exit code 3"), ("segfault", "signal 11")])
async def test_a_death_is_the_jobs_own_and_the_third_one_fails_it(
    app: ModuleType, how: str, death: str
) -> None:
    async with app.qk, app.qk.worker(children=1):
        job = await app.dies.enqueue(how)
        neighbour = await app.who.enqueue(5)
        with pytest.raises(JobFailed, match=rf"\(crashed\): ChildProcessError: .*{death}"):
            await job.result(timeout=50)
        assert (await neighbour.result(timeout=50))[1] == 5
        info = await job.info()
    assert (info.crashes, info.lapses, info.attempt) == (3, 0, 0)


@pytest.mark.parametrize("task", ["hangs", "waits"])
async def test_a_timeout_ends_it(app: ModuleType, task: str) -> None:
    async with app.qk, app.qk.worker():
        with pytest.raises(JobFailed, match=r"\(timeout\): TimeoutError: .*timeout of 0.2 s"):
            await (await getattr(app, task).enqueue()).result(timeout=50)


async def test_it_is_cancelled(app: ModuleType, tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    async with app.qk, app.qk.worker():
        job = await app.endless.enqueue(str(marker))
        while not marker.exists():
            await asyncio.sleep(0.01)
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job.result(timeout=50)


async def test_a_snooze_comes_through(app: ModuleType, tmp_path: Path) -> None:
    async with app.qk, app.qk.worker():
        job = await app.sleepy.enqueue(str(tmp_path / "marker"))
        assert await job.result(timeout=50) == 7


async def test_stopping_releases_what_runs_in_children(app: ModuleType, tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    async with app.qk:
        job = await app.endless.enqueue(str(marker))
        async with app.qk.worker(grace=0):
            while not marker.exists():
                await asyncio.sleep(0.01)
        info = await job.info()
    assert (info.state, info.attempt, info.crashes) == (State.READY, 0, 0)


async def test_a_death_in_the_middle_of_an_outcome_is_a_death(app: ModuleType) -> None:
    async with app.qk, app.qk.worker():
        job = await app.dies_while_it_speaks.enqueue()
        with pytest.raises(JobFailed, match=r"\(crashed\): ChildProcessError: .*exit code 4"):
            await job.result(timeout=50)
        assert (await (await app.who.enqueue(5)).result(timeout=50))[1] == 5


@pytest.mark.parametrize("task", ["chatty", "stubborn"])
async def test_what_a_child_says_of_a_job_that_was_given_to_others_is_dropped(
    app: ModuleType,
    another: Callable[[], Queuekit],
    tmp_path: Path,
    task: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("queuekit.worker.children.KILL_AFTER", 0.5)
    async with app.qk, another() as elsewhere:
        faults = [
            Fault(await app.qk.backend(), verb, BackendRefused)
            for verb in ("heartbeat", "maintain")
        ]
        async with app.qk.worker(lease=0.5) as worker:
            job = await getattr(app, task).enqueue(str(tmp_path / "begun"))
            await eventually((tmp_path / "begun").exists, within=20)
            await elsewhere.inspect.pause("default")
            other = await elsewhere.backend()

            async def lapsed() -> bool:
                await other.maintain(["default"])
                return bool((await job.info()).lapses == 1)

            await eventually(lapsed)
            for fault in faults:
                fault.over()
            await eventually(lambda: "0 running" in repr(worker))
            await job.cancel()
            await elsewhere.inspect.resume("default")
            assert (await (await app.who.enqueue(5)).result(timeout=50))[1] == 5
        info = await job.info()
    assert (info.crashes, info.errors) == (0, ())


async def test_a_child_that_does_not_stop_is_ended(
    app: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.children.KILL_AFTER", 0.2)
    async with app.qk, app.qk.worker():
        job = await app.stubborn.enqueue(str(tmp_path / "begun"))
        await eventually((tmp_path / "begun").exists, within=20)
        await job.cancel()
        with pytest.raises(JobCancelled, match="cancelled on request"):
            await job.result(timeout=50)


async def test_stopping_ends_a_child_that_does_not_stop_and_releases_its_job(
    app: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.children.KILL_AFTER", 0.2)
    async with app.qk:
        job = await app.stubborn.enqueue(str(tmp_path / "begun"))
        async with app.qk.worker(grace=0):
            await eventually((tmp_path / "begun").exists, within=20)
        info = await job.info()
    assert (info.state, info.attempt, info.crashes) == (State.READY, 0, 0)


async def test_a_job_that_finishes_though_it_was_cancelled_has_finished(
    app: ModuleType, tmp_path: Path
) -> None:
    async with app.qk, app.qk.worker():
        job = await app.forgets.enqueue(str(tmp_path / "begun"))
        await eventually((tmp_path / "begun").exists, within=20)
        await job.cancel()
        assert await job.result(timeout=50) == "finished all the same"


async def test_stdin_is_empty_and_stdout_is_stderr(
    app: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    async with app.qk, app.qk.worker():
        assert await (await app.reads_and_prints.enqueue()).result(timeout=50) == ""
    printed = capfd.readouterr()
    for text in ("written", "printed"):
        assert text in printed.err
        assert text not in printed.out


@pytest.mark.parametrize("how", ["closed", "written to"])
async def test_pipes_that_a_task_has_spoilt_are_its_own_death(app: ModuleType, how: str) -> None:
    async with app.qk, app.qk.worker(children=1):
        job = await app.harms_its_pipes.enqueue(how)
        with pytest.raises(JobFailed, match=r"\(crashed\): ChildProcessError: .* died"):
            await job.result(timeout=50)
        assert (await (await app.who.enqueue(5)).result(timeout=50))[1] == 5


async def test_what_is_too_large_or_no_json_is_told(app: ModuleType) -> None:
    async with app.qk, app.qk.worker(children=1):
        assert len(await (await app.large.enqueue(150_000)).result(timeout=50)) == 150_000
        with pytest.raises(
            JobFailed, match=r"\(invalid_result\): .*does not fit into 200,000 bytes"
        ):
            await (await app.large.enqueue(300_000)).result(timeout=50)
        for what in ("object", "cycle", "surrogate"):
            with pytest.raises(JobFailed, match=r"\(invalid_result\)"):
                await (await app.unencodable.enqueue(what)).result(timeout=50)
        assert (await (await app.who.enqueue(5)).result(timeout=50))[1] == 5


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """Where a helper leaves its pid; it is ended."""
    marker = tmp_path / "helper"
    yield marker
    with suppress(ProcessLookupError):
        os.kill(int(marker.read_text()), signal.SIGKILL)


async def test_a_death_is_seen_though_a_forked_helper_has_the_pipes(
    app: ModuleType, marker: Path
) -> None:
    async with app.qk, app.qk.worker(children=1):
        job = await app.killed_with_a_helper.enqueue(str(marker))
        with pytest.raises(JobFailed, match=r"\(crashed\): .*signal 9"):
            await job.result(timeout=50)
        assert alive(int(marker.read_text()))
        assert (await (await app.who.enqueue(5)).result(timeout=50))[1] == 5


async def test_a_helper_that_lives_on_holds_no_place(app: ModuleType, marker: Path) -> None:
    async with app.qk, app.qk.worker(children=1):
        assert await (await app.ends_with_a_helper.enqueue(str(marker))).result(timeout=50)
        assert (await (await app.who.enqueue(5)).result(timeout=50))[1] == 5
    assert alive(int(marker.read_text()))


async def test_processes_of_a_childs_own(app: ModuleType) -> None:
    async with app.qk, app.qk.worker(children=1):
        jobs = [await task.enqueue() for task in (app.pools, app.pools_of_the_loop)]
        assert [await job.result(timeout=50) for job in jobs] == [[0, 1, 4, 9]] * 2
        assert await (await app.subprocesses.enqueue()).result(timeout=50) == ["", "hello\n"]


async def test_idle_children_run_their_shutdown_hooks(
    app: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDED", str(tmp_path / "ended"))
    async with app.qk, app.qk.worker(children=1):
        child, _ = await (await app.who.enqueue(5)).result(timeout=50)
    assert (tmp_path / "ended").read_text().split() == [str(os.getpid()), str(child)]


async def test_where_no_child_can_be_started_its_job_waits_and_others_run(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    @qk.task(executor="process")
    def isolated() -> None: ...

    @qk.task
    async def task() -> str:
        return "done"

    async with qk, qk.worker():
        with capture_logs() as lines:
            job = await isolated.enqueue()
            await eventually(lambda: "error" in [line["log_level"] for line in lines])
            assert await (await task.enqueue()).result(timeout=50) == "done"
            await eventually(lambda: has_state(job, State.SCHEDULED))
        (error,) = [line["error"] for line in lines if line["log_level"] == "error"]
        assert "make the Queuekit object a global variable" in error
        assert (await job.info()).attempt == 0


async def has_state(job: Handle[Any], state: State) -> bool:
    return await job.status() is state


def test_the_app_is_found_again(app: ModuleType) -> None:
    assert location_of(app.qk.tasks) == (app.__name__, "qk")
    assert sys.modules[app.__name__] is app


def test_an_app_that_children_can_not_find_says_so() -> None:
    qk = Queuekit("sqlite://")

    @qk.task
    def task() -> None: ...

    with pytest.raises(ConfigurationError, match="make the Queuekit object a global variable"):
        location_of(qk.tasks)
