"""A pooler in transaction mode that is as hard on its clients as it may be.

All sessions stand in one line, and every transaction gets the first of it: hardly ever the one that the same client had
before. What relies on a session finds another one.
"""

import asyncio
import contextlib
from typing import Final, Literal, TypeAlias

from queuekit.testing.proxy import Between, Stream

# The codes that a packet without a type begins with, and the types of messages:
# https://www.postgresql.org/docs/current/protocol-message-formats.html
CANCEL: Final = 1234 << 16 | 5678
ENCRYPTION: Final = (1234 << 16 | 5679, 1234 << 16 | 5680)
PASSWORD_REQUESTS: Final = (3, 5, 10, 11)
ENDS_OF_REQUESTS: Final = (b"Q", b"S")
KNOWN: Final = (b"user", b"database", b"application_name")

Parameters: TypeAlias = Literal["passed on", "dropped", "refused"]


class Session:
    """One connection to the server.

    Attributes:
        key: what cancels its statement.
    """

    def __init__(self, stream: Stream) -> None:
        self.reader, self.writer = stream
        self.key = b""

    async def log_in(self, startup: bytes, client: Stream) -> None:
        """Pass on a client's login, to its end."""
        self.writer.write(startup)
        kind = b""
        while kind != b"Z":
            kind, message = await read_message(self.reader)
            client[1].write(message)
            if kind == b"K":
                self.key = message[5:]
            elif kind == b"R" and int.from_bytes(message[5:9], "big") in PASSWORD_REQUESTS:
                self.writer.write((await read_message(client[0]))[1])

    def abort(self) -> None:
        """Break it: the server rolls back."""
        self.writer.transport.abort()


class Client:
    """One connection from a client; it has a session for as long as a transaction lasts."""

    def __init__(self, stream: Stream, line: asyncio.Queue[Session]) -> None:
        self._reader, self._writer = stream
        self._line = line
        self._replies: asyncio.Task[None] | None = None
        self._due = 0
        self.session: Session | None = None

    async def serve(self) -> None:
        """Pass on requests until the client leaves."""
        try:
            while (request := await read_message(self._reader))[0] != b"X":
                session = self.session or await self._begin()
                self._due += request[0] in ENDS_OF_REQUESTS
                session.writer.write(request[1])
                await session.writer.drain()
        finally:
            if self.session is not None:
                self.session.abort()
            if self._replies is not None:
                await asyncio.wait([self._replies])

    def abort(self) -> None:
        """Break it."""
        self._writer.transport.abort()

    async def _begin(self) -> Session:
        session = await self._line.get()
        if session.reader.at_eof():
            raise ConnectionResetError
        self.session = session
        self._replies = asyncio.create_task(self._pass_on_replies(session))
        return session

    async def _pass_on_replies(self, session: Session) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, message = await read_message(session.reader)
                self._writer.write(message)
                if kind == b"Z":
                    self._due -= 1
                    if not self._due and message.endswith(b"I"):
                        self.session = None
                        self._line.put_nowait(session)
                        return
        self.abort()


class Pooler(Between):
    """Stands between clients and a Postgres server.

    Each login brings a session into the line, so that there are as many as clients.

    Args:
        host: the server's.
        port: the server's.
        parameters: what becomes of those in a login that only its session would have.
    """

    def __init__(self, host: str, port: int, *, parameters: Parameters = "passed on") -> None:
        super().__init__(host, port)
        self._parameters = parameters
        self._line: asyncio.Queue[Session] = asyncio.Queue()
        self._sessions: list[Session] = []
        self._clients: dict[bytes, Client] = {}

    def _end(self) -> None:
        for client in self._clients.values():
            client.abort()
        for session in self._sessions:
            session.abort()

    async def _serve(self, client: Stream) -> None:
        code, packet = await read_startup(client[0])
        while code in ENCRYPTION:
            client[1].write(b"N")
            code, packet = await read_startup(client[0])
        if code == CANCEL:
            await self._cancel(packet)
            return
        if self._parameters != "passed on":
            known = only_known(packet)
            if self._parameters == "refused" and known != packet:
                client[1].write(REFUSAL)
                return
            packet = known
        session = Session(await asyncio.open_connection(*self._upstream))
        self._sessions.append(session)
        await session.log_in(packet, client)
        self._line.put_nowait(session)
        logged_in = self._clients[session.key] = Client(client, self._line)
        try:
            await logged_in.serve()
        finally:
            del self._clients[session.key]

    async def _cancel(self, packet: bytes) -> None:
        """The key is that of the session which the client was greeted by; meant is the one that it has now."""
        client = self._clients.get(packet[8:])
        if client and client.session:
            reader, writer = await asyncio.open_connection(*self._upstream)
            try:
                writer.write(packet[:8] + client.session.key)
                await reader.read()
            finally:
                writer.transport.abort()


def only_known(startup: bytes) -> bytes:
    """A login without the parameters of the session."""
    texts = startup[8:-2].split(b"\0")
    kept = [
        text
        for pair in zip(texts[::2], texts[1::2], strict=True)
        if pair[0] in KNOWN
        for text in pair
    ]
    body = startup[4:8] + b"\0".join(kept) + b"\0\0"
    return (len(body) + 4).to_bytes(4, "big") + body


def error_message(code: str, text: str) -> bytes:
    """An error as the server tells it."""
    body = f"SFATAL\0C{code}\0M{text}\0\0".encode()
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


REFUSAL: Final = error_message("08P01", "unsupported startup parameter: statement_timeout")


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Its type, and the whole of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)


async def read_startup(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Its code, and the whole of it."""
    length = await reader.readexactly(4)
    body = await reader.readexactly(int.from_bytes(length, "big") - 4)
    return int.from_bytes(body[:4], "big"), length + body
