"""The store of an app: a backend for each event loop, what tasks put into it, and what handles ask of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from uuid import UUID

from queuekit.backend import Backend, Change, Inspector, Refusal
from queuekit.config import Settings
from queuekit.context import current_run
from queuekit.cutover.shim import CutoverBackend
from queuekit.errors import BackendRefused, InvalidOption, QueueMoved
from queuekit.handle import Handle
from queuekit.job import Job, JobRef, State
from queuekit.lifecycle import Event
from queuekit.log import log
from queuekit.loops import Portal
from queuekit.producer import Producer
from queuekit.record import JobRecord
from queuekit.registry import backend_class

if TYPE_CHECKING:
    from queuekit.task import Task

R = TypeVar("R")

POLL_RESULT: Final = 20.0
"""Seconds of one wait for a result; longer waits are made of several."""
LOOK_AT_SLOTS: Final = 1.0
"""Seconds of one wait by a task that has taken the last slot: the job that it waits for may need one."""


class Store:
    """Opens a backend in each event loop that asks for one, also after a fork.

    Args:
        settings: which backend, and how it is opened.
        tasks: by name; they give what is stored its types.
    """

    def __init__(self, settings: Settings, tasks: "Mapping[str, Task[..., Any]]") -> None:
        self.use(settings)
        self.tasks = tasks
        self._lines: dict[asyncio.AbstractEventLoop, _Line] = {}
        self._portal = Portal()
        self._waited_in_vain: set[str] = set()
        self._pid = os.getpid()

    def use(self, settings: Settings) -> None:
        """Go by other settings from now on; what is open stays as it is."""
        self.settings = settings
        self.max_payload = settings.max_payload  # a look-up less for each job

    # Enqueueing

    async def enqueue(self, job: Job[R], connection: object | None = None) -> Handle[R]:
        """Store one job; what `Task.enqueue` calls."""
        producer = await self.producer()
        if connection is None:
            change = await producer.enqueue(job)
        else:
            (change,) = await producer.enqueue_now([job], atomic=True, connection=connection)
        return self._handle(job, change)

    async def enqueue_many(
        self, jobs: Iterable[Job[Any]], *, atomic: bool, connection: object | None
    ) -> list[Handle[Any]]:
        """Store jobs in one round trip; what `Queuekit.enqueue_many` calls."""
        jobs = list(jobs)
        if not {Job}.issuperset(map(type, jobs)):
            raise InvalidOption("enqueue_many takes jobs; make each with task.job(...)")
        if not jobs:
            return []
        producer = await self.producer()
        odd = (await producer.enqueue_now(jobs, atomic=atomic, connection=connection)).odd
        return [self._handle(job, odd.get(place)) for place, job in enumerate(jobs)]

    def enqueue_sync(self, job: Job[R]) -> Handle[R]:
        """Store one job, from code without an event loop; what `Task.enqueue_sync` calls."""
        return self._portal.call(lambda: self.enqueue(job))

    def _handle(self, job: Job[R], change: Change | None) -> Handle[R]:
        """Of what was stored or was there; None: it was stored as asked."""
        queue, task = job.options.queue, self.tasks.get(job.task)
        if change is None or (change.found is None and change.done):
            return Handle(self, job.id, queue, task)
        if change.refused is Refusal.UNSTORABLE:
            raise BackendRefused(f"Job {job.id} of task {job.task!r} was refused: {change.detail}")
        if change.refused is Refusal.MOVED:
            raise QueueMoved(queue, change.detail or "another store")
        if change.refused is Refusal.STALE:
            raise BackendRefused(
                f"Queue {queue!r} is in a cutover, and this process does not know of it, so it can't enqueue a job "
                f"with a key: set QUEUEKIT_CUTOVER_TO (the other store is {change.detail}) and restart."
            )
        return Handle(self, change.holder or job.id, queue, task, True)

    # Opening and closing

    async def backend(self) -> Backend:
        """The opened backend of this event loop."""
        return (await self._line()).backend

    async def inspector(self) -> Inspector:
        """The same, for people's eyes and hands."""
        return (await self._line()).backend.inspector

    async def producer(self) -> Producer:
        """The producer of this event loop."""
        return (await self._line()).producer

    async def close(self) -> None:
        """Send what waits and give back this event loop's connections."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.close()

    def close_sync(self) -> None:
        """End what calls from code without an event loop have opened."""
        self._portal.call(self.close)
        self._portal.stop()

    async def enter(self) -> None:
        """Open for one more user."""
        (await self._line()).users += 1

    async def leave(self) -> None:
        """Close with the last one."""
        line = await self._line()
        line.users -= 1
        if not line.users:
            await self.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open for as long as the block lasts, if it was not; what was open stays so, an in-memory store above all."""
        was_open = asyncio.get_running_loop() in self._lines
        await self._line()
        try:
            yield
        finally:
            if not was_open:
                await self.close()

    # What handles need

    def run_sync(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine from code without an event loop."""
        try:
            return self._portal.call(lambda: coroutine)
        finally:
            coroutine.close()

    async def record(self, ref: JobRef) -> JobRecord | None:
        """What is known of a job."""
        (record,) = await (await self.inspector()).get([ref])
        return record

    async def locate(self, job_id: UUID) -> JobRef | None:
        """Where the job of an id is; the one enqueued last if several queues have one."""
        (ref,) = await (await self.inspector()).locate([job_id])
        return ref

    async def finished(self, ref: JobRef, wait_for: float | None) -> JobRecord:
        """Wait for a job's end. Raises `TimeoutError`, `JobNotFound`."""
        backend, loop = await self.backend(), asyncio.get_running_loop()
        end = None if wait_for is None else loop.time() + wait_for
        while True:
            poll = LOOK_AT_SLOTS if self._may_wait_in_vain() else POLL_RESULT
            left = poll if end is None else min(poll, end - loop.time())
            records = await backend.results([ref], max(left, 0))
            if ref in records:
                return records[ref]
            if end is not None and loop.time() >= end:
                raise TimeoutError(
                    f"Job {ref.id} has not ended within {wait_for:g} s; is a worker running?"
                )
            if self._may_wait_in_vain():
                await self._warn_if_no_slot_is_left(ref)

    async def cancel(self, ref: JobRef) -> Change:
        """Cancel, or say why not."""
        (change,) = await (await self.inspector()).steer(Event.CANCEL, [ref])
        return change

    def _may_wait_in_vain(self) -> bool:
        """Whether a task waits, in a worker without a free slot, and nobody was told of that yet."""
        run = current_run.get(None)
        return run is not None and run.crowded and run.claim.task not in self._waited_in_vain

    async def _warn_if_no_slot_is_left(self, ref: JobRef) -> None:
        """The job may wait for the slot of the task that waits for it."""
        run, record = current_run.get(), await self.record(ref)
        if record is not None and record.state is State.READY:
            self._waited_in_vain.add(run.claim.task)
            log.warning(
                "a task waits for a job while every slot of its worker is taken: if all wait, none goes on; raise "
                "concurrency, or serve the other queue by another worker",
                task=run.claim.task,
                waits_for=record.job.task,
            )

    async def _line(self) -> "_Line":
        if self._pid != os.getpid():
            self._lines, self._pid = {}, os.getpid()
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            self._lines = {
                known: line for known, line in self._lines.items() if not known.is_closed()
            }
            line = self._lines[loop] = _Line(_backend_of(self.settings))
        await line.open()
        return line


def _backend_of(settings: Settings) -> Backend:
    """The one that is configured; both as one while a cutover is."""
    first = backend_class(settings.url)(settings.url, settings.backend)
    to = settings.cutover_to
    if to is None:
        return first
    second = backend_class(to)(to, settings.backend)
    return cast(
        Backend, CutoverBackend(first, second, settings.mirror)
    )  # made otherwise than by a URL


class _Line:
    """One event loop's connection to the store."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.producer = Producer(backend)
        self.users = 0
        self._opening = asyncio.Lock()
        self._opened = False

    async def open(self) -> None:
        if not self._opened:
            async with self._opening:
                if not self._opened:
                    await self.backend.open()
                    self._opened = True

    async def close(self) -> None:
        await self.producer.close()
        await self.backend.close()
