"""Doorbells between processes: datagram sockets in the temporary folder.

Who sleeps or waits leaves the address of its socket in the database; who has something for it rings there after the
commit. Both are write transactions, so one sees the other. A ring may get lost (its sender may be killed, the socket
may be out of reach in another container), so whoever waits looks at the version of the store besides, every `TICK`.
"""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

HAVE_SOCKETS: Final = hasattr(socket, "AF_UNIX")
TICK: Final = 0.09 if HAVE_SOCKETS else 0.015
"""Seconds between looks at the version of the store."""
LOOK_AGAIN: Final = 1.0 if HAVE_SOCKETS else TICK
"""Seconds between looks at jobs whose end is awaited."""
_LONGEST: Final = 4096
_PREFIX: Final = "queuekit-bell-"


class Bell(NamedTuple):
    """A ring to be sent: where, and for whom there."""

    address: str
    name: bytes


def of_process(process: str) -> bytes:
    """The name under which a process is rung."""
    return b"p" + process.encode()


def of_job(id_: UUID) -> bytes:
    """The name under which those are rung who wait for a job."""
    return b"j" + id_.bytes


def send(bells: Iterable[Bell]) -> None:
    """Ring. One that can't be delivered has nobody to wake, or will be made up for by a tick."""
    if not bells or not HAVE_SOCKETS:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for bell in bells:
            with contextlib.suppress(OSError):
                sender.sendto(bell.name, bell.address)


class Rung:
    """A wait for a ring."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """End the wait."""
        self._event.set()

    async def within(self, seconds: float) -> bool:
        """Whether a ring came; waits so long for one at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        came = self._event.is_set()
        self._event.clear()
        return came


class Doorbell:
    """The socket of one backend object, and who listens at it.

    A ring for a process that does not listen right now ends its next wait: a wake is never lost.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._listeners: dict[bytes, set[Rung]] = {}
        self._missed: set[bytes] = set()

    def address(self) -> str:
        """Where to ring; the socket is made by the first call. Empty where there are no such sockets."""
        if self._socket is None and HAVE_SOCKETS:
            # where the temporary folder does not allow one, ticks must do
            with contextlib.suppress(OSError):
                self._socket = self._made()
        return str(self._socket.getsockname()) if self._socket else ""

    @contextlib.contextmanager
    def listening(self, names: Iterable[bytes]) -> Iterator[Rung]:
        """Listen for rings with these names."""
        rung, wanted = Rung(), frozenset(names)
        for name in wanted:
            self._listeners.setdefault(name, set()).add(rung)
        if not self._missed.isdisjoint(wanted):
            self._missed -= wanted
            rung.ring()
        try:
            yield rung
        finally:
            for name in wanted:
                self._listeners[name].discard(rung)
                if not self._listeners[name]:
                    del self._listeners[name]

    def close(self) -> None:
        """Remove the socket."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        Path(self._socket.getsockname()).unlink(missing_ok=True)
        self._socket.close()
        self._socket = None

    def _made(self) -> socket.socket:
        folder = Path(tempfile.gettempdir())
        _sweep(folder)
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}"
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.bind(str(path))
        except OSError:
            made.close()
            raise
        path.chmod(0o600)
        made.setblocking(False)
        asyncio.get_running_loop().add_reader(made, self._hear, made)
        return made

    def _hear(self, made: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                name = made.recv(_LONGEST)
                for rung in self._listeners.get(name, ()):
                    rung.ring()
                if name not in self._listeners and name.startswith(b"p"):
                    self._missed.add(name)


def _sweep(folder: Path) -> None:
    """Remove the sockets of processes that were killed: nobody answers there."""
    for path in filter(Path.is_socket, folder.glob(f"{_PREFIX}*")):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe,
        ):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
