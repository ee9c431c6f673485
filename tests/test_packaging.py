"""What is in the rooms, and what a wheel would hold."""

import os
import re
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, entry_points, metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from queuekit.codes import digest
from queuekit_postgres import schema
from queuekit_postgres.statements import Statements

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOP_LEVEL = {
    "queuekit",
    "backends",
    "contrib",
    "tests",
    "examples",
    "docs",
    "benchmarks",
    "findings",
    "pyproject.toml",
    "mkdocs.yml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "constraints.txt",
}


def test_the_top_level_holds_what_every_project_has() -> None:
    made = {"site", "dist", "build"}
    strays = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")} - TOP_LEVEL - made
    assert not {s for s in strays if not s.endswith((".egg-info", ".db", ".db-wal", ".db-shm"))}


def test_rooms_hold_packages_and_nothing_else() -> None:
    for room in ("backends", "contrib"):
        for entry in (ROOT / room).iterdir():
            if entry.is_dir() and entry.name != "__pycache__":
                assert entry.name.startswith("queuekit_"), f"a stray in {room}/: {entry.name}"
                assert (entry / "__init__.py").is_file()
                assert (entry / "py.typed").is_file()
            else:
                assert entry.suffix in {".md", ""}, f"a stray in {room}/: {entry.name}"


def test_every_backend_has_an_entry_point_and_the_other_way_round() -> None:
    declared = PROJECT["project"]["entry-points"]["queuekit.backends"]
    packages = {p.name for p in (ROOT / "backends").glob("queuekit_*")}

    assert {target.partition(":")[0] for target in declared.values()} == packages
    installed = {e.name: e.value for e in entry_points(group="queuekit.backends")}
    assert declared.items() <= installed.items()
    for entry in entry_points(group="queuekit.backends"):
        assert entry.load().__name__.endswith("Backend")


def test_the_schemes_are_those_promised() -> None:
    assert set(PROJECT["project"]["entry-points"]["queuekit.backends"]) == {
        "redis",
        "rediss",
        "unix",
        "valkey",
        "redis+sentinel",
        "redis+cluster",
        "postgres",
        "postgresql",
        "sqlite",
    }


def test_the_metadata_name_no_place_that_the_project_does_not_have() -> None:
    assert not PROJECT["project"].keys() & {"urls", "maintainers"}


def test_pins_name_no_registry() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert "==" in line
        assert "/" not in line


def test_pins_fit_the_oldest_python_that_is_promised() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=") + ".0"
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        with suppress(PackageNotFoundError):  # of builds, in environments of their own
            needed = str(metadata(line.partition("==")[0]).json.get("requires_python", ""))
            assert SpecifierSet(needed).contains(oldest), f"{line} needs Python {needed}"


FINDINGS = sorted((ROOT / "findings").glob("*.sh"))


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: path.stem)
def test_a_finding_is_a_script_with_pins(finding: Path) -> None:
    text = finding.read_text("utf-8")
    assert os.access(finding, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert re.search(r"^set -euo pipefail$", text, re.MULTILINE)
    assert "queuekit" not in text
    assert re.search(r"\b[a-z][\w.-]*==\d", text), "pin the packages by =="


def test_each_finding_is_listed() -> None:
    page = (ROOT / "findings" / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| \[`(.+?)`\]\(\1\) \|", page, re.MULTILINE)
    assert listed == [finding.name for finding in FINDINGS]


def test_functions_in_postgres_that_changed_since_a_release_have_another_number() -> None:
    """Note the new digest here; the number goes up if the one before was released."""
    texts = [script.digest for script in Statements("queuekit").scripts("functions")]
    assert (schema.BUILD, digest("".join(texts))) == (1, "ec6b0339d14b7a85")
