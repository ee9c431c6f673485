"""The protocol of a cutover, explored: every reachable state of one job or two on two backends, with crashes.

Here it is bounded: single faults, and every rule dropped once, which an invariant must notice. `make model` runs all.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
WHOLE: Final = os.environ.get("QUEUEKIT_TEST_MODEL") == "whole"
LONG: Final = {
    ("cutover_model", "crash no-durable-close"),
    ("cutover_model", "retention crash no-durable-forget"),
    ("cutover_model", "retry"),
    ("keys_model", "no-failed-known retry flips4"),
    ("keys_model", "no-mirrors-dont-enforce crash"),
    ("keys_model", "no-orphan-if-sealed crash seal"),
}
"""Runs of 10 s and more."""


def _model(name: str) -> ModuleType:
    """A model as a module; it takes what it drops from the command line, so that is empty meanwhile."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    given, sys.argv = sys.argv, [name]
    try:
        spec.loader.exec_module(module)
    finally:
        sys.argv = given
    return module


def _holding() -> Iterator[tuple[str, str]]:
    """Models and faults under which every invariant holds."""
    one, two = _model("cutover_model"), _model("keys_model")
    few = ["", *one.FAULTS]
    yield from (("cutover_model", run) for run in ([*few, *one.PAIRS] if WHOLE else few))
    yield from (("keys_model", run) for run in (two.MUST_PASS if WHOLE else ["limit"]))


def _broken() -> Iterator[tuple[str, str]]:
    """Models, faults and dropped rules: an invariant breaks."""
    one, two = _model("cutover_model"), _model("keys_model")
    for rule, (faults, _) in one.MUTATIONS.items():
        yield "cutover_model", f"{faults} no-{rule}".strip()
    yield from (("keys_model", run.strip()) for run in two.MUST_BE_CAUGHT)


def _bounded(runs: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    return [run for run in runs if WHOLE or run not in LONG]


def _explore(name: str, run: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(HERE / f"{name}.py"), *run.split()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("name", "run"), _bounded(_holding()))
def test_every_invariant_holds(name: str, run: str) -> None:
    done = _explore(name, run)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "every invariant holds" in done.stdout


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(("name", "run"), _bounded(_broken()))
def test_a_dropped_rule_is_noticed(name: str, run: str) -> None:
    done = _explore(name, run)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    verdict = done.stdout.splitlines()[0]
    assert "steps" in verdict or verdict.startswith("CAUGHT: ")
