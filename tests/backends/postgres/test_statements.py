"""Whoever reads a module finds its statements, and a statement its module."""

from collections import Counter
from pathlib import Path

import queuekit_postgres
from queuekit.codes import sections

PACKAGE = Path(queuekit_postgres.__file__).parent
NAMES = [
    name for path in PACKAGE.glob("sql/*.sql") for name, _ in sections(path.read_text("utf-8"))
]


def test_no_two_statements_have_the_same_name() -> None:
    assert set(Counter(NAMES).values()) == {1}


def test_every_statement_is_used() -> None:
    code = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    assert not [name for name in NAMES if f'"{name}"' not in code]
