"""``--processes N``, as an operator meets it: real processes, killed and signalled."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from queuekit import Handle, Queuekit
from queuekit.loading import load_app

APP = """
import os, signal, sys, time
from pathlib import Path
from queuekit import Queuekit

qk = Queuekit()

@qk.task
async def whoami() -> int:
    return os.getpid()

@qk.task
def block(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()

@qk.task(timeout=600)
async def block_the_loop() -> None:
    Path("blocked").touch()
    time.sleep(600)

@qk.on_startup
def perhaps_die() -> None:
    if Path("die").exists():
        with Path("deaths").open("a") as deaths:
            deaths.write("x")
        sys.exit(7)
"""


class Supervised:
    """A supervisor and the processes under it."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "queuekit", "worker", "app:qk", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._seen: set[psutil.Process] = set()

    def started(self) -> int:
        """Wait for the next worker that starts; its pid."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            event = json.loads(line)
            if event["event"] == "started":
                self._seen.add(psutil.Process(event["pid"]))
                return int(event["pid"])
        raise AssertionError("it has ended")

    def ended(self, seconds: float = 30) -> int:
        """Wait for its end; the exit code. All its workers have ended by then."""
        code = self.process.wait(seconds)
        assert not [worker for worker in self._seen if worker.is_running()]
        return code

    def log(self) -> list[dict[str, Any]]:
        """What it logged until its end."""
        assert self.process.stderr is not None
        return [json.loads(line) for line in self.process.stderr]

    def clear_away(self) -> None:
        """End what a failed test has left."""
        self.process.kill()
        for worker in self._seen:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        self.process.communicate()


Start = Callable[..., Supervised]


@pytest.fixture
def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEUEKIT_URL", f"sqlite:///{tmp_path}/queue.db")
    (tmp_path / "app.py").write_text(APP)
    with ExitStack() as stack:

        def start(*arguments: str) -> Supervised:
            supervised = Supervised(arguments)
            stack.callback(supervised.clear_away)
            return supervised

        yield start


@pytest.fixture
def qk(supervise: Start, tmp_path: Path) -> Queuekit:
    """The app, as a producer has it."""
    return load_app(f"{tmp_path}/app.py:qk")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def enqueue(qk: Queuekit, name: str, **arguments: object) -> Handle[Any]:
    task: Any = qk.tasks.find(name)
    handle: Handle[Any] = await task.enqueue(**arguments)
    return handle


async def running(job: Handle[Any]) -> None:
    async with asyncio.timeout(30):
        while await job.status() != "running":
            await asyncio.sleep(0.02)


async def test_several_processes_run_the_jobs(supervise: Start, qk: Queuekit) -> None:
    supervised = supervise("--processes", "2", "--concurrency", "1")
    pids = {supervised.started(), supervised.started()}

    async with qk:
        jobs = [await enqueue(qk, "block", seconds=0.3) for _ in range(4)]
        assert {await job.result(30) for job in jobs} == pids

    supervised.process.terminate()
    assert supervised.ended() == 0


async def test_the_dead_are_replaced(supervise: Start, qk: Queuekit) -> None:
    supervised = supervise("--processes", "2")
    first, second = supervised.started(), supervised.started()

    os.kill(first, signal.SIGKILL)
    third = supervised.started()

    assert third not in {first, second}
    assert psutil.pid_exists(second)
    supervised.process.terminate()
    assert supervised.ended() == 0
    assert [line["how"] for line in supervised.log() if "how" in line] == ["signal 9"]


async def test_one_that_is_told_to_end_is_replaced(supervise: Start) -> None:
    supervised = supervise("--processes", "2")
    first, second = supervised.started(), supervised.started()

    os.kill(first, signal.SIGTERM)

    assert supervised.started() not in {first, second}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_jobs_end(
    supervise: Start, qk: Queuekit, number: signal.Signals
) -> None:
    supervised = supervise("--processes", "2")
    pids = {supervised.started(), supervised.started()}
    async with qk:
        job = await enqueue(qk, "block", seconds=0.7)
        await running(job)

        # As a terminal's Ctrl-C or a service manager does it: parent and children get it alike.
        for pid in (*pids, supervised.process.pid):
            os.kill(pid, number)

        assert supervised.ended() == 0
        assert await job.status() == "succeeded"


async def test_a_second_signal_stops_at_once(supervise: Start, qk: Queuekit) -> None:
    supervised = supervise("--processes", "2", "--grace", "10m")
    supervised.started()
    supervised.started()
    async with qk:
        job = await enqueue(qk, "block", seconds=600)
        await running(job)

        supervised.process.terminate()
        await asyncio.sleep(0.05)
        supervised.process.terminate()

        assert supervised.ended() == 0
        info = await job.info()
        assert (info.state, info.attempt) == ("ready", 0)


async def test_one_that_does_not_listen_is_killed(supervise: Start, qk: Queuekit) -> None:
    supervised = supervise("--processes", "2", "--grace", "0")
    supervised.started()
    supervised.started()
    async with qk:
        await enqueue(qk, "block_the_loop")
        await until(Path("blocked").exists)

    supervised.process.terminate()
    await asyncio.sleep(0.05)
    supervised.process.terminate()

    assert supervised.ended() == 1


async def test_workers_end_with_their_supervisor(supervise: Start) -> None:
    supervised = supervise("--processes", "2")
    pids = [supervised.started(), supervised.started()]

    supervised.process.kill()

    supervised.process.wait()
    await until(lambda: not any(map(alive, pids)))


async def test_even_those_whose_loop_is_blocked(supervise: Start, qk: Queuekit) -> None:
    supervised = supervise("--processes", "2", "--grace", "0")
    pids = [supervised.started(), supervised.started()]
    async with qk:
        await enqueue(qk, "block_the_loop")
        await until(Path("blocked").exists)

    supervised.process.kill()

    supervised.process.wait()
    await until(lambda: not any(map(alive, pids)))


async def test_a_burst_ends_when_all_have_ended(supervise: Start, qk: Queuekit) -> None:
    async with qk:
        jobs = [await enqueue(qk, "whoami") for _ in range(20)]

        assert supervise("--processes", "2", "--burst").ended() == 0

        assert [await job.status() for job in jobs] == ["succeeded"] * 20


@pytest.mark.timeout(600)
async def test_workers_that_never_start_are_one_error(supervise: Start) -> None:
    Path("die").touch()

    supervised = supervise("--processes", "2")

    assert supervised.ended(570) == 1
    errors = [line for line in supervised.log() if line.get("level") == "error"]
    assert [line["how"] for line in errors] == ["exit code 7"]
    assert "giving up" in errors[0]["event"]
    assert 4 <= len(Path("deaths").read_text()) <= 8


async def test_one_process_has_no_supervisor(supervise: Start) -> None:
    supervised = supervise("--processes", "1")

    assert supervised.started() == supervised.process.pid


def test_wrong_settings_are_said_once(supervise: Start) -> None:
    command = [sys.executable, "-m", "queuekit", "worker", "--processes", "2"]

    for arguments, says in (
        (["app:nothing"], "has no 'nothing'"),
        (["app:qk", "--url", "sqlite://"], "in memory, which 2 processes can't share"),
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert says in line


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
