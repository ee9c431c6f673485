"""One mutant and the suite that must see it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.mutants.first import HINTS
from tests.mutants.generate import Mutant

ROOT: Final = Path(__file__).parents[2]
BACKENDS: Final = ROOT / "backends"
LIMIT: Final = 1200
"""Seconds for the whole suite; each test has a limit of its own."""
LEFT_OUT: Final = {"test_memory.py", "test_plans.py"}
"""The same code again in memory, and what sees a changed plan, whatever the statement does."""
FAILURE: Final = re.compile(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", re.MULTILINE)
PYTEST: Final = (
    sys.executable,
    "-m",
    "pytest",
    "-x",
    "-q",
    "-rfE",
    "-p",
    "no:randomly",
    "--no-cov",
)
OPTIONS: Final = ("--timeout=20", "-p", "tests.mutants.first")


class Trials:
    """Tries mutants of one backend; learns which tests see the mutants of which file.

    Args:
        environment: of the test processes.
    """

    def __init__(self, backend: str, environment: dict[str, str]) -> None:
        self._package = BACKENDS / f"queuekit_{backend}"
        own = sorted((ROOT / "tests" / "backends" / backend).glob("test_*.py"))
        self._suite = [
            f"tests/conformance/test_{backend}.py",
            *(str(path.relative_to(ROOT)) for path in own if path.name not in LEFT_OUT),
        ]
        self._environment = {**environment, "PYTHONDONTWRITEBYTECODE": ""}
        self._kills: defaultdict[Path, Counter[str]] = defaultdict(Counter)

    def killer(self, mutant: Mutant) -> str | None:
        """The test that fails with it, twice, so that it is not by chance; None if the suite stays green."""
        with self._changed(mutant) as folder:
            hints = self._hints(mutant)
            while test := self._failing(folder, self._suite, hints):
                if self._failing(folder, [test], hints):
                    self._kills[mutant.path][test] += 1
                    return test
        return None

    def _hints(self, mutant: Mutant) -> str:
        same_file, all_files = self._kills[mutant.path], Counter[str]()
        for kills in list(self._kills.values()):
            all_files.update(kills)
        tests = dict.fromkeys(test for test, _ in same_file.most_common())
        tests |= dict.fromkeys(test for test, _ in all_files.most_common(30))
        return json.dumps([[*tests], mutant.path.stem.split("_")])

    @contextmanager
    def _changed(self, mutant: Mutant) -> Iterator[str]:
        """A folder with a copy of the backend that has this change."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / self._package.name
            shutil.copytree(self._package, copy)
            changed = copy / mutant.path.relative_to(self._package)
            changed.write_text(mutant.applied(mutant.path.read_text("utf-8")), "utf-8")
            yield folder

    def _failing(self, folder: str, tests: Sequence[str], hints: str) -> str | None:
        """The first test that fails."""
        environment = {**os.environ, **self._environment, "PYTHONPATH": folder, HINTS: hints}
        try:
            run = subprocess.run(
                [*PYTEST, *OPTIONS, *tests],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "the suite, which does not end"
        if run.returncode == 0:
            return None
        found = FAILURE.search(run.stdout)
        if found is None:
            raise RuntimeError(f"pytest failed with {run.returncode}:\n{run.stdout[-3000:]}")
        return found[1]
