"""Connections of one's own on top of redis-py's: pipelines in one write, deadlines, no retries behind one's back.

What fails before a request was sent raises `BackendUnavailable`, what fails afterwards `ReplyLost`. A connection whose
reply was not read, for whatever reason, is closed and never used again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from queuekit.errors import QueuekitError, ReplyLost
from queuekit_redis.errors import refused, unreachable

Argument: TypeAlias = str | bytes | int

MOST_CONNECTIONS: Final = 8
DEMOTED: Final = "read only replica"
# redis-py counts the last two as failures of the connection, although the server has answered.
ANSWERS: Final = (ResponseError, AuthenticationError, BusyLoadingError)


class Request(NamedTuple):
    """A command, and a key that says which node of a cluster is to get it."""

    key: str
    command: tuple[Argument, ...]


class Connections(Protocol):
    """A way to the server, or to the nodes of a cluster."""

    server: str
    """The server in messages, without a password."""
    one_server: bool
    """Whether one transaction can span all queues."""

    async def run(self, requests: Sequence[Request]) -> list[Any]:
        """Send requests together; one answer each, an error of the server's being an answer, too.

        Raises:
            BackendUnavailable: not sent.
            ReplyLost: sent, and not answered.
        """
        ...

    async def connect(self) -> AbstractConnection:
        """A connection of the caller's own, who closes it."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Pool:
    """A few connections to one server, shared by all calls.

    Args:
        make: makes a connection that is not connected yet.
        server: the server in messages, without a password.
        timeout: seconds until a call gives up.
    """

    one_server = True

    def __init__(self, make: Callable[[], AbstractConnection], server: str, timeout: float) -> None:
        self.server = server
        self._make = make
        self._timeout = timeout
        self._idle: list[AbstractConnection] = []
        self._closings = 0
        self._permits = asyncio.Semaphore(MOST_CONNECTIONS)

    def __repr__(self) -> str:
        return f"<Pool: {self.server}, {len(self._idle)} idle connections>"

    async def run(self, requests: Sequence[Request]) -> list[Any]:
        """Send requests together, on one connection; see `Connections`."""
        sent = False
        try:
            async with asyncio.timeout(self._timeout), self._connection() as connection:
                packed = [_packed(request.command) for request in requests]
                sent = True
                await connection.send_packed_command(packed, check_health=False)
                answers = [await _answer(connection) for _ in requests]
                if any(
                    isinstance(answer, Exception) and DEMOTED in str(answer) for answer in answers
                ):
                    # The next connections may lead to the new master.
                    await self.close()
                return answers
        except QueuekitError:
            raise
        except (RedisError, OSError) as error:
            if not sent:
                raise unreachable(error, self.server) from error
            # What broke one connection has most likely broken all.
            await self.close()
            raise ReplyLost(
                f"Redis at {self.server} did not answer a request that was sent ({_reason(error)})."
            ) from error

    async def connect(self) -> AbstractConnection:
        """A connection of the caller's own; see `Connections`."""
        connection = self._make()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(
                error, ANSWERS
            ):  # one without users may quote what it was sent: the password
                raise refused(error, self.server) from None
            if isinstance(error, (RedisError, OSError)):
                raise unreachable(error, self.server) from error
            raise
        return connection

    async def close(self) -> None:
        """Close all connections; those in use as soon as they are given back."""
        self._closings += 1
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AbstractConnection]:
        async with self._permits:
            closings = self._closings
            connection = await self._healthy() or await self.connect()
            try:
                yield connection
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            if closings == self._closings:
                self._idle.append(connection)
            else:
                await connection.disconnect(nowait=True)

    async def _healthy(self) -> AbstractConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not _closed_by_server(connection):
                return connection
            await connection.disconnect(nowait=True)
        return None


def _closed_by_server(connection: AbstractConnection) -> bool:
    # redis-py's own check has another name in each major version.
    reader = connection._reader  # noqa: SLF001
    return reader is None or reader.at_eof() or reader.exception() is not None


def _packed(command: tuple[Argument, ...]) -> bytes:
    packed: bytes = pack_command(command)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(disconnect_on_error=False)
    except ANSWERS as error:
        return error


def _reason(error: BaseException) -> str:
    return "the deadline has passed" if isinstance(error, TimeoutError) else str(error)
