"""Making connections, and closing them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeAlias

import asyncpg

from queuekit.backend import BackendSettings
from queuekit.errors import ConfigurationError, QueuekitError
from queuekit.keepalive import keep_alive
from queuekit.loops import start
from queuekit_postgres.errors import POOLED, unreachable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OLDEST_SERVER: Final = (13, 0)
STEADY_PLANS: Final = {
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
        connection = await self._connect(self._listen_url or self._url, {})
        keep_alive(connection._transport)  # type: ignore[attr-defined]  # noqa: SLF001  # there is no other way
        return connection

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
        try:
            problem = await _problem(connection, session)
        except BaseException:  # also the end of the event loop
            connection.terminate()
            raise
        if problem:
            connection.terminate()
            raise ConfigurationError(problem)
        return connection

    def _leave(self, closing: Coroutine[Any, Any, None]) -> None:
        task = start(closing, "queuekit postgres closing")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _problem(connection: Connection, session: dict[str, str]) -> str | None:
    version = connection.get_server_version()
    if version[:2] < OLDEST_SERVER:
        return f"Postgres {version.major}.{version.minor} is too old: queuekit needs 13 or newer."
    # A pooler may drop the settings without a word, and then no session is ours.
    if session and await connection.fetchval("SHOW enable_seqscan") != session["enable_seqscan"]:
        return POOLED
    return None


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
