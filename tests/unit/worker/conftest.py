"""The parts of a worker on a store in memory; each test runs those that it is about."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import count
from time import monotonic
from typing import Any, Protocol

import pytest

from queuekit import Queuekit
from queuekit.backend import Ask
from queuekit.job import Claimant, Job, JobRef, Token
from queuekit.record import JobRecord
from queuekit.worker.options import WorkerOptions
from queuekit.worker.parts import Parts
from queuekit.worker.run import Run

ME = "me"


class Bench(Parts):
    """The parts of one worker, of which none runs by itself, and jobs for them."""

    def __init__(self, qk: Queuekit, backend: Any, options: WorkerOptions) -> None:
        @qk.task(name="task", keep=timedelta(hours=1), backoff=lambda attempt, error: 60)
        async def task() -> None: ...

        super().__init__(qk._store, qk.tasks, options, backend, ["default"], ME)
        self._task = task
        self._numbers = count(1_000)
        self._fetch = backend.fetch

    async def enqueue(self, number: int = 1, **options: Any) -> list[Job[Any]]:
        jobs = [self._task.with_options(**options).job() for _ in range(number)]
        await self.backend.enqueue(jobs)
        return jobs

    async def claim(self, number: int = 1, *, process: str = ME, lease: float = 60) -> list[Run]:
        """Jobs that this worker (or another one) has claimed, and that are nowhere on its board."""
        claimant, asked_at = Claimant(process, next(self._numbers)), monotonic()
        length = int(lease * 1_000_000)
        fetched = await self._fetch(Ask(["default"], number, claimant, length, number))
        return [Run(self.board, claim, asked_at) for claim in fetched.claims]

    async def run(self, **options: Any) -> Run:
        """A run of a new job, as `claim`."""
        await self.enqueue()
        (run,) = await self.claim(**options)
        return run

    async def record(self, of: JobRef | Token) -> JobRecord:
        (record,) = await self.backend.inspector.get([JobRef(of.queue, of.id)])
        assert record is not None
        return record


class Make(Protocol):
    """Makes a bench, with options of a worker."""

    def __call__(self, **options: Any) -> Awaitable[Bench]: ...


@pytest.fixture
async def make_bench() -> AsyncIterator[Make]:
    qk = Queuekit("sqlite://")

    async def make(**options: Any) -> Bench:
        chosen: dict[str, Any] = {"concurrency": 2, "lease": 60.0, **options}
        return Bench(qk, await qk.backend(), WorkerOptions(**chosen))

    async with qk:
        yield make


@pytest.fixture
async def bench(make_bench: Make) -> Bench:
    return await make_bench()


async def turns() -> None:
    """Let everything go on that waits for nothing outside of the event loop."""
    for _ in range(50):
        await asyncio.sleep(0)


class Calls:
    """Counts the calls of a verb of one object, and keeps what they asked for."""

    def __init__(self, of: Any, verb: str) -> None:
        self._carry_out: Callable[..., Awaitable[Any]] = getattr(of, verb)
        self.asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        setattr(of, verb, self)

    def __len__(self) -> int:
        return len(self.asked)

    async def __call__(self, *args: Any, **named: Any) -> Any:
        self.asked.append((args, named))
        return await self._carry_out(*args, **named)
