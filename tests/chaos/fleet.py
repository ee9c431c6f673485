"""Real processes, to be killed, stopped and replaced."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from tests.chaos.ledger import FOLDER, WRITER, Ledger
from tests.chaos.store import Store
from tests.waiting import LOOK_EVERY, eventually

COMMANDS: Final = {
    "worker": ("-m", "queuekit", "worker", "tests.chaos.app:qk"),
    "producer": ("-m", "tests.chaos.producer"),
}
ROOT: Final = Path(__file__).parents[2]


@dataclass(eq=False)
class Member:
    """One process.

    Attributes:
        name: as it signs in the ledger.
        log: what it wrote to stderr.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Fleet:
    """Several processes of one kind. The dead are replaced; those that are left are killed at the end.

    Args:
        size: how many there are at any time.
        lease: seconds.
        concurrency: jobs at once in each.
        kind: worker or producer.
        cutover_to: what they are told of a cutover; empty: nothing.

    Attributes:
        members: all that ever were.
        forfeited: leases that dead or stopped members held, by job and token.
        stops: who was stopped, and when it was allowed to go on.
    """

    store: Store
    ledger: Ledger
    size: int
    lease: float = 1.0
    concurrency: int = 5
    kind: str = "worker"
    cutover_to: str = ""
    members: list[Member] = field(default_factory=list)
    forfeited: set[tuple[UUID, int]] = field(default_factory=set)
    stops: list[tuple[Member, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._names: dict[int, str] = {}
        self._unheard: dict[Member, float] = {}
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        for _ in range(self.size):
            self._start()
        self._watch = asyncio.create_task(self._watch_over_them())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        for member in self.alive:
            member.process.kill()
            member.process.wait()
        # Shown if the test fails.
        for member in self.members:
            print(member.name, member.said()[-2000:])  # noqa: T201

    @property
    def alive(self) -> list[Member]:
        return [member for member in self.members if member.alive]

    @property
    def busy(self) -> list[Member]:
        """Those alive that have something in the ledger."""
        known = {entry.writer for entry in self.ledger.of("start")}
        known |= {entry.writer for entry in self.ledger.of("acknowledged")}
        return [member for member in self.alive if member.name in known]

    def tracebacks(self) -> Iterator[str]:
        """Of members; whatever is done to them, none of them may be surprised by it."""
        for member in self.members:
            _, found, rest = member.said().partition("Traceback")
            if found:
                yield f"{member.name} was surprised: {rest[:3000]}"

    async def one_is_busy(self) -> None:
        """Wait until there is one to kill."""
        await eventually(lambda: bool(self.busy))

    async def all_listen(self) -> None:
        """Wait until each is registered."""
        await eventually(lambda: all(member.pid in self._names for member in self.alive))

    async def kill(self, member: Member) -> None:
        """SIGKILL."""
        print(f"{time.time():.3f}: {member.name} is killed")  # noqa: T201
        member.process.kill()
        await asyncio.to_thread(member.process.wait)

    async def stop(self, member: Member, seconds: float) -> None:
        """SIGSTOP for some time, at a moment at which it holds no lock that would stop all others, too."""
        print(f"{time.time():.3f}: {member.name} is stopped")  # noqa: T201
        member.process.send_signal(signal.SIGSTOP)
        while not await self._others_can_work():
            member.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(LOOK_EVERY)
            member.process.send_signal(signal.SIGSTOP)
        self._unheard[member] = time.monotonic()
        await asyncio.sleep(seconds)
        self.stops.append((member, time.time()))
        member.process.send_signal(signal.SIGCONT)
        self._unheard.pop(member, None)

    async def _others_can_work(self) -> bool:
        try:
            async with asyncio.timeout(self.lease / 4):
                await self.store.backend.maintain(["default"])
        except TimeoutError:
            return False
        return True

    async def _watch_over_them(self) -> None:
        buried = set[Member]()
        while True:
            dead = [one for one in self.members if not one.alive and one not in buried]
            for member in dead:
                self._start()
                self._unheard[member] = time.monotonic()
            buried.update(dead)
            self._names |= await self.store.processes()
            await self._note_what_they_hold()
            await asyncio.sleep(LOOK_EVERY)

    async def _note_what_they_hold(self) -> None:
        """Again and again, as a claim that was under way at a death is granted after it."""
        for member, since in list(self._unheard.items()):
            name = self._names.get(member.pid)
            held = await self.store.held_by(name) if name else set()
            self.forfeited |= held
            if not held and time.monotonic() - since > 3 * self.lease:
                del self._unheard[member]

    def _start(self) -> None:
        told = "told-" if self.cutover_to else ""
        name = f"{told}{self.kind}-{len(self.members)}"
        log = self.ledger.folder / f"{name}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, *COMMANDS[self.kind]],
                cwd=ROOT,
                env=self._environment(name),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )
        self.members.append(Member(name, process, log))

    def _environment(self, name: str) -> dict[str, str]:
        return {
            **os.environ,
            FOLDER: str(self.ledger.folder),
            WRITER: name,
            "QUEUEKIT_URL": self.store.url,
            "QUEUEKIT_NAMESPACE": self.store.namespace,
            "QUEUEKIT_CUTOVER_TO": self.cutover_to,
            "QUEUEKIT_LEASE": str(self.lease),
            "QUEUEKIT_CONCURRENCY": str(self.concurrency),
        }
