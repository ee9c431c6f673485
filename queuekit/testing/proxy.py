"""A TCP proxy that breaks connections on purpose.

async with Proxy("127.0.0.1", 6379) as proxy:
    backend = RedisBackend(proxy.url_for("redis://127.0.0.1:6379/0"), settings)
    ...
    proxy.swallow_next_reply()
"""

import abc
import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from queuekit.loops import start

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK: Final = 65_536
QUIET: Final = 0.02
"""Seconds without a byte after which a reply counts as complete."""


class Between(abc.ABC):
    """Listens on a free port of this machine, and stands between clients and a server.

    Args:
        host: where the server listens.
        port: likewise.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        # A server that is closed between accepting a connection and knowing of it leaves it open.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        await asyncio.sleep(0)
        self._server.close()
        self._end()
        while self._serving:
            await asyncio.sleep(0)
            self._end()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # an aborted transport closes its socket in the loop's next turn

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that clients connect to."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return host, port

    def url_for(self, url: str) -> str:
        """The server's URL, led through here."""
        host, port = self.address
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}:{port}"))

    def _accept(self, *client: *Stream) -> None:
        if self._server is None or not self._server.is_serving():
            client[1].transport.abort()
            return
        task = start(self._serve_until_it_ends(client), "proxied connection")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve_until_it_ends(self, client: Stream) -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                await self._serve(client)
        finally:
            client[1].transport.abort()

    @abc.abstractmethod
    async def _serve(self, client: Stream) -> None:
        """Serve a client until its connection ends."""

    @abc.abstractmethod
    def _end(self) -> None:
        """Break all connections."""


class Proxy(Between):
    """Passes connections on to a server until told otherwise.

    Args:
        host: where the server listens.
        port: likewise.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._connections: set[_Connection] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._swallow_after: int | None = None
        self.swallowed = 0
        """How many replies have been swallowed."""

    def swallow_next_reply(self, *, after: int = 0) -> None:
        """Let the next request reach the server and be carried out, drop the reply, then cut the connection.

        Args:
            after: so many replies still pass, on whatever connection.
        """
        self._swallow_after = after

    def cut(self) -> None:
        """Cut all present connections; new ones are served."""
        for connection in self._connections:
            connection.cut()

    def stall(self) -> None:
        """Keep connections open, but pass nothing on until `resume`."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Cut all connections, and every new one at once, until `resume`."""
        self._refusing = True
        self._flowing.set()
        self.cut()

    def resume(self) -> None:
        """Pass everything on again, and swallow nothing that was not swallowed yet."""
        self._refusing = False
        self._swallow_after = None
        self._flowing.set()

    async def flowing(self) -> None:
        """Wait while the proxy is stalled."""
        await self._flowing.wait()

    def swallows(self) -> bool:
        """Whether the reply that begins now is the one to swallow."""
        if self._swallow_after is None:
            return False
        if self._swallow_after:
            self._swallow_after -= 1
            return False
        self._swallow_after = None
        self.swallowed += 1
        return True

    async def _serve(self, client: Stream) -> None:
        if self._refusing:
            return
        connection = _Connection(self, client, await asyncio.open_connection(*self._upstream))
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    def _end(self) -> None:
        self.refuse()


class _Connection:
    """One client's connection and its twin to the server."""

    def __init__(self, proxy: Proxy, client: Stream, server: Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._asked = False

    async def serve(self) -> None:
        """Pass bytes on until one side ends."""
        with contextlib.suppress(OSError):
            await asyncio.gather(self._requests(), self._replies())
        self.cut()

    def cut(self) -> None:
        """End both halves; what is under way is lost."""
        for _, writer in (self._client, self._server):
            writer.transport.abort()

    async def _requests(self) -> None:
        while data := await self._client[0].read(CHUNK):
            await self._proxy.flowing()
            self._asked = True
            self._server[1].write(data)
            await self._server[1].drain()
        self.cut()

    async def _replies(self) -> None:
        while data := await self._server[0].read(CHUNK):
            await self._proxy.flowing()
            # What comes unasked is a notification.
            reply_begins, self._asked = self._asked, False
            if reply_begins and self._proxy.swallows():
                await self._drop_the_rest()
                break
            self._client[1].write(data)
            await self._client[1].drain()
        self.cut()

    async def _drop_the_rest(self) -> None:
        # A server that loses its client half-way through a long reply might roll back.
        with contextlib.suppress(TimeoutError):
            while await asyncio.wait_for(self._server[0].read(CHUNK), QUIET):
                pass
