"""Where what stands: the same names in all backends, and a page that is true."""

import pytest

from docs.hooks.where import GROUPS, PLACES, ROOT, Row, names, page, stands_in
from queuekit.backend import Backend, Inspector, Schedules, Side, Transfer

CONCERNS = (
    *("backend", "enqueue", "fetch", "settle", "leases", "wait", "doorbell", "maintain"),
    *(
        "inspect",
        "schedules",
        "transfer",
        "sides",
        "rows",
        "statements",
        "connection",
        "schema",
        "errors",
    ),
)
"""In the order in which they are read; a backend that has nothing of a kind leaves it out."""
STEPS = {
    *("life", "line", "keys", "notes", "retention", "doorbell", "leases", "record", "base"),
    *("gates", "whole", "census"),
}
"""What a store does within its own step: modules, functions or parts of scripts."""
ROWS = [row for rows in GROUPS.values() for row in rows]


def modules(place: str) -> set[str]:
    found = {path.stem for path in (ROOT / place).glob("*.py")}
    return found | {path.parent.name for path in (ROOT / place).glob("*/__init__.py")} - {
        "__init__"
    }


@pytest.mark.parametrize("backend", ["redis", "postgres", "sqlite"])
def test_concerns_have_the_same_names_everywhere(backend: str) -> None:
    allowed = {*CONCERNS, "__init__"} | (STEPS if backend == "sqlite" else set())
    assert modules(PLACES[backend]) <= allowed
    needed = {*CONCERNS} - ({"schema"} if backend == "redis" else set())
    assert needed <= modules(PLACES[backend])


@pytest.mark.parametrize(
    ("backend", "folder"), [("redis", "lua/shared"), ("postgres", "functions")]
)
def test_steps_have_the_same_names_everywhere(backend: str, folder: str) -> None:
    found = {path.stem for path in (ROOT / PLACES[backend] / folder).iterdir()}
    assert found <= STEPS | {*CONCERNS}
    assert {"life", "line", "keys", "notes", "retention", "doorbell"} <= found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_each_name_stands_where_the_page_says(row: Row) -> None:
    for place, cell in zip(PLACES.values(), row[1:], strict=True):
        for file, found in names(cell):
            path = ROOT / place / file
            assert path.exists(), path
            missing = [name for name in found if not stands_in(path.read_text("utf-8"), name)]
            assert not missing, (path, missing)


def test_the_page_is_what_the_table_says() -> None:
    assert (ROOT / "docs" / "where.md").read_text("utf-8") == page(), "python docs/hooks/where.py"


def test_every_verb_has_a_place_on_the_page() -> None:
    """Each by the module or statement of its name, in each backend's table of contents."""
    verbs = {
        name
        for kind in (Backend, Inspector, Schedules, Transfer, Side)
        for name in vars(kind)
        if not name.startswith("_")
    }
    for place in ("redis", "postgres", "sqlite"):
        contents = "".join(
            (ROOT / PLACES[place] / f"{module}.py").read_text("utf-8")
            for module in ("backend", "inspect", "schedules", "transfer", "sides")
        )
        assert {verb for verb in verbs if not stands_in(contents, verb)} == set()
