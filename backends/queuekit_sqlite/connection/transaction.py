"""One transaction as the verbs see it: its statements, its moment, and whom to ring when it has committed."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

from queuekit.backend import BackendSettings
from queuekit.job import Micros
from queuekit_sqlite.doorbell import Bell
from queuekit_sqlite.statements import MANY, OF_MANY_ROWS, SQL

Values: TypeAlias = tuple[Any, ...]
"""A row as SQLite takes and gives it."""


class Transaction:
    """A transaction under way, in the thread of its connection.

    Attributes:
        now: its moment by the clock of this machine, which is the server's: all deciding goes by it.
        settings: of the store.
        got_work: queues that got work; their sleepers are rung.
        bells: where to ring once it has committed.
    """

    __slots__ = ("_db", "bells", "got_work", "now", "settings")

    def __init__(self, db: sqlite3.Connection, now: Micros, settings: BackendSettings) -> None:
        self._db = db
        self.now = now
        self.settings = settings
        self.got_work: set[str] = set()
        self.bells: set[Bell] = set()

    def run(self, name: str, *values: object) -> int:
        """Run a statement; how many rows it changed."""
        return self._db.execute(SQL[name], values).rowcount

    def run_many(self, name: str, rows: Iterable[Values]) -> int:
        """Run a statement for each row of values; how many rows it changed."""
        return self._db.executemany(SQL[name], rows).rowcount

    def insert(self, name: str, rows: Sequence[Values]) -> int:
        """Insert rows; how many there are now that were not there."""
        alone = len(rows) % MANY
        changed = self.run_many(name, rows[:alone])
        for start in range(alone, len(rows), MANY):
            values = list(chain.from_iterable(rows[start : start + MANY]))
            changed += self._db.execute(OF_MANY_ROWS[name], values).rowcount
        return changed

    def all(self, name: str, *values: object) -> list[Values]:
        """The answer of a statement."""
        return self._db.execute(SQL[name], values).fetchall()

    def one(self, name: str, *values: object) -> Values | None:
        """The first row of the answer of a statement."""
        row: Values | None = self._db.execute(SQL[name], values).fetchone()
        return row
