"""Connections that are made when they are needed, and made anew when they broke."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import asyncpg

from queuekit.errors import BackendUnavailable, QueuekitError
from queuekit_postgres.connection.dialer import Connection, Dialer
from queuekit_postgres.errors import breaks, conflicts, failed, unreachable

T = TypeVar("T")
Rows: TypeAlias = "list[asyncpg.Record]"

TRIES_ON_CONFLICT = 4


class Lane:
    """One connection, used by one caller at a time."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    async def fetch(self, statement: str, *args: Any) -> Rows:
        """Rows of a statement."""
        return await self.run(lambda connection: connection.fetch(statement, *args))

    async def execute(self, statement: str, *args: Any) -> int:
        """How many rows a statement wrote."""
        return rows_written(await self.run(lambda connection: connection.execute(statement, *args)))

    async def run(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something on the connection, within the deadline and with the errors of the seam."""
        sent = False
        try:
            async with asyncio.timeout(self._dialer.timeout), self._lock:
                connection = await self._connected()
                sent = True
                return await self._tried(connection, call)
        except TimeoutError as error:
            raise (failed(error) if sent else unreachable(error)) from error

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._retire(self._connection)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._dialer.connect()
        return self._connection

    async def _tried(self, connection: Connection, call: Callable[[Connection], Awaitable[T]]) -> T:
        for left in reversed(range(TRIES_ON_CONFLICT)):
            try:
                return await self._once(connection, call)
            except QueuekitError:
                raise
            except asyncio.CancelledError:
                self._retire(connection)
                raise
            except Exception as error:
                if breaks(error):
                    self._drop(connection)
                if not (left and conflicts(error)):
                    raise failed(error) from error
        raise AssertionError

    async def _once(self, connection: Connection, call: Callable[[Connection], Awaitable[T]]) -> T:
        if not self._dialer.pooled:
            return await call(connection)
        # The driver prepares and executes in two steps; a transaction keeps both in one session.
        transaction = connection.transaction(isolation="read_committed")
        await transaction.start()
        try:
            await connection.execute(self._dialer.set_local)
            answer = await call(connection)
        except Exception:
            # Not if cancelled: a ROLLBACK would wait for the statement's end, which a hanging pooler never tells.
            # The connection is given up instead.
            await transaction.rollback()
            raise
        await transaction.commit()
        return answer

    def _drop(self, connection: Connection) -> None:
        connection.terminate()
        self._connection = None

    def _retire(self, connection: Connection) -> None:
        self._dialer.retire(connection)
        self._connection = None


class Lanes:
    """A few lanes for whoever needs one."""

    def __init__(self, dialer: Dialer, size: int) -> None:
        self._timeout = dialer.timeout
        self._lanes = [Lane(dialer) for _ in range(size)]
        self._free: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        for lane in self._lanes:
            self._free.put_nowait(lane)

    async def fetch(self, statement: str, *args: Any) -> Rows:
        """Rows of a statement."""
        return await self.run(lambda connection: connection.fetch(statement, *args))

    async def execute(self, statement: str, *args: Any) -> int:
        """How many rows a statement wrote."""
        return rows_written(await self.run(lambda connection: connection.execute(statement, *args)))

    async def run(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something on the next free connection."""
        try:
            async with asyncio.timeout(self._timeout):
                lane = await self._free.get()
        except TimeoutError as error:
            raise BackendUnavailable(
                f"All {len(self._lanes)} connections were busy for {self._timeout} s. Nothing was stored."
            ) from error
        try:
            return await lane.run(call)
        finally:
            self._free.put_nowait(lane)

    def close(self) -> None:
        """Give all connections back."""
        for lane in self._lanes:
            lane.close()


def rows_written(status: str) -> int:
    """The number at the end of a command tag such as ``INSERT 0 500``."""
    return int(status.rpartition(" ")[2])
