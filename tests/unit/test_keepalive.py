"""For the kernel's watch over connections that only listen."""

import asyncio
import socket
from pathlib import Path

from queuekit.keepalive import SECONDS, keep_alive


async def test_a_broken_path_is_seen_within_seconds() -> None:
    async with await asyncio.start_server(_hang_up, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        keep_alive(writer)
        stream: socket.socket = writer.get_extra_info("socket")
        assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        known = {name: value for name, value in SECONDS.items() if hasattr(socket, name)}
        for name, value in known.items():
            assert stream.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
        await _close(writer)


async def test_what_does_not_leave_the_machine_needs_none(tmp_path: Path) -> None:
    keep_alive(None)
    async with await asyncio.start_unix_server(_hang_up, tmp_path / "socket"):
        _, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        keep_alive(writer)
        stream: socket.socket = writer.get_extra_info("socket")
        assert not stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await _close(writer)


async def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()
