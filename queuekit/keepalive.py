"""Connections on which one only listens: a broken path is seen by the kernel, which costs a server no command."""

import asyncio
import socket
from typing import Final

SECONDS: Final = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2}
"""When the other side is asked whether it is there, as TCP has it: after 2 s, each second; not there after 2 times."""


def keep_alive(connection: asyncio.BaseTransport | asyncio.StreamWriter | None) -> None:
    """Have it broken within seconds if the other side can't be reached any more; nothing where that can't be had."""
    if connection is None:
        return
    stream: socket.socket = connection.get_extra_info("socket")
    if stream.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SECONDS.items():
        if hasattr(socket, name):
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
