"""Run the suite against every mutant; whoever weakens a guard must see red.

    python -m tests.mutants [--backend sqlite ...] [--only TEXT ...] [--list] [--jobs 4]

Prints how many there are, and the survivors. A survivor is accepted only if ``survivors.toml`` says why it can't
matter; an accepted one that is killed after all, or is gone, is reported, too. Exit code 1 if there is anything to do.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from queuekit.testing.servers import postgres_server
from tests.mutants.generate import mutants
from tests.mutants.plan import Plan, suite
from tests.mutants.trial import BACKENDS, Candidate

REASONS: Final[dict[str, str]] = {
    name: group["reason"]
    for group in tomllib.loads(Path(__file__).with_name("survivors.toml").read_text("utf-8"))[
        "survivors"
    ]
    for name in group["mutants"]
}

PYTEST: Final = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--no-cov", "--timeout=15")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=["sqlite", "redis", "postgres"])
    parser.add_argument("--only", nargs="*", default=[""], help="whose name has one of these")
    parser.add_argument("--list", action="store_true", help="say which there are, and run none")
    # Most of a test's time is waiting.
    parser.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1))
    options = parser.parse_args()
    wanted = [
        candidate
        for backend in options.backend or ["sqlite", "redis", "postgres"]
        for candidate in of_backend(backend)
        if any(text in candidate.name for text in options.only)
    ]
    print(f"{len(wanted)} mutants", flush=True)
    if options.list:
        print("\n".join(candidate.name for candidate in wanted))
        return 0
    alive: list[str] = []

    def tell(candidate: Candidate, killer: str | None) -> None:
        print(
            f"killed    {candidate.name}\n          by {killer}"
            if killer
            else f"survived  {candidate.name}",
            flush=True,
        )
        if not killer:
            alive.append(candidate.name)

    backends = {candidate.backend for candidate in wanted}
    with servers(backends):
        tests = [path for backend in backends for path in suite(backend)]
        status = pytest.main([*PYTEST, *tests], plugins=[Plan(wanted, REASONS, options.jobs, tell)])
    if status:
        raise SystemExit(f"the tests could not be collected: {status!r}")
    return report(alive, {candidate.name for candidate in wanted})


def of_backend(backend: str) -> Iterator[Candidate]:
    """All mutants of a backend's statements and scripts."""
    package = BACKENDS / f"queuekit_{backend}"
    for path in sorted([*package.rglob("*.sql"), *package.rglob("*.lua")]):
        for mutant in mutants(path):
            yield Candidate(backend, mutant)


@contextmanager
def servers(backends: set[str]) -> Iterator[None]:
    """One Postgres for all: its time limits end whatever loops. A Redis that loops is lost: each mutant has its own."""
    if "postgres" not in backends:
        yield
        return
    with postgres_server() as server:
        os.environ["QUEUEKIT_TEST_POSTGRES_URL"] = server.url
        yield


def report(alive: list[str], asked: set[str]) -> int:
    """Say what is left to do."""
    explained = [name for name in alive if name in REASONS]
    unexplained = [name for name in alive if name not in REASONS]
    stale = [name for name in REASONS if name in asked and name not in alive]
    print(
        f"\n{len(asked)} mutants, {len(asked) - len(alive)} killed, {len(explained)} survivors that can't matter:"
    )
    for reason in dict.fromkeys(REASONS[name] for name in explained):
        print("\n".join(f"  {name}" for name in explained if REASONS[name] == reason))
        print(f"      {reason}")
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
