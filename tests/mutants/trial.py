"""One trial: a forked process in which mutants are in place and some of the collected tests run until one fails."""

import json
import os
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import pytest
from _pytest.runner import runtestprotocol

from queuekit.testing.conformance import _make
from queuekit_postgres import statements as of_postgres
from queuekit_redis.statements import lua as of_redis
from queuekit_sqlite import statements as of_sqlite
from tests.mutants import uses
from tests.mutants.generate import Mutant, applied

ROOT: Final = Path(__file__).parents[2]
BACKENDS: Final = ROOT / "backends"
LIMIT: Final = 900
LIMIT_OF_TEST: Final = 40
"""Seconds for a trial, and for each test in it: some mutants make a query go on for ever."""
PATIENCE: Final = 5.0
"""Many a mutant is seen by what does not come."""
NO_ANSWER: Final = "the suite, whose process died"


@dataclass(frozen=True)
class Candidate:
    """A mutant of a backend."""

    backend: str
    mutant: Mutant

    @property
    def name(self) -> str:
        return self.mutant.name(BACKENDS)


class Outcome(NamedTuple):
    """How a trial went.

    Attributes:
        failing: the test that failed, if one did.
        verbs: of each test, which verbs it has used, if that was recorded.
    """

    failing: str | None
    verbs: Mapping[str, Sequence[str]]


@dataclass
class Trial:
    """Some tests with all of some mutants in place; with none, which test uses what is recorded."""

    backend: str
    candidates: Sequence[Candidate]
    items: Sequence[pytest.Item]
    _folder: TemporaryDirectory[str] = field(
        default_factory=lambda: TemporaryDirectory(prefix="queuekit-mutant-")
    )
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + min(LIMIT, LIMIT_OF_TEST * (1 + len(self.items)))

    def begin(self) -> int:
        """Fork; the process's id, which leads a group of its own."""
        if pid := os.fork():
            return pid
        os.setsid()
        self.items[0].config.pluginmanager.unregister(name="terminalreporter")
        _make.PATIENCE = PATIENCE
        try:
            if self.candidates:
                put_in_place(self.backend, self.candidates, Path(self._folder.name))
            else:
                uses.record()
            self._answer.write_text(json.dumps(_run(self.items)))
        finally:
            os._exit(0)

    def hurry(self, pid: int) -> None:
        """End it if it takes too long."""
        if time.monotonic() > self._deadline:
            os.killpg(pid, signal.SIGKILL)

    def outcome(self) -> Outcome:
        """What its process, which has ended, left behind."""
        with self._folder:
            if not self._answer.exists():
                return Outcome(NO_ANSWER, {})
            return Outcome(*json.loads(self._answer.read_text()))

    @property
    def _answer(self) -> Path:
        return Path(self._folder.name) / "answer.json"


def put_in_place(backend: str, candidates: Iterable[Candidate], folder: Path) -> None:
    """Make a copy of the backend with these changes, and let this process and its children use it."""
    package = BACKENDS / f"queuekit_{backend}"
    copy = folder / package.name
    shutil.copytree(package, copy)
    changes: defaultdict[Path, list[Mutant]] = defaultdict(list)
    for candidate in candidates:
        changes[candidate.mutant.path].append(candidate.mutant)
    for path, mutants in changes.items():
        text = applied(mutants, path.read_text("utf-8"))
        (copy / path.relative_to(package)).write_text(text, "utf-8")
    os.environ["PYTHONPATH"] = str(folder)
    if backend == "sqlite":
        of_sqlite.SQL.update(of_sqlite.statements(copy))
        of_sqlite.MIGRATIONS.update(of_sqlite.migrations(copy))
    if backend == "redis":
        setattr(of_redis, "LUA", copy / "lua")  # noqa: B010
        of_redis.script.cache_clear()
    if backend == "postgres":
        setattr(of_postgres, "_FOLDER", copy)  # noqa: B010


def _run(items: Sequence[pytest.Item]) -> Outcome:
    verbs: dict[str, list[str]] = {}
    for item, following in zip(items, [*items[1:], None], strict=True):
        uses.used.clear()
        reports = runtestprotocol(item, nextitem=following, log=False)
        verbs[item.nodeid] = sorted(uses.used)
        if any(report.failed for report in reports):
            # Let the session's fixtures end their servers.
            item.session._setupstate.teardown_exact(None)
            return Outcome(item.nodeid, verbs)
    return Outcome(None, verbs)
