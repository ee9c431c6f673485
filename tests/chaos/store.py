"""The store of one test, and its outages."""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from queuekit.backend import Backend, JobFilter
from queuekit.errors import BackendUnavailable
from queuekit.job import FINISHED, Job, JobRef, State
from queuekit.record import JobRecord
from queuekit.testing.servers import Server
from tests.waiting import eventually

P = ParamSpec("P")
R = TypeVar("R")
PAGE = 200


class Store:
    """Where the jobs are.

    Attributes:
        url: that processes connect to.
        namespace: that no other test has.
    """

    def __init__(self, url: str, namespace: str, backend: Backend) -> None:
        self.url = url
        self.namespace = namespace
        self.backend = backend

    async def enqueue(self, jobs: Sequence[Job[Any]]) -> None:
        await patiently(self.backend.enqueue, jobs)

    async def all_ended(self) -> None:
        """Wait until no job is left unfinished."""
        await eventually(self._nothing_left, 300)

    async def records(self, ids: Iterable[UUID]) -> dict[UUID, JobRecord | None]:
        """What the queue knows of jobs."""
        wanted, found = list(ids), dict[UUID, JobRecord | None]()
        for start in range(0, len(wanted), PAGE):
            page = wanted[start : start + PAGE]
            records = await patiently(
                self.backend.inspector.get, [JobRef("default", id_) for id_ in page]
            )
            found |= zip(page, records, strict=True)
        return found

    async def ids(self) -> list[UUID]:
        """Of all jobs, as often as the queue lists them."""
        refs = await patiently(self._refs)
        return [ref.id for ref in refs]

    async def _refs(self) -> list[JobRef]:
        pages = self.backend.inspector.refs(JobFilter())
        return [ref async for page in pages for ref in page]

    async def counts(self) -> dict[State, int]:
        """Jobs by state."""
        infos = await patiently(self.backend.inspector.queues)
        return {state: count for info in infos for state, count in info.counts.items()}

    async def processes(self) -> dict[int, str]:
        """The registered processes' names, by pid."""
        workers = await patiently(self.backend.inspector.workers)
        return {one.presence.pid: one.presence.process for one in workers}

    async def held_by(self, process: str) -> set[tuple[UUID, int]]:
        """The leases of a process."""
        leases = await patiently(self.backend.leases, process)
        return {(one.token.id, one.token.delivery) for one in leases}

    async def _nothing_left(self) -> bool:
        return not set(await self.counts()) - FINISHED


class MortalStore(Store, ABC):
    """One that can be away."""

    @abstractmethod
    def gone(self, *, hanging: bool = False) -> AbstractAsyncContextManager[None]:
        """Nobody can use it within the block.

        Args:
            hanging: connections stay open and nothing answers; else the server crashes and starts again.
        """


class ServerStore(MortalStore):
    """A server that can be killed."""

    def __init__(self, server: Server, namespace: str, backend: Backend) -> None:
        super().__init__(server.url, namespace, backend)
        self._server = server

    @asynccontextmanager
    async def gone(self, *, hanging: bool = False) -> AsyncIterator[None]:
        away: Callable[[], None] = self._server.pause if hanging else self._crash
        back = self._server.resume if hanging else self._server.start
        await asyncio.to_thread(away)
        try:
            yield
        finally:
            await asyncio.to_thread(back)

    def _crash(self) -> None:
        self._server.stop(immediate=True)


class FileStore(MortalStore):
    """A file that others can lock."""

    @asynccontextmanager
    async def gone(self, *, hanging: bool = False) -> AsyncIterator[None]:
        other = sqlite3.connect(
            self.url.removeprefix("sqlite:///"), timeout=60, check_same_thread=False
        )
        try:
            await asyncio.to_thread(other.execute, "BEGIN EXCLUSIVE")
            yield
        finally:
            other.close()


async def patiently(call: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Repeat a call through an outage."""
    answers: list[R] = []

    async def answered() -> bool:
        try:
            answers.append(await call(*args, **kwargs))
        except BackendUnavailable:
            return False
        return True

    await eventually(answered, 600)
    return answers[0]
