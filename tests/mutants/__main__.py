"""Run the conformance suite against every mutant; whoever weakens a guard must see red.

    python -m tests.mutants [--backend sqlite ...] [--only TEXT] [--list] [--jobs 2]

Prints how many there are, and the survivors. A survivor is accepted only if ``survivors.toml`` says why it can't
matter; an accepted one that is killed after all, or is gone, is reported, too. Exit code 1 if there is anything to do.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from queuekit.testing.servers import postgres_server, redis_server
from tests.mutants.generate import Mutant, mutants

ROOT = Path(__file__).parents[2]
BACKENDS = ROOT / "backends"
REASONS: dict[str, str] = tomllib.loads(
    Path(__file__).with_name("survivors.toml").read_text("utf-8")
)
LIMIT = 300


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=["sqlite", "redis", "postgres"])
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument("--list", action="store_true", help="say which there are, and run none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    wanted = [
        (backend, mutant)
        for backend in options.backend or ["sqlite", "redis", "postgres"]
        for mutant in of_backend(backend)
        if options.only in mutant.name(BACKENDS)
    ]
    print(f"{len(wanted)} mutants", flush=True)
    if options.list:
        print("\n".join(mutant.name(BACKENDS) for _, mutant in wanted))
        return 0
    with (
        servers({backend for backend, _ in wanted}) as env,
        ThreadPoolExecutor(options.jobs) as pool,
    ):
        running = [pool.submit(survives, backend, mutant, env) for backend, mutant in wanted]
        alive = [name for one in running if (name := one.result())]
    return report(alive, {mutant.name(BACKENDS) for _, mutant in wanted})


def of_backend(backend: str) -> Iterator[Mutant]:
    """All mutants of a backend's statements and scripts."""
    package = BACKENDS / f"queuekit_{backend}"
    for path in sorted([*package.rglob("*.sql"), *package.rglob("*.lua")]):
        yield from mutants(path)


@contextmanager
def servers(backends: set[str]) -> Iterator[dict[str, str]]:
    """One server a backend for all mutants: each test has a namespace of its own."""
    with ExitStack() as stack:
        env = dict(os.environ)
        if "redis" in backends:
            env["QUEUEKIT_TEST_REDIS_URL"] = stack.enter_context(redis_server()).url
        if "postgres" in backends:
            env["QUEUEKIT_TEST_POSTGRES_URL"] = stack.enter_context(postgres_server()).url
        yield env


def survives(backend: str, mutant: Mutant, env: dict[str, str]) -> str | None:
    """The mutant's name if the suite stays green with it."""
    with tempfile.TemporaryDirectory() as folder:
        package = BACKENDS / f"queuekit_{backend}"
        copy = Path(folder) / package.name
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        changed = copy / mutant.path.relative_to(package)
        changed.write_text(mutant.applied(mutant.path.read_text("utf-8")), "utf-8")
        suite = [f"tests/conformance/test_{backend}.py", f"tests/backends/{backend}"]
        try:
            run = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-x",
                    "-q",
                    "-p",
                    "no:randomly",
                    "--no-cov",
                    "--timeout=20",
                    *suite,
                ],
                cwd=ROOT,
                env={**env, "PYTHONPATH": folder},
                capture_output=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            alive = False
        else:
            alive = run.returncode == 0
    name = mutant.name(BACKENDS)
    print("survived" if alive else "killed  ", name, flush=True)
    return name if alive else None


def report(alive: list[str], asked: set[str]) -> int:
    """Say what is left to do."""
    explained = [name for name in alive if name in REASONS]
    unexplained = [name for name in alive if name not in REASONS]
    stale = [name for name in REASONS if name in asked and name not in alive]
    print(
        f"\n{len(asked)} mutants, {len(asked) - len(alive)} killed, {len(explained)} survivors that can't matter:"
    )
    for name in explained:
        print(f"  {name}\n      {REASONS[name]}")
    for title, names in (
        ("survivors without a reason", unexplained),
        ("reasons for what is killed", stale),
    ):
        if names:
            print(f"\n{len(names)} {title}:")
            print("\n".join(f"  {name}" for name in names))
    return 1 if unexplained or stale else 0


if __name__ == "__main__":
    sys.exit(main())
