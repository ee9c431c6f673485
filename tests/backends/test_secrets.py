"""No error of a backend shows a password, however the URL is written and whatever the server answers."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from queuekit import Queuekit
from queuekit.errors import QueuekitError

SECRET = "hunter2"


async def told_at_opening(url: str, **settings: str) -> str:
    """All that anybody could see of it: the error with its causes, as a traceback shows them."""
    qk = Queuekit(url, timeout=5, **settings)
    with pytest.raises(QueuekitError) as caught:
        await qk.open()
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:hunter2/x@localhost/db",
        "postgres://me:hunter2?x@localhost/db",
        "postgres://me:hunter2#x@localhost/db",
        "postgres://me:1/hunter2@localhost:1/db",
        "postgres://me:1#hunter2@localhost:1/db",
        "postgres://me:hunter2@localhost:port/db",
        "postgres://localhost:1/db?password=hunter2&port=hunter2",
        "postgres:///db?host=localhost&port=1&password=hunter2",
        "redis://me:hunter2/x@localhost/0",
        "redis://me:hunter2#x@localhost/0",
        "redis://localhost:1/0?password=hunter2",
        "redis://localhost:1/0?password=hunter2&db=hunter2",
        "unix:///nowhere/redis.sock?password=hunter2",
        "redis+sentinel://me:hunter2@localhost:1/main?sentinel_password=hunter2",
        "redis+cluster://me:hunter2@localhost:1",
        "sqlite://me:hunter2@host/file.db",
        "sqlite:///file.db?password=hunter2",
        "me:hunter2@localhost/db",
        "host=localhost password=hunter2",
        "me:hunter2://localhost",
        "mysql://me:hunter2@localhost/db",
    ],
)
async def test_a_url_that_leads_nowhere(url: str) -> None:
    assert SECRET not in await told_at_opening(url)


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """The port of a server without users, which answers as Redis does: with what it was sent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = (await reader.read(1_000)).decode().split("\r\n")[2::2]
        words = " ".join(f"'{word}'" for word in sent[1:])
        writer.write(
            f"-ERR unknown command '{sent[0]}', with args beginning with: {words}\r\n".encode()
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "form", ["redis://me:hunter2@localhost:{}", "redis://localhost:{}?password=hunter2"]
)
async def test_a_server_that_quotes_what_it_was_sent(form: str) -> None:
    async with echoing() as port:
        told = await told_at_opening(form.format(port))
    assert "unknown command 'AUTH'" in told
    assert SECRET not in told


async def test_the_url_for_doorbells_is_kept_secret(postgres_url: str, namespace: str) -> None:
    told = await told_at_opening(
        "postgres://localhost:1/db", namespace=namespace, listen_url="postgres://me:hunter2/x@h/db"
    )
    assert SECRET not in told
