"""Bad input and bad days: each has one clear message that says what to do."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from queuekit import BackendUnavailable, ConfigurationError, Handle, Queuekit
from queuekit.task import AsyncTask
from queuekit.testing.servers import postgres_server, redis_server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["redis", "postgres"])
async def test_a_server_that_is_down_at_the_start(scheme: str) -> None:
    port = free_port()

    with pytest.raises(BackendUnavailable, match=rf"(?i){port}") as error:
        await Queuekit(f"{scheme}://user:hunter2@127.0.0.1:{port}/0").open()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("kind", ["redis", "postgres"])
async def test_a_server_that_goes_down_later_and_comes_back(kind: str) -> None:
    start = {
        "redis": lambda: redis_server(appendonly="always", own=True),
        "postgres": lambda: postgres_server(own=True),
    }
    with start[kind]() as server:
        qk = Queuekit(server.url)

        @qk.task
        async def task(n: int) -> int:
            return n

        async with qk:
            before = await task.enqueue(1)
            server.kill()
            # Whether the request was still sent is chance: then it is repeated until the server is back.
            during = asyncio.ensure_future(_until_stored(task, 2))
            await asyncio.sleep(0)
            with pytest.raises(BackendUnavailable):
                await Queuekit(server.url).open()
            server.start()
            after = await during
            await qk.run_worker(burst=True)
            assert await before.result(timeout=50) == 1
            assert await after.result(timeout=50) == 2


async def _until_stored(task: AsyncTask[[int], int], n: int) -> Handle[int]:
    while True:
        try:
            return await task.enqueue(n)
        except BackendUnavailable:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:////nowhere/at/all/queue.db", "(?i)nowhere/at/all"),
        ("redis://127.0.0.1:notaport", "(?i)port"),
        ("postgres://127.0.0.1:99999999/x", "(?i)port"),
    ],
)
async def test_a_url_that_leads_nowhere(url: str, message: str) -> None:
    with pytest.raises((ConfigurationError, BackendUnavailable), match=message):
        await Queuekit(url).open()


async def test_no_task_no_worker() -> None:
    with pytest.raises(ConfigurationError, match="no task, so there is no queue to serve"):
        await Queuekit("sqlite://").run_worker(burst=True)


def test_enqueue_sync_works_after_a_fork(tmp_path: Path) -> None:
    qk = Queuekit(f"sqlite:///{tmp_path}/queue.db")

    @qk.task
    async def task(n: int) -> int:
        return n

    task.enqueue_sync(0)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, str(task.enqueue_sync(1).id).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    child = os.read(reader, 100).decode()
    os.close(reader)
    task.enqueue_sync(2)

    async def ids() -> set[str]:
        async with qk:
            return {str(job.id) for job in await qk.inspect.list()}

    found = asyncio.run(ids())
    assert child in found
    assert len(found) == 3
    qk.close_sync()


IN_GREEN_THREADS = """
from queuekit import Queuekit

qk = Queuekit("sqlite://")

@qk.task
async def task(n: int) -> int:
    return n

job = qk.handle("01900000-0000-7000-8000-000000000000")
for call in (lambda: task.enqueue_sync(1), lambda: task.enqueue_sync(2), job.result_sync):
    try:
        print(call())
    except RuntimeError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("patch", "library"),
    [
        ("import gevent.monkey; gevent.monkey.patch_all()", "gevent"),
        ("import gevent.monkey; gevent.monkey.patch_all(thread=False)", "gevent"),
        ("import eventlet; eventlet.monkey_patch()", "eventlet"),
    ],
)
def test_sync_calls_among_green_threads_say_why_not(patch: str, library: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", patch + IN_GREEN_THREADS],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 3, run.stderr
    for line in lines:
        assert f"need an event loop in a real thread, and {library} has replaced" in line
        assert "gunicorn -k gthread" in line


def test_gevent_that_has_patched_nothing_is_no_obstacle() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import gevent.monkey, eventlet.patcher"
            + IN_GREEN_THREADS.replace(", job.result_sync", ""),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.count("<Handle of job") == 2, run.stdout + run.stderr
