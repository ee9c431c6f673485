"""Mutants and the suite that must see them: pytest collects once, and a forked process tries each mutant."""

import json
import os
import shutil
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from _pytest.runner import runtestprotocol

from queuekit_postgres import statements as of_postgres
from queuekit_redis import scripts as of_redis
from queuekit_sqlite import statements as of_sqlite
from tests.mutants import uses
from tests.mutants.generate import Mutant

ROOT: Final = Path(__file__).parents[2]
BACKENDS: Final = ROOT / "backends"
LEFT_OUT: Final = {"test_memory.py", "test_pooler.py", "test_plans.py"}
"""The same cases again in memory or behind a pooler, and what sees a changed plan, whatever the statement does."""
LIMIT: Final = 900
"""Seconds for the suite with one mutant; each test has a limit of its own."""
FAMILIAR: Final = 40
NO_ANSWER: Final = "the suite, whose process died"


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
    """One process that runs tests until one fails.

    Attributes:
        candidate: None: nothing is changed, and the process notes which test uses what.
        suspect: the test that has failed once with this mutant, and runs alone.
    """

    backend: str
    candidate: Candidate | None
    suspect: str | None
    began: float = field(default_factory=time.monotonic)
    folder: TemporaryDirectory[str] = field(
        default_factory=lambda: TemporaryDirectory(prefix="queuekit-mutant-")
    )

    @property
    def answer(self) -> Path:
        return Path(self.folder.name) / "answer.json"


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
    _users: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """of each backend's parts: the tests that use them"""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        for backend in dict.fromkeys(candidate.backend for candidate in self.candidates):
            self._begin(session, Trial(backend, None, None))
        while self._running:
            self._end_one(session)
        left = list(reversed(self.candidates))
        while left or self._running:
            while left and len(self._running) < self.jobs:
                candidate = left.pop()
                self._begin(session, Trial(candidate.backend, candidate, None))
            self._end_one(session)
        return True

    def _begin(self, session: pytest.Session, trial: Trial) -> None:
        items = self._items(session, trial)
        pid = os.fork()
        if pid:
            self._running[pid] = trial
            return
        os.setsid()
        session.config.pluginmanager.unregister(name="terminalreporter")
        try:
            if trial.candidate:
                trial.candidate.put_in_place(Path(trial.folder.name))
            else:
                uses.record()
            trial.answer.write_text(json.dumps(_run(items)))
        finally:
            os._exit(0)

    def _end_one(self, session: pytest.Session) -> None:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if not pid:
            time.sleep(0.01)
            for leader, trial in self._running.items():
                if time.monotonic() - trial.began > LIMIT:
                    os.killpg(leader, signal.SIGKILL)
            return
        trial = self._running.pop(pid)
        if trial.answer.exists():
            failing, verbs = json.loads(trial.answer.read_text())
        else:
            failing, verbs = NO_ANSWER, {}
        trial.folder.cleanup()
        if trial.candidate is None:
            if failing:
                raise RuntimeError(f"without any mutant this fails: {failing}")
            self._note_users(trial.backend, verbs)
        elif failing and failing in {trial.suspect, NO_ANSWER}:
            self._kills[trial.candidate.mutant.path][failing] += 1
            self.tell(trial.candidate, failing)
        elif failing or trial.suspect:
            self._begin(session, Trial(trial.backend, trial.candidate, failing))
        else:
            self.tell(trial.candidate, None)

    def _note_users(self, backend: str, verbs_by_test: dict[str, list[str]]) -> None:
        parts = uses.parts(BACKENDS / f"queuekit_{backend}")
        users: defaultdict[str, set[str]] = defaultdict(set)
        for test, verbs in verbs_by_test.items():
            for verb in verbs:
                for part in parts[verb]:
                    users[part].add(test)
        self._users[backend] = users

    def _items(self, session: pytest.Session, trial: Trial) -> list[pytest.Item]:
        """Those that use what is mutated; first those that saw relatives of the mutant, or are named like it."""
        if trial.suspect:
            return [item for item in session.items if item.nodeid == trial.suspect]
        paths = suite(trial.backend)
        own = [item for item in session.items if item.nodeid.partition("::")[0] in paths]
        if trial.candidate is None:
            return own
        mutant = trial.candidate.mutant
        users = self._users[trial.backend].get(uses.part(mutant))
        seen = Counter[str]()
        for kills in self._kills.values():
            seen.update(kills)
        ranked = [*self._kills[mutant.path].most_common(), *seen.most_common(FAMILIAR)]
        rank = {test: number for number, (test, _) in reversed(list(enumerate(ranked)))}
        words = mutant.path.stem.split("_")

        def place(item: pytest.Item) -> tuple[int, int]:
            known = rank.get(item.nodeid, len(ranked))
            return known, -sum(word in item.nodeid for word in words)

        return sorted((item for item in own if not users or item.nodeid in users), key=place)


def _run(items: Sequence[pytest.Item]) -> tuple[str | None, dict[str, list[str]]]:
    """Run tests until one fails: which, and the verbs that each has used, if that is recorded."""
    verbs: dict[str, list[str]] = {}
    for item, following in zip(items, [*items[1:], None], strict=True):
        uses.used.clear()
        reports = runtestprotocol(item, nextitem=following, log=False)
        verbs[item.nodeid] = sorted(uses.used)
        if any(report.failed for report in reports):
            # Let the session's fixtures end their servers.
            item.session._setupstate.teardown_exact(None)
            return item.nodeid, verbs
    return None, verbs
