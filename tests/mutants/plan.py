"""Which mutants are tried with which tests, so that every test that can see one gets to see it, in bearable time.

At first each mutant is tried alone, with the tests that will most likely kill it. Those that live on are tried
together, some at a time, with all the tests that use them: what stays green with all of them stays green with each.
Where a test fails it is tried with each of them alone.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import pytest

from tests.mutants import uses
from tests.mutants.trial import BACKENDS, NO_ANSWER, ROOT, Candidate, Outcome, Trial

LEFT_OUT: Final = {"test_memory.py", "test_pooler.py", "test_plans.py"}
"""The same cases again in memory or behind a pooler, and what sees a changed plan, whatever the statement does."""
LIKELY: Final = 50
"""Tests that a mutant is tried with alone."""
TOGETHER: Final = 12
"""Mutants of different parts that are tried together: in the same part one might hide the other."""

Steps: TypeAlias = Generator[Trial, Outcome, None]


def suite(backend: str) -> list[str]:
    """The paths of the tests that must see a backend's mutants."""
    folder = ROOT / "tests" / "backends"
    own = [*sorted((folder / backend).glob("test_*.py")), *sorted(folder.glob("test_*.py"))]
    paths = [ROOT / "tests" / "conformance" / f"test_{backend}.py", *own]
    return [str(path.relative_to(ROOT)) for path in paths if path.name not in LEFT_OUT]


@dataclass
class Plan:
    """A plugin that tries mutants with the collected tests, instead of running these once.

    Args:
        candidates: to try.
        expected: names of those that are expected to live, so that they are not tried alone at first.
        jobs: how many processes at once.
        tell: hears of each candidate, and which test has failed with it, twice, and passed without it, so that it was
            not by chance; None if the suite stayed green.
    """

    candidates: Sequence[Candidate]
    expected: Collection[str]
    jobs: int
    tell: Callable[[Candidate, str | None], None]
    _items: dict[str, dict[str, pytest.Item]] = field(default_factory=dict)
    """of each backend: its tests by name"""
    _users: dict[str, Mapping[str, set[str]]] = field(default_factory=dict)
    """of each backend's parts: the tests that use them"""
    _kills: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """of each part: the tests that killed mutants of it"""
    _alive: list[Candidate] = field(default_factory=list)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        for backend in dict.fromkeys(candidate.backend for candidate in self.candidates):
            paths = suite(backend)
            own = [item for item in session.items if item.nodeid.partition("::")[0] in paths]
            # Tests of all backends have the backend's name among their parameters.
            self._items[backend] = {item.nodeid: item for item in own if backend in item.nodeid}
        self._carry_out(self._record(backend) for backend in self._items)
        self._carry_out(self._alone(candidate) for candidate in self.candidates)
        self._carry_out(self._together(group) for group in groups(self._alive))
        return True

    def _carry_out(self, lines: Iterable[Steps]) -> None:
        """Go through lines of steps, some at a time."""
        left, running = iter(lines), dict[int, tuple[Trial, Steps]]()
        while True:
            while len(running) < self.jobs and (steps := next(left, None)):
                self._go_on(running, steps, None)
            if not running:
                return
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid:
                trial, steps = running.pop(pid)
                self._go_on(running, steps, trial.outcome())
            else:
                time.sleep(0.01)
                for leader, (trial, _) in running.items():
                    trial.hurry(leader)

    def _go_on(
        self, running: dict[int, tuple[Trial, Steps]], steps: Steps, outcome: Outcome | None
    ) -> None:
        try:
            trial = steps.send(outcome) if outcome else next(steps)
        except StopIteration:
            return
        running[trial.begin()] = trial, steps

    def _record(self, backend: str) -> Steps:
        outcome = yield Trial(backend, [], [*self._items[backend].values()])
        if outcome.failing:
            raise RuntimeError(f"without any mutant this fails: {outcome.failing}")
        parts = uses.parts(BACKENDS / f"queuekit_{backend}")
        users: defaultdict[str, set[str]] = defaultdict(set)
        for test, verbs in outcome.verbs.items():
            for verb in verbs:
                for part in parts[verb]:
                    users[part].add(test)
        self._users[backend] = users

    def _alone(self, candidate: Candidate) -> Steps:
        if candidate.name in self.expected:
            self._alive.append(candidate)
            return
        likely = self._tests(candidate)[:LIKELY]
        failing = (yield self._trial([candidate], likely)).failing
        if failing == NO_ANSWER or (
            failing and (yield self._trial([candidate], [failing])).failing
        ):
            self._killed(candidate, failing)
        else:
            self._alive.append(candidate)

    def _together(self, group: Sequence[Candidate]) -> Steps:
        concerned = set[str]().union(*(self._tests(candidate) for candidate in group))
        tests = [test for test in self._items[group[0].backend] if test in concerned]
        yield from self._with_all(group, tests)

    def _with_all(self, group: Sequence[Candidate], tests: Sequence[str]) -> Steps:
        """What a test kills is told and left out, and the rest goes on behind that test."""
        while group and tests and (failing := (yield self._trial(group, tests)).failing):
            if failing == NO_ANSWER:
                break
            tests = tests[tests.index(failing) + 1 :]
            killed = []
            for candidate in group:
                if (yield from self._sees(failing, candidate)):
                    self._killed(candidate, failing)
                    killed.append(candidate)
            group = [candidate for candidate in group if candidate not in killed]
        else:
            for candidate in group:
                self.tell(candidate, None)
            return
        if len(group) == 1:
            self._killed(group[0], NO_ANSWER)
            return
        half = len(group) // 2
        yield from self._with_all(group[:half], tests)
        yield from self._with_all(group[half:], tests)

    def _sees(self, test: str, candidate: Candidate) -> Generator[Trial, Outcome, bool]:
        """Whether a test that has failed does so with a mutant, and does not without."""
        if not (yield self._trial([candidate], [test])).failing:
            return False
        item = self._items[candidate.backend][test]
        return not (yield Trial(candidate.backend, [], [item])).failing

    def _killed(self, candidate: Candidate, by: str) -> None:
        self._kills[uses.part(candidate.mutant)][by] += 1
        self.tell(candidate, by)

    def _trial(self, candidates: Sequence[Candidate], tests: Iterable[str]) -> Trial:
        backend = candidates[0].backend
        return Trial(backend, candidates, [self._items[backend][test] for test in tests])

    def _tests(self, candidate: Candidate) -> list[str]:
        """Those that use what is mutated; first those that saw relatives of the mutant, or are named like it."""
        part = uses.part(candidate.mutant)
        everybody = sum(self._kills.values(), Counter[str]())
        ranked = [*self._kills[part].most_common(), *everybody.most_common(LIKELY)]
        rank = {test: number for number, (test, _) in reversed(list(enumerate(ranked)))}
        words = part.split("_")

        def place(test: str) -> tuple[int, int]:
            return rank.get(test, len(ranked)), -sum(word in test for word in words)

        items = self._items[candidate.backend]
        return sorted(self._users[candidate.backend].get(part) or items, key=place)


def groups(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """Groups whose members are of different parts."""
    made: list[list[Candidate]] = []
    for candidate in candidates:
        for group in made:
            parts = {uses.part(member.mutant) for member in group}
            alike = group[0].backend == candidate.backend and len(group) < TOGETHER
            if alike and uses.part(candidate.mutant) not in parts:
                group.append(candidate)
                break
        else:
            made.append([candidate])
    return made
