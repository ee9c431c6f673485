"""Servers behind TLS: the ones that pip brings were built without it."""

import asyncio
import ssl
from urllib.parse import urlsplit

import trustme

from queuekit.backend import Backend
from queuekit.testing.conformance._make import ALICE, ack, claim_one, job, put, succeeded
from queuekit.testing.proxy import CHUNK, Between, Stream

# https://www.postgresql.org/docs/current/protocol-message-formats.html: SSLRequest
ENCRYPTION_REQUEST = (8).to_bytes(4, "big") + (1234 << 16 | 5679).to_bytes(4, "big")


class Terminator(Between):
    """Speaks TLS with clients and plainly with the server.

    Args:
        host: where the server listens.
        port: likewise.
        context: with the certificate.
        on_request: wait until a client asks for it, as Postgres does.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, *, on_request: bool) -> None:
        super().__init__(host, port)
        self._context = context
        self._on_request = on_request
        self._open: set[asyncio.StreamWriter] = set()

    def _accept(self, *client: *Stream) -> None:
        transport = _both_ways(client)
        transport.pause_reading()  # what comes now is for the handshake
        # Python 3.11.2 begins to read right after this all the same.
        asyncio.get_running_loop().call_soon(_pause_anew, transport)
        super()._accept(*client)

    async def _serve(self, client: Stream) -> None:
        reader, writer = client
        server = await asyncio.open_connection(*self._upstream)
        self._open |= {writer, server[1]}
        try:
            if self._on_request:
                _both_ways(client).resume_reading()
                assert await reader.readexactly(8) == ENCRYPTION_REQUEST
                writer.write(b"S")
            await writer.start_tls(self._context)
            await asyncio.gather(_pass_on(reader, server[1]), _pass_on(server[0], writer))
        finally:
            server[1].transport.abort()
            self._open -= {writer, server[1]}

    def _end(self) -> None:
        for writer in self._open:
            writer.transport.abort()


def secured(url: str, authority: trustme.CA, *, on_request: bool = False) -> Terminator:
    """The server of a URL, behind TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return Terminator(parts.hostname, parts.port, context, on_request=on_request)


async def a_job_and_a_bell(backend: Backend) -> None:
    """A sleeper is woken by a job, which is claimed and ends."""
    asleep = asyncio.create_task(backend.wait(["default"], 30, ALICE))
    await asyncio.sleep(0.05)
    await put(backend, job("over TLS"))
    await asyncio.wait_for(asleep, 5)
    one = await claim_one(backend)
    assert one.payload == "over TLS"
    await ack(backend, succeeded(one))


def _both_ways(stream: Stream) -> asyncio.Transport:
    transport = stream[1].transport
    assert isinstance(transport, asyncio.Transport)
    return transport


def _pause_anew(transport: asyncio.Transport) -> None:
    if not transport.is_reading():
        transport.resume_reading()
        transport.pause_reading()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()
