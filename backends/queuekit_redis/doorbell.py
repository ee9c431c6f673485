"""Doorbells: one connection that listens for all that sleep or wait in this process.

It is opened by the first who needs it. If it breaks it is made anew, and everybody is woken, because a ring may have
been missed meanwhile. While it can't be heard, who sleeps looks by himself every second.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID, uuid4

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from queuekit.errors import QueuekitError
from queuekit.keepalive import keep_alive
from queuekit.loops import start
from queuekit_redis.connection import Connections

PING_EVERY: Final = 30.0
PONG_WITHIN: Final = 2.0
RECONNECT_EVERY: Final = 5.0
"""Seconds between attempts while nobody new asks: during an outage each costs a worker CPU time for nothing."""
SUBSCRIBED_WITHIN: Final = 1.0
WORK: Final = b"work"
"""There is work for a sleeper, who is registered no more."""
LOOK: Final = b"look"
"""Others were rung for work: is it still there after a moment?"""


class Bell:
    """What one channel has said. A ring that comes while nobody waits is kept for the next."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.subscribed = asyncio.Event()
        self._rung = asyncio.Event()
        self._last = b""

    def ring(self, message: bytes = b"") -> None:
        """Wake who waits for it."""
        self._last = message
        self._rung.set()

    async def wait(self, seconds: float) -> bytes | None:
        """The last message as soon as it rings; None if it does not within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        if not self._rung.is_set():
            return None
        self._rung.clear()
        return self._last


class Doorbells:
    """All bells of one backend object.

    Args:
        connections: to the server.
        prefix: what the names of channels start with.
    """

    def __init__(self, connections: Connections, prefix: str) -> None:
        self._connections = connections
        self._prefix = prefix
        self._bells: dict[bytes, Bell] = {}
        self._waiting: dict[bytes, set[asyncio.Event]] = defaultdict(set)
        self._own = f"{prefix}{uuid4().hex}"
        self._connection: AbstractConnection | None = None
        self._listener: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Doorbells: {len(self._bells)} channels, {len(self._waiting)} jobs waited for>"

    async def bell(self, process: str) -> Bell:
        """The bell of a process, listened to unless the server is away."""
        return await self._listen_to(f"{self._prefix}{process}")

    async def results_channel(self) -> str:
        """The channel on which this backend object is told of finished jobs."""
        return (await self._listen_to(self._own)).channel

    @contextlib.contextmanager
    def told_of(self, ids: Iterable[UUID]) -> Iterator[asyncio.Event]:
        """An event that is set when one of these jobs has finished."""
        told = asyncio.Event()
        keys = [id_.bytes for id_ in ids]
        for key in keys:
            self._waiting[key].add(told)
        try:
            yield told
        finally:
            for key in keys:
                self._waiting[key].discard(told)
                if not self._waiting[key]:
                    del self._waiting[key]

    async def close(self) -> None:
        """Stop listening."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listener
        self._bells.clear()

    async def _listen_to(self, channel: str) -> Bell:
        bell = self._bells.get(channel.encode())
        if bell is None:
            bell = self._bells[channel.encode()] = Bell(channel)
            if self._connection is not None:
                with contextlib.suppress(RedisError, OSError):
                    await self._connection.send_command("SUBSCRIBE", channel)
        if self._listener is None or self._listener.done():
            self._listener = start(self._listen(), "queuekit doorbells")
        if not bell.subscribed.is_set():
            self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBED_WITHIN):
                await bell.subscribed.wait()
        return bell

    async def _listen(self) -> None:
        while True:
            self._wanted.clear()
            with contextlib.suppress(QueuekitError, RedisError, OSError):
                await self._listen_once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECONNECT_EVERY):
                    await self._wanted.wait()

    async def _listen_once(self) -> None:
        connection = await self._connections.connect()
        try:
            keep_alive(connection._writer)  # noqa: SLF001  # there is no other way to it
            # Whoever comes from now on subscribes by himself.
            self._connection = connection
            await connection.send_command("SUBSCRIBE", *self._bells)
            await self._read(connection)
        finally:
            self._connection = None
            for bell in self._bells.values():
                bell.subscribed.clear()
            self._wake_all()
            await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection) -> None:
        pinged = False
        while True:
            patience = PONG_WITHIN if pinged else PING_EVERY
            said = await connection.read_response(timeout=patience, disconnect_on_error=False)
            if said is not None:
                pinged = False
                self._hear(*said)
            elif pinged:
                return
            else:
                pinged = True
                await connection.send_command("PING")

    def _hear(self, what: bytes, channel: bytes, message: Any = None) -> None:
        if what == b"subscribe":
            self._bells[channel].subscribed.set()
        elif what == b"message" and channel == self._own.encode():
            for told in self._waiting.get(message, ()):
                told.set()
        elif what == b"message":
            self._bells[channel].ring(message)

    def _wake_all(self) -> None:
        for bell in self._bells.values():
            bell.ring()
        for events in self._waiting.values():
            for told in events:
                told.set()
