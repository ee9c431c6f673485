"""The SQL of this backend: one statement a file in ``sql/``, named like what it does; ``schema/`` makes the tables.

The names in capitals that they say are those of `queuekit.codes`.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final

from queuekit.codes import rendered


def _texts(folder: str) -> dict[str, str]:
    found = (files("queuekit_sqlite") / folder).iterdir()
    return {entry.name.removesuffix(".sql"): rendered(entry.read_text("utf-8")) for entry in found}


SQL: Final[Mapping[str, str]] = _texts("sql")
MIGRATIONS: Final[Mapping[str, str]] = dict(sorted(_texts("schema").items()))


MANY: Final = 100
"""Rows of one INSERT: half the time of an INSERT a row, and within any SQLite's limit of 999 values."""


def _of_many_rows(insert: str) -> str:
    before, values, after = insert.partition("VALUES (")
    row, end, rest = after.partition(")")
    return f"{before}VALUES {', '.join([f'({row})'] * MANY)}{rest}" if values and end else insert


OF_MANY_ROWS: Final[Mapping[str, str]] = {"enqueue_plain": _of_many_rows(SQL["enqueue_plain"])}


def split(script: str) -> Iterator[str]:
    """The statements of a script, so that they can run in a transaction that is already open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
