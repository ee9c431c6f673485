"""Connections that are made when they are needed, and made anew when they broke."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import asyncpg

from queuekit.backend import BackendSettings
from queuekit.errors import BackendUnavailable, ConfigurationError, QueuekitError
from queuekit.loops import start
from queuekit_postgres.errors import POOLED, breaks, conflicts, failed, unreachable

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Rows: TypeAlias = "list[asyncpg.Record]"

TRIES_ON_CONFLICT = 4

STEADY_PLANS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""A plan that was made and cached for an empty table must be the one that serves a million jobs: an index scan."""


class Dialer:
    """Makes connections.

    Attributes:
        pooled: the URL leads through a pooler that gives every transaction another session.
        session: the settings of a session.
    """

    def __init__(self, url: str, settings: BackendSettings) -> None:
        self._url = url
        self._listen_url = settings.listen_url
        self.timeout = settings.timeout
        self.pooled = settings.pooler == "transaction"
        limit = str(round(settings.timeout * 1000))
        timeouts = {"statement_timeout": limit, "idle_in_transaction_session_timeout": limit}
        isolation = {"default_transaction_isolation": "read committed"}
        self.session = timeouts | isolation | STEADY_PLANS
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def set_local(self) -> str:
        """The session's settings, for one transaction."""
        return "".join(f"SET LOCAL {name} = '{value}';" for name, value in self.session.items())

    @property
    def can_listen(self) -> bool:
        """Whether there is a way to a session of our own, where doorbells can be heard."""
        return self._listen_url is not None or not self.pooled

    async def connect(self) -> Connection:
        """A connection for statements. Raises `BackendUnavailable` or `ConfigurationError`."""
        return await self._connect(self._url, {} if self.pooled else self.session)

    async def connect_to_listen(self) -> Connection:
        """A connection for doorbells. Raises like `connect`."""
        return await self._connect(self._listen_url or self._url, {})

    def retire(self, connection: Connection) -> None:
        """Close a connection in the background: the driver first ends the statement that it may be in the middle of."""
        self._leave(_closed(connection))

    async def close(self) -> None:
        """Wait until all that were retired are closed."""
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _connect(self, url: str, session: dict[str, str]) -> Connection:
        # A handshake that is cancelled halfway leaves a future behind that nobody awaits: it goes on to its end.
        handshake = start(self._handshake(url, session), "queuekit postgres connecting")
        try:
            return await asyncio.shield(handshake)
        except asyncio.CancelledError:
            self._leave(_closed_after(handshake))
            raise
        except ValueError as error:  # its text may show a part of the password
            raise unreachable(error) from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise unreachable(error) from error

    async def _handshake(self, url: str, session: dict[str, str]) -> Connection:
        connection: Connection = await asyncpg.connect(
            url,
            timeout=self.timeout,
            statement_cache_size=0 if self.pooled else 200,
            server_settings={"application_name": "queuekit"} | session,
        )
        # A pooler may drop them without a word, and then no session is ours.
        if (
            session
            and await connection.fetchval("SHOW enable_seqscan") != session["enable_seqscan"]
        ):
            connection.terminate()
            raise ConfigurationError(POOLED)
        return connection

    def _leave(self, closing: Coroutine[Any, Any, None]) -> None:
        task = start(closing, "queuekit postgres closing")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


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


async def _closed(connection: Connection) -> None:
    try:
        await connection.close(timeout=1)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


async def _closed_after(handshake: "asyncio.Task[Connection]") -> None:
    try:
        connection = await handshake
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, QueuekitError):
        return
    await _closed(connection)


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
