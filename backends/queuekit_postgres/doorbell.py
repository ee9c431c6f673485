"""Doorbells: one connection that LISTENs, and events that it sets."""

import asyncio
import hashlib
import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from queuekit.errors import QueuekitError
from queuekit_postgres.connection import Connection, Dialer

BROKEN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The last one if somebody hung up in the middle of a statement."""
LOOK_SOON = 0.9
"""Seconds within which a sleeper looks whether somebody else, who was rung, has come; not all at once."""
OTHERS = "?"
"""What begins the message that others were rung, before the queue."""
AGAIN_AFTER = 1.0
"""Seconds until a doorbell that could not be opened is tried again."""


class Sleeper:
    """Somebody who waits for the bell of a process, and for the bell of all that names one of his queues."""

    def __init__(self, queues: Collection[str]) -> None:
        self._queues = frozenset(queues)
        self._rung = asyncio.Event()
        self._sleeping: asyncio.Timeout | None = None
        self._stirred = False

    def ring(self, queue: str = "") -> None:
        """Wake him if that concerns him; no queue concerns everybody."""
        if not queue or queue in self._queues:
            self._rung.set()

    def stir(self, queue: str) -> None:
        """Others were rung: if that concerns him he looks in a moment whether they have come."""
        if queue in self._queues:
            self._stirred = True
            if self._sleeping is not None:
                self._look_soon(self._sleeping)

    async def sleep(self, seconds: float) -> bool:
        """Sleep; whether the bell rang."""
        try:
            async with asyncio.timeout(seconds) as self._sleeping:
                if self._stirred:
                    self._look_soon(self._sleeping)
                await self._rung.wait()
        except TimeoutError:
            self._stirred = False
            return False
        finally:
            self._sleeping = None
        return True

    def _look_soon(self, sleeping: asyncio.Timeout) -> None:
        soon = asyncio.get_running_loop().time() + LOOK_SOON * random.uniform(0.5, 1)
        end = sleeping.when()
        if not sleeping.expired() and (end is None or soon < end):
            sleeping.reschedule(soon)

    def reset(self) -> None:
        """Sleep on: the next ring counts."""
        self._rung.clear()


class Doorbell:
    """The one LISTEN connection of a backend, opened for the first sleeper and again after it was lost."""

    def __init__(self, dialer: Dialer, schema: str) -> None:
        self._dialer = dialer
        self._schema = schema
        self._sleepers: defaultdict[str, set[Sleeper]] = defaultdict(set)
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()
        self._not_before = 0.0
        self._heard: set[str] = set()
        self._missed: set[str] = set()

    @property
    def audible(self) -> bool:
        """Whether a ring would be heard; if not, sleepers have to look."""
        return self._connection is not None and not self._connection.is_closed()

    @contextmanager
    def sleeper(self, process: str, queues: Collection[str] = ()) -> Iterator[Sleeper]:
        """Be woken by the bell of a process; what rang while nobody slept wakes the next one."""
        channel, sleeper = self._channel(process), Sleeper(queues)
        self._sleepers[channel].add(sleeper)
        if channel in self._missed:
            self._missed.discard(channel)
            sleeper.ring()
        try:
            yield sleeper
        finally:
            self._sleepers[channel].discard(sleeper)
            if not self._sleepers[channel]:
                del self._sleepers[channel]

    async def listen(self, process: str) -> None:
        """See to it that the bell of a process is heard, if that can be."""
        channel = self._channel(process)
        if (self.audible and channel in self._heard) or not self._dialer.can_listen:
            return
        async with self._opening:
            if asyncio.get_running_loop().time() < self._not_before:
                return
            try:
                async with asyncio.timeout(self._dialer.timeout):
                    await self._listen(channel)
            except (*BROKEN, QueuekitError):
                self._not_before = asyncio.get_running_loop().time() + AGAIN_AFTER
                self.hang_up()
            except asyncio.CancelledError:
                # The driver takes the answer to what was cancelled for the answer to the next statement.
                self.hang_up()
                raise

    def hang_up(self) -> None:
        """Drop a connection that was found deaf; the next sleeper opens another one."""
        connection, self._connection = self._connection, None
        self._heard.clear()
        if connection is not None:
            self._dialer.retire(connection)

    async def _listen(self, channel: str) -> None:
        if not self.audible:
            self.hang_up()
            self._connection = await self._dialer.connect_to_listen()
        connection = self._connection
        assert connection is not None
        for missing in {self._channel(""), channel} - self._heard:
            await connection.add_listener(missing, self._ring)
            self._heard.add(missing)

    def _ring(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        if channel == self._channel(""):
            everybody = [s for sleepers in self._sleepers.values() for s in sleepers]
            queue = str(payload)
            for sleeper in everybody:
                if queue.startswith(OTHERS):
                    sleeper.stir(queue.removeprefix(OTHERS))
                else:
                    sleeper.ring(queue)
        elif channel in self._sleepers:
            for sleeper in self._sleepers[channel]:
                sleeper.ring()
        else:
            self._missed.add(channel)

    def _channel(self, process: str) -> str:
        # as the schema's function `bell` has it
        name = f"{self._schema}./{process}".encode()
        return f"queuekit_{hashlib.md5(name, usedforsecurity=False).hexdigest()}"
