"""Mutants and the suite that must see them: pytest collects once, and a forked process tries each mutant."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

from queuekit_postgres import statements as of_postgres
from queuekit_redis import scripts as of_redis
from queuekit_sqlite import statements as of_sqlite
from tests.mutants.generate import Mutant

ROOT: Final = Path(__file__).parents[2]
BACKENDS: Final = ROOT / "backends"
LEFT_OUT: Final = {"test_memory.py", "test_plans.py"}
"""The same code again in memory, and what sees a changed plan, whatever the statement does."""
LIMIT: Final = 900
"""Seconds for the suite with one mutant; each test has a limit of its own."""
FAMILIAR: Final = 40


def suite(backend: str) -> list[str]:
    """The paths of the tests that must see a backend's mutants."""
    own = sorted((ROOT / "tests" / "backends" / backend).glob("test_*.py"))
    paths = [ROOT / "tests" / "conformance" / f"test_{backend}.py", *own]
    return [str(path.relative_to(ROOT)) for path in paths if path.name not in LEFT_OUT]


@dataclass(frozen=True)
class Candidate:
    """A mutant of a backend."""

    backend: str
    mutant: Mutant

    @property
    def name(self) -> str:
        return self.mutant.name(BACKENDS)

    def put_in_place(self, folder: Path) -> None:
        """Make a copy of the backend with this change, and let this process and its children use it."""
        package = BACKENDS / f"queuekit_{self.backend}"
        copy = folder / package.name
        shutil.copytree(package, copy)
        changed = copy / self.mutant.path.relative_to(package)
        text = self.mutant.applied(changed.read_text("utf-8"))
        changed.write_text(text, "utf-8")
        os.environ["PYTHONPATH"] = str(folder)
        match self.backend:
            case "sqlite":
                table = {"sql": of_sqlite.SQL, "schema": of_sqlite.MIGRATIONS}[changed.parent.name]
                table[changed.stem] = text  # type: ignore[index]
            case "redis":
                setattr(of_redis, "LUA", copy / "lua")  # noqa: B010
                of_redis.script.cache_clear()
            case _:
                setattr(of_postgres, "_FOLDER", copy)  # noqa: B010


@dataclass
class Trial:
    """One process that runs tests until one fails."""

    candidate: Candidate
    pid: int
    answer: int
    began: float
    suspect: str | None
    folder: tempfile.TemporaryDirectory[str]


@dataclass
class Trials:
    """A plugin that runs the collected tests against mutants instead of running them once.

    Args:
        candidates: to try.
        jobs: how many at once.
        tell: hears of each candidate, and which test has failed with it, twice, so that it was not by chance; None if
            the suite stayed green.
    """

    candidates: Sequence[Candidate]
    jobs: int
    tell: Callable[[Candidate, str | None], None]
    _kills: defaultdict[Path, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _running: dict[int, Trial] = field(default_factory=dict)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        left = list(reversed(self.candidates))
        while left or self._running:
            while left and len(self._running) < self.jobs:
                self._begin(session, left.pop(), None)
            self._end_one(session)
        return True

    def _begin(self, session: pytest.Session, candidate: Candidate, suspect: str | None) -> None:
        items = list(self._items(session, candidate, suspect))
        ours, childs = os.pipe()
        folder = tempfile.TemporaryDirectory(prefix="queuekit-mutant-")
        pid = os.fork()
        if not pid:
            os.setsid()
            session.config.pluginmanager.unregister(name="terminalreporter")
            candidate.put_in_place(Path(folder.name))
            os.write(childs, json.dumps(_failing(items)).encode())
            sys.stdout.flush()
            os._exit(0)
        os.close(childs)
        self._running[pid] = Trial(candidate, pid, ours, time.monotonic(), suspect, folder)

    def _end_one(self, session: pytest.Session) -> None:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if not pid:
            time.sleep(0.01)
            for trial in self._running.values():
                if time.monotonic() - trial.began > LIMIT:
                    os.killpg(trial.pid, signal.SIGKILL)
            return
        trial = self._running.pop(pid)
        with os.fdopen(trial.answer) as answer:
            text = answer.read()
        trial.folder.cleanup()
        killer = json.loads(text) if text else "the suite, whose process died"
        if killer and killer != trial.suspect and text:
            self._begin(session, trial.candidate, killer)
            return
        if killer:
            self._kills[trial.candidate.mutant.path][killer] += 1
        elif trial.suspect:
            self._begin(session, trial.candidate, None)
            return
        self.tell(trial.candidate, killer)

    def _items(
        self, session: pytest.Session, candidate: Candidate, only: str | None
    ) -> Iterator[pytest.Item]:
        """Those first that saw relatives of the mutant, or are named like it."""
        if only:
            yield from (item for item in session.items if item.nodeid == only)
            return
        seen = Counter[str]()
        for kills in self._kills.values():
            seen.update(kills)
        path = candidate.mutant.path
        ranked = [*self._kills[path].most_common(), *seen.most_common(FAMILIAR)]
        rank = {test: number for number, (test, _) in reversed(list(enumerate(ranked)))}
        words = path.stem.split("_")

        def place(item: pytest.Item) -> tuple[int, int]:
            known = rank.get(item.nodeid, len(ranked))
            return known, -sum(word in item.nodeid for word in words)

        paths = suite(candidate.backend)
        own = [item for item in session.items if item.nodeid.partition("::")[0] in paths]
        yield from sorted(own, key=place)


def _failing(items: Sequence[pytest.Item]) -> str | None:
    """Run tests until one fails; which."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        reports = runtestprotocol(item, nextitem=following, log=False)
        if any(report.failed for report in reports):
            # Let the session's fixtures end their servers.
            item.session._setupstate.teardown_exact(None)
            return item.nodeid
    return None
