"""One transaction as the verbs see it: its statements, its moment, and whom to ring when it has committed."""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias
from uuid import UUID

from queuekit.backend import BackendSettings, Ended
from queuekit.job import Micros
from queuekit_sqlite.statements import MANY, OF_MANY_ROWS, SQL
from queuekit_sqlite.wakeup import Bell, of_job, of_process

Row: TypeAlias = tuple[Any, ...]


class Transaction:
    """A transaction under way, in the thread of its connection.

    Attributes:
        now: its moment by the clock of this machine, which is the server's: all deciding goes by it.
        stirred: queues that got work; their sleepers are rung.
        bells: where to ring once it has committed.
        ended: jobs that have failed by it, without an ack.
    """

    __slots__ = ("_db", "bells", "ended", "now", "settings", "stirred")

    def __init__(self, db: sqlite3.Connection, now: Micros, settings: BackendSettings) -> None:
        self._db = db
        self.now = now
        self.settings = settings
        self.stirred: set[str] = set()
        self.bells: set[Bell] = set()
        self.ended: list[Ended] = []

    def run(self, name: str, *values: object) -> int:
        """Run a statement; how many rows it changed."""
        return self._db.execute(SQL[name], values).rowcount

    def run_many(self, name: str, rows: Iterable[Row]) -> int:
        """Run a statement for each row of values; how many rows it changed."""
        return self._db.executemany(SQL[name], rows).rowcount

    def insert(self, name: str, rows: Sequence[Row]) -> int:
        """Insert rows; how many there are now that were not there."""
        alone = len(rows) % MANY
        changed = self.run_many(name, rows[:alone])
        for start in range(alone, len(rows), MANY):
            values = list(chain.from_iterable(rows[start : start + MANY]))
            changed += self._db.execute(OF_MANY_ROWS[name], values).rowcount
        return changed

    def all(self, name: str, *values: object) -> list[Row]:
        """The answer of a statement."""
        return self._db.execute(SQL[name], values).fetchall()

    def one(self, name: str, *values: object) -> Row | None:
        """The first row of the answer of a statement."""
        row: Row | None = self._db.execute(SQL[name], values).fetchone()
        return row

    def take_places(self, count: int) -> range:
        """New places at the end of the line: of jobs that are there, so it is not empty."""
        ((last,),) = self.all("find_last_seq")
        return range(last + 1, last + 1 + count)

    def rouse_sleepers(self) -> None:
        """Wake who sleeps until one of the stirred queues has work. A busy system has no sleepers."""
        if not self.stirred:
            return
        for seq, process, address, wanted in self.all("find_sleepers"):
            if not self.stirred.isdisjoint(wanted.split("\n")):
                self.run("remove_sleeper", seq)
                self.bells.add(Bell(address, of_process(process)))

    def ring_process(self, process: str) -> None:
        """Wake a process."""
        addresses = self.all("find_bells", process)
        self.run("remove_sleepers_of", process)
        self.bells.update(Bell(address, of_process(process)) for (address,) in addresses)

    def ring_waiters(self, id_: bytes, queue: str) -> None:
        """Tell who waits for a job's end."""
        addresses = self.all("find_waiters", id_, queue, self.now)
        if addresses:
            self.run("remove_waiters", id_, queue)
            self.bells.update(Bell(address, of_job(UUID(bytes=id_))) for (address,) in addresses)
