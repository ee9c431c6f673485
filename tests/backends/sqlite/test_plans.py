"""No hot statement sorts a backlog or walks through what has finished."""

import re
import sqlite3
from collections.abc import Iterator

import pytest

from queuekit_sqlite.statements import MIGRATIONS, SQL

TABLES = {"sleepers", "presences", "pauses", "ticks", "kinds", "waiters", "schedules", "gates"}
FOUND = {"suspects", "ready", "aside", "failed", "page", "json_each"}
SMALL = TABLES | FOUND
"""What may be read as a whole."""


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:")
    made.executescript("\n".join(MIGRATIONS.values()))
    yield made
    made.close()


def plan(db: sqlite3.Connection, name: str) -> list[str]:
    numbers = [int(number) for number in re.findall(r"\?(\d+)", SQL[name])]
    values = [None] * max(numbers, default=SQL[name].count("?"))
    return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + SQL[name], values)]


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_statement_scans_the_jobs(db: sqlite3.Connection, name: str) -> None:
    for step in plan(db, name):
        scan = re.match(r"SCAN (\S+)$", step)
        assert not scan or scan[1] in SMALL or scan[1].startswith("(")


@pytest.mark.parametrize(
    "name",
    [
        "find_ready",
        "find_due",
        "find_lapsed",
        "find_overdue",
        "find_outworn",
        "find_outworn_of_kind",
    ],
)
def test_order_comes_from_an_index(db: sqlite3.Connection, name: str) -> None:
    steps = plan(db, name)
    assert any("USING" in step and "INDEX jobs_" in step for step in steps)
    assert not any("TEMP B-TREE" in step for step in steps)


def test_the_plans_do_not_depend_on_statistics(db: sqlite3.Connection) -> None:
    before = {name: plan(db, name) for name in SQL}
    db.execute("ANALYZE")
    assert {name: plan(db, name) for name in SQL} == before


def test_batches_find_their_jobs_by_place(db: sqlite3.Connection) -> None:
    for name in ("claim", "read_claimed", "succeed"):
        assert any("USING INTEGER PRIMARY KEY" in step for step in plan(db, name))
