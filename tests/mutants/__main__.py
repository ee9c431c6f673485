"""Run the suite against every mutant; whoever weakens a guard must see red.

    python -m tests.mutants [--backend sqlite ...] [--only TEXT] [--list] [--jobs 4]

Prints how many there are, and the survivors. A survivor is accepted only if ``survivors.toml`` says why it can't
matter; an accepted one that is killed after all, or is gone, is reported, too. Exit code 1 if there is anything to do.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from queuekit.testing.servers import postgres_server
from tests.mutants.generate import Mutant, mutants
from tests.mutants.trial import BACKENDS, Trials

REASONS: Final[dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("survivors.toml").read_text("utf-8")
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=["sqlite", "redis", "postgres"])
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument("--list", action="store_true", help="say which there are, and run none")
    # Most of a test's time is waiting.
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    options = parser.parse_args()
    wanted = {
        backend: [one for one in of_backend(backend) if options.only in one.name(BACKENDS)]
        for backend in options.backend or ["sqlite", "redis", "postgres"]
    }
    print(f"{sum(map(len, wanted.values()))} mutants", flush=True)
    if options.list:
        print("\n".join(one.name(BACKENDS) for mutants in wanted.values() for one in mutants))
        return 0
    with environment(wanted) as variables, ThreadPoolExecutor(options.jobs) as pool:
        trials = {backend: Trials(backend, variables) for backend in wanted}
        running = [
            pool.submit(survives, trials[backend], mutant)
            for backend, mutants in wanted.items()
            for mutant in mutants
        ]
        alive = [name for one in running if (name := one.result())]
    return report(alive, {one.name(BACKENDS) for mutants in wanted.values() for one in mutants})


def of_backend(backend: str) -> Iterator[Mutant]:
    """All mutants of a backend's statements and scripts."""
    package = BACKENDS / f"queuekit_{backend}"
    for path in sorted([*package.rglob("*.sql"), *package.rglob("*.lua")]):
        yield from mutants(path)


@contextmanager
def environment(backends: dict[str, list[Mutant]]) -> Iterator[dict[str, str]]:
    """For the tests. One Postgres for all: its time limits end whatever loops; a Redis that loops is lost."""
    with ExitStack() as stack:
        variables = {}
        if backends.get("postgres"):
            variables["QUEUEKIT_TEST_POSTGRES_URL"] = stack.enter_context(postgres_server()).url
        yield variables


def survives(trials: Trials, mutant: Mutant) -> str | None:
    """The mutant's name if the suite stays green with it."""
    name, killer = mutant.name(BACKENDS), trials.killer(mutant)
    print(f"killed    {name}\n          by {killer}" if killer else f"survived  {name}", flush=True)
    return None if killer else name


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
