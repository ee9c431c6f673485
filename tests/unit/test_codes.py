"""Each number that stores share is written once: files of SQL and Lua say its name."""

import re
from pathlib import Path

import pytest

from queuekit.codes import NUMBERS, STATES, codes_of, rendered, sections
from queuekit.job import State

BACKENDS = Path(__file__).parents[2] / "backends"
FILES = sorted(path for kind in ("sql", "lua") for path in BACKENDS.rglob(f"*.{kind}"))
CODE = re.compile(r"\b(state|final|settled|kind)( \+ 0)? *(=|<>|<|>|<=|>=) *\d")


def test_names_are_put_in_as_numbers() -> None:
    assert rendered("state = RUNNING AND lapses >= SOLITARY_AFTER") == "state = 6 AND lapses >= 10"
    assert rendered("OVERRUNNING, running, RUNNING_OUT") == "OVERRUNNING, running, RUNNING_OUT"


def test_every_state_has_a_code() -> None:
    assert set(STATES.values()) == set(State)
    assert codes_of([State.READY, State.FAILED]) == [0, 1, 2, 8]
    states = [NUMBERS[name] for name in ("READY", "SUSPECT", "SOLITARY")]
    assert {STATES[number] for number in states} == {State.READY}
    assert all(NUMBERS[state.name] in codes_of([state]) for state in State)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_no_file_writes_such_a_number_itself(path: Path) -> None:
    code = re.sub(r"--.*", "", path.read_text())
    assert not CODE.search(code)
    assert not {str(number) for number in NUMBERS.values() if number > 100} & set(
        re.findall(r"\d+", code)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_no_file_defines_such_a_name(path: Path) -> None:
    defined = re.findall(r"\blocal ([A-Z_, ]+) =", path.read_text())
    assert not {name for names in defined for name in names.split(", ")} & NUMBERS.keys()


def test_a_file_of_sql_has_statements_by_name() -> None:
    text = (
        "-- What all have in common.\n-- name: one\n-- How.\nSELECT 1\n\n-- name: two\nSELECT 2\n"
    )
    assert dict(sections(text)) == {"one": "-- How.\nSELECT 1\n\n", "two": "SELECT 2\n"}
