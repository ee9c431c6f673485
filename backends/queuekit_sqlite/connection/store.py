"""A database and the one thread that talks to it."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar, Final, TypeVar

from queuekit.backend import BackendSettings
from queuekit.errors import (
    BackendRefused,
    BackendUnavailable,
    ConfigurationError,
    QueuekitError,
    ReplyLost,
    StoreGone,
)
from queuekit_sqlite.connection.file import Identity, files, identity
from queuekit_sqlite.connection.transaction import Transaction
from queuekit_sqlite.doorbell import ring_sleepers, send
from queuekit_sqlite.errors import is_busy, translated

T = TypeVar("T")

_PATIENCE: Final = 0.001
"""Seconds until a lock that somebody else holds is tried again, at first; SQLite's own steps are coarser."""
_MOST_PATIENCE: Final = 0.05


class Store:
    """One connection in one thread beside the event loop; calls queue up for it.

    Objects of the same namespace in memory share one store; what it holds is gone when the last of them closes it.

    Attributes:
        settings: of whoever opened it first.
    """

    _shared: ClassVar[dict[tuple[int, str], "Store"]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: str, settings: BackendSettings) -> None:
        self._path = path
        self._files: Sequence[str] = ()
        self._identity: Identity = ()
        self.settings = settings
        self._thread = ThreadPoolExecutor(1, "queuekit-sqlite")
        self._db: sqlite3.Connection | None = None
        self._durable = True
        self._users = 1
        self._shared_as: tuple[int, str] | None = None

    @classmethod
    def in_memory(cls, settings: BackendSettings) -> "Store":
        """The store in memory of this process and namespace."""
        name = os.getpid(), settings.namespace
        with cls._guard:
            store = cls._shared.get(name)
            if store is None:
                store = cls._shared[name] = cls(":memory:", settings)
                store._shared_as = name
            else:
                store._users += 1
            return store

    async def connect(self, prepare: Callable[[sqlite3.Connection], list[str]]) -> list[str]:
        """Open the database and prepare the connection, unless that is done; what `prepare` answers."""
        try:
            return await self._in_thread(lambda deadline: self._connect(prepare, deadline))
        except BackendRefused as error:
            raise ConfigurationError(str(error)) from error

    async def close(self) -> None:
        """Close the connection and end the thread, if this was the last user."""
        with self._guard:
            self._users -= 1
            if self._users:
                return
            if self._shared_as:
                del self._shared[self._shared_as]
        await asyncio.wrap_future(self._thread.submit(self._disconnect))
        self._thread.shutdown()

    async def write(self, body: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `body` in a write transaction, and ring whom it names when it has committed.

        With `durable` the disk has it then. Without, a crash of the machine may take it, unless a durable one came
        after it: for what only matters while processes are alive.
        """
        return await self._in_thread(
            lambda deadline: self._transact(body, "BEGIN IMMEDIATE", deadline, durable=durable)
        )

    async def read(self, body: Callable[[Transaction], T]) -> T:
        """Run `body` on one consistent state."""
        return await self._in_thread(
            lambda deadline: self._transact(body, "BEGIN", deadline, durable=True)
        )

    async def version(self) -> tuple[int, int]:
        """Changes whenever anybody changes the store."""
        return await self._in_thread(lambda _: self._version())

    async def _in_thread(self, work: Callable[[float], T]) -> T:
        timeout = self.settings.timeout
        # a lock is given up a little earlier, while there is still time to say so
        deadline = time.monotonic() + 0.9 * timeout
        try:
            future = self._thread.submit(work, deadline)
        except RuntimeError as closed:
            raise BackendUnavailable("The SQLite backend is closed: open it first.") from closed
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise self._late(future) from error
        except sqlite3.Error as error:
            raise translated(error, self._path, timeout) from error

    def _connect(
        self, prepare: Callable[[sqlite3.Connection], list[str]], deadline: float
    ) -> list[str]:
        if self._db is not None:
            return []
        db = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            done = _while_busy(lambda: prepare(db), deadline)
        except BaseException:
            db.close()
            raise
        self._db = db
        if self._shared_as is None:
            self._files = files(self._path)
            self._identity = identity(self._files)
        return done

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _transact(
        self, body: Callable[[Transaction], T], begin: str, deadline: float, *, durable: bool
    ) -> T:
        db = self._connection()
        try:
            return _while_busy(lambda: self._attempt(db, body, begin, durable=durable), deadline)
        finally:
            # Only now: what was committed to a file that is gone by then was accepted by nobody.
            self._check_files()

    def _check_files(self) -> None:
        if identity(self._files) != self._identity:
            raise StoreGone(
                f"{self._path} or its -wal or -shm was deleted, moved or replaced while it was open: what is stored "
                "now would be lost. Stop all processes that use it, see that the right file is there, and start them."
            )

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise BackendUnavailable("The SQLite backend is not open: open it first.")
        return self._db

    def _version(self) -> tuple[int, int]:
        db = self._connection()
        self._check_files()
        # the first number counts what others change, the second one what this connection does
        (others,) = db.execute("PRAGMA data_version").fetchone()
        return others, db.total_changes

    def _attempt(
        self,
        db: sqlite3.Connection,
        body: Callable[[Transaction], T],
        begin: str,
        *,
        durable: bool,
    ) -> T:
        if durable is not self._durable:
            db.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            self._durable = durable
        db.execute(begin)
        try:
            transaction = Transaction(db, time.time_ns() // 1000, self.settings)
            answer = body(transaction)
            ring_sleepers(transaction)
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise
        send(transaction.bells)
        return answer

    def _late(self, future: "Future[T]") -> QueuekitError:
        problem = f"SQLite did not answer within {self.settings.timeout:g} s"
        if future.cancel():
            return BackendUnavailable(f"{problem}: earlier calls still run. Nothing was stored.")
        return ReplyLost(f"{problem}. Ask again, or raise the timeout.")


def _while_busy(act: Callable[[], T], deadline: float) -> T:
    """Act, again and again while somebody else holds a lock."""
    pause = _PATIENCE
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        left = deadline - time.monotonic()
        time.sleep(max(min(pause, left / 2), _PATIENCE))
        pause = min(pause * 1.2, _MOST_PATIENCE)
