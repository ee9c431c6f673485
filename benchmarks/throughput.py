"""How many jobs a second: bulk enqueue, one after the other, and processing by one `queuekit worker` process.

    python benchmarks/throughput.py [--backend sqlite ...] [--jobs 50000] [--runs 3] [--against FOLDER]

Servers are throwaway ones, durable as they come. With --against, scripts named ``bare_<backend>.py`` in that folder
run in turn with queuekit on the same server, and print JSON with the keys ``enqueue_bulk`` and ``process`` (jobs a
second): the loop without a framework. Medians and ratios are printed; the machine's noise is in the spread.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@contextmanager
def store(backend: str) -> Iterator[str]:
    from queuekit.testing import servers

    if backend == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/bench.db"
    elif backend == "redis":
        with servers.redis_server(appendonly="everysec") as server:
            yield server.url
    else:
        with servers.postgres_server(durable=True) as server:
            yield server.url


async def enqueue(jobs: int, singly: int) -> dict[str, float]:
    sys.path.insert(0, str(HERE))
    from bench_app import noop, qk

    async with qk:
        gc.collect()  # else it depends on what was imported whether a pass of the collector is timed
        start = time.perf_counter()
        for first in range(0, jobs, 1000):
            await qk.enqueue_many([noop.job(n) for n in range(first, min(first + 1000, jobs))])
        bulk = jobs / (time.perf_counter() - start)
        start = time.perf_counter()
        for n in range(singly):
            await noop.enqueue(n)
        return {"enqueue_bulk": bulk, "enqueue_sequential": singly / (time.perf_counter() - start)}


async def left() -> int:
    from bench_app import qk

    async with qk:
        unfinished = 0
        for queue in await qk.inspect.queues():
            unfinished += sum(n for state, n in queue.counts.items() if state != "succeeded")
        return unfinished


def ours(url: str, jobs: int, singly: int, concurrency: int) -> dict[str, float]:
    """One run in processes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        namespace = f"bench_{time.time_ns() % 10**9}"
        env = {
            **os.environ,
            "QUEUEKIT_URL": url,
            "QUEUEKIT_NAMESPACE": namespace,
            "BENCH_REPORT": str(report),
        }
        script = [sys.executable, __file__, "--one"]
        figures = json.loads(
            subprocess.run(
                [*script, "enqueue", str(jobs), str(singly)],
                env=env,
                check=True,
                stdout=subprocess.PIPE,
            ).stdout
        )
        worker = [sys.executable, "-m", "queuekit", "worker", "bench_app:qk", "--burst"]
        subprocess.run(
            [*worker, "--concurrency", str(concurrency), "--log-level", "error"],
            env=env,
            check=True,
            cwd=HERE,
        )
        done = json.loads(report.read_text())
        unfinished = int(
            subprocess.run([*script, "left"], env=env, check=True, stdout=subprocess.PIPE).stdout
        )
        assert done["ran"] == jobs + singly, done
        assert unfinished == 0, unfinished
        if url.startswith("sqlite"):
            for path in Path(url.removeprefix("sqlite:///")).parent.glob("bench.db*"):
                path.unlink()
        return {**figures, "process": done["ran"] / done["seconds"]}


def bare(script: Path, url: str, jobs: int) -> dict[str, float]:
    url += ".bare" if url.startswith("sqlite") else ""
    run = subprocess.run([sys.executable, script, url, str(jobs)], check=True, capture_output=True)
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def compare(backend: str, options: argparse.Namespace) -> None:
    runs: list[tuple[dict[str, Any], dict[str, Any]]] = []
    with store(backend) as url:
        for _ in range(options.runs):
            mine = ours(url, options.jobs, options.singly, options.concurrency)
            yardstick = (
                bare(options.against / f"bare_{backend}.py", url, options.jobs)
                if options.against
                else {}
            )
            runs.append((mine, yardstick))
    for name in ("enqueue_bulk", "enqueue_sequential", "process"):
        rates = [mine[name] for mine, _ in runs]
        line = f"{backend:9} {name:19} {statistics.median(rates):9,.0f}/s  [{min(rates):,.0f} to {max(rates):,.0f}]"
        if options.against:
            ratios = [mine[name] / yardstick[name] for mine, yardstick in runs]
            share = f"{statistics.median(ratios):.2f} [{min(ratios):.2f} to {max(ratios):.2f}]"
            line += f"   share of the bare loop {share}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=["sqlite", "redis", "postgres"])
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--singly", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--against", type=Path)
    parser.add_argument(
        "--one", nargs="+", help=argparse.SUPPRESS
    )  # one step in a process of its own
    options = parser.parse_args()
    match options.one:
        case ["enqueue", jobs, singly]:
            print(json.dumps(asyncio.run(enqueue(int(jobs), int(singly)))))
        case ["left"]:
            sys.path.insert(0, str(HERE))
            print(asyncio.run(left()))
        case _:
            for backend in options.backend or ["sqlite", "redis", "postgres"]:
                compare(backend, options)


if __name__ == "__main__":
    main()
