"""What idle workers cost: commands a second at Redis, transactions a second at Postgres, CPU time of the workers.

    python benchmarks/idle.py [--backend redis ...] [--workers 1 10 50] [--schedules 10000] [--seconds 60]
        [--build NAME=FOLDER ...] [--peer BACKEND:NAME=COMMAND ...]

Each worker is a process, each figure one of a throwaway server of its own, taken after a while of rest. A build is
another checkout of queuekit; a peer is a shell command that starts one worker of something else, with $HOST, $PORT and
$URL of the server. What scripts do inside of Redis does not count, nor what this program asks.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import asyncpg
import redis
from throughput import store

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")


class Kind(NamedTuple):
    """Something that is measured: its name, how one worker is started, and in which environment."""

    name: str
    command: str
    env: dict[str, str]
    ours: bool


class Cost(NamedTuple):
    """Of all workers together: what they sent, and their CPU time as a share of one core."""

    sent: float | None
    cpu: float

    def __str__(self) -> str:
        sent = "        -" if self.sent is None else f"{self.sent:7.2f}/s"
        return f"{sent}  {100 * self.cpu:6.2f} % CPU"


def measured(backend: str, url: str, kind: Kind, workers: int, options: argparse.Namespace) -> Cost:
    with ExitStack() as stack:
        processes = [stack.enter_context(started(kind, url)) for _ in range(workers)]
        time.sleep(options.rest + workers / 2)
        assert all(process.poll() is None for process in processes), "a worker has ended"
        with counted(backend, url) as sent:
            cpu, begun = sum(map(cpu_of, processes)), time.monotonic()
            time.sleep(options.seconds)
            passed = time.monotonic() - begun
            cpu = sum(map(cpu_of, processes)) - cpu
        return Cost(None if sent is None else sent() / passed, cpu / passed)


@contextmanager
def started(kind: Kind, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    parts = urlsplit(url)
    env = {**os.environ, **kind.env, "URL": url, "QUEUEKIT_URL": url}
    env |= {"HOST": parts.hostname or "", "PORT": str(parts.port or "")}
    process = subprocess.Popen(["exec " + kind.command], shell=True, env=env, cwd=HERE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_of(process: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def counted(backend: str, url: str) -> Iterator[Callable[[], int] | None]:
    match backend:
        case "redis":
            yield from commands(url)
        case "postgres":
            yield from transactions(url)
        case _:
            yield None


def commands(url: str) -> Iterator[Callable[[], int]]:
    seen: list[object] = []
    with redis.Redis.from_url(url, socket_timeout=None) as client, client.monitor() as monitor:

        def listen() -> None:
            try:
                seen.extend(one for one in monitor.listen() if one["client_type"] != "lua")
            except (redis.ConnectionError, ValueError, OSError):
                return

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield lambda: len(seen)


def transactions(url: str) -> Iterator[Callable[[], int]]:
    async def ask() -> int:
        connection = await asyncpg.connect(url)
        try:
            await asyncio.sleep(1.5)  # what sessions have done is told after a second
            return await connection.fetchval(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            )
        finally:
            await connection.close()

    before, own = asyncio.run(ask()), 3
    yield lambda: max(0, asyncio.run(ask()) - before - own)


async def schedule(url: str, number: int) -> None:
    from queuekit import Queuekit

    async with Queuekit(url) as qk:

        @qk.task
        async def noop(n: int) -> int:
            return n

        for n in range(number):
            await qk.schedules.upsert(
                f"s{n}", f"{n % 60} {n % 24} 1 1 *", noop.job(n), timezone="UTC"
            )


def kinds(backend: str, options: argparse.Namespace) -> Iterator[Kind]:
    worker = f"{sys.executable} -m queuekit worker bench_app:qk --log-level error"
    for name, folder in options.build:
        path = os.pathsep.join([folder, f"{folder}/backends", str(HERE)])
        yield Kind(name, worker, {"PYTHONPATH": path}, ours=True)
    yield Kind("queuekit", worker, {}, ours=True)
    for of, command in options.peer:
        its_backend, _, name = of.partition(":")
        if its_backend == backend:
            yield Kind(name, command, {}, ours=False)


def pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=["sqlite", "redis", "postgres"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--schedules", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rest", type=float, default=25)
    parser.add_argument("--build", type=pair, action="append", default=[])
    parser.add_argument("--peer", type=pair, action="append", default=[])
    options = parser.parse_args()
    for backend in options.backend or ["sqlite", "redis", "postgres"]:
        for workers in options.workers:
            for kind in kinds(backend, options):
                with store(backend) as url:
                    if options.schedules and kind.ours:
                        asyncio.run(schedule(url, options.schedules))
                    cost = measured(backend, url, kind, workers, options)
                print(f"{backend:9} {workers:3} of {kind.name:16} {cost}", flush=True)


if __name__ == "__main__":
    main()
