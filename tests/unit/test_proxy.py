"""What stands between clients and servers leaves nothing behind."""

import asyncio
import contextlib
import gc
import socket

import pytest

from queuekit.testing.proxy import Proxy


@pytest.mark.parametrize("turns", range(8))
def test_a_connection_of_the_last_moment_is_closed(turns: int) -> None:
    """Whatever the turn of the loop in which it comes; a socket left open would be a ResourceWarning."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        host, port = server.getsockname()
        client.settimeout(5)

        async def connect_and_leave() -> None:
            async with Proxy(host, port) as proxy:
                client.connect(proxy.address)
                for _ in range(turns):
                    await asyncio.sleep(0)

        asyncio.run(connect_and_leave())
        gc.collect()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
