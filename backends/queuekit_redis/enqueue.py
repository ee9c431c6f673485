"""Storing jobs: one script for the jobs of a queue, the short one if all of them are plain."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from queuekit.backend import Answer, Stored
from queuekit.errors import BackendRefused, InvalidOption, QueuekitError
from queuekit.job import Job, State
from queuekit_redis.connection import Argument
from queuekit_redis.rows import PLAIN, flag_of, head_of, is_ready_at_once
from queuekit_redis.statements import Call, Scripts, raised

MOST_JOBS: Final = 1000
MOST_BYTES: Final = 4_000_000
STORED: Final = Answer(Stored.STORED, State.READY)
REGISTER_EVERY: Final = 60.0


class Batch:
    """Jobs of one queue that go in one script.

    Args:
        queue: theirs.
        indices: their places in what the caller gave.
        jobs: themselves.
    """

    def __init__(self, queue: str, indices: Sequence[int], jobs: Sequence[Job[Any]]) -> None:
        self.queue = queue
        self.indices = indices
        self._jobs = jobs
        self.plain = _are_plain(jobs)

    def call(self, scripts: Scripts) -> Call:
        """The script that stores them."""
        if self.plain:
            return scripts.call("enqueue_plain", self.queue, self._plain_arguments())
        return scripts.call("enqueue", self.queue, self._arguments())

    def answers(self, reply: Any) -> list[Answer]:
        """What became of each."""
        if isinstance(reply, QueuekitError):
            return [Answer(Stored.REFUSED, error=str(reply))] * len(self._jobs)
        if self.plain:
            return [STORED] * len(self._jobs)
        return [_answer(*one) for one in reply]

    def _plain_arguments(self) -> Iterator[Argument]:
        yield flag_of(self._jobs[0])
        task, options, head, priority = "", None, b"", 0
        for job in self._jobs:
            if job.options is not options or job.task != task:
                task, options = job.task, job.options
                head, priority = head_of(job), options.priority
            yield job.id.bytes
            yield priority
            yield head + job.payload.encode()

    def _arguments(self) -> Iterator[Argument]:
        for job in self._jobs:
            yield job.id.bytes
            yield flag_of(job)
            yield 0 if job.fresh else 1
            yield job.options.key_policy
            yield head_of(job) + job.payload.encode()


def _are_plain(jobs: Sequence[Job[Any]]) -> bool:
    """Whether jobs may be stored in bulk: a repeated id, for one, needs a look at one job after the other."""
    if len({job.id for job in jobs}) < len(jobs) or len({flag_of(job) for job in jobs}) > 1:
        return False
    return all(job.fresh and is_ready_at_once(job) for job in jobs)


def _answer(kind: bytes, state: bytes | None, holder: bytes | None) -> Answer:
    return Answer(
        Stored(kind.decode()),
        State(state.decode()) if state else None,
        UUID(bytes=holder) if holder else None,
    )


def _refusal(job: Job[Any]) -> str | None:
    """Why the server could not store a job, if it could not."""
    try:
        job.payload.encode()
        if flag_of(job) != PLAIN:
            "".join([job.key or "", job.options.extra, *job.options.tags]).encode()
    except UnicodeEncodeError as error:
        return f"its text is no UTF-8: {error}"
    return None


def _batches(jobs: Sequence[Job[Any]], usable: Sequence[int], *, whole: bool) -> Iterator[Batch]:
    """Jobs by queue, in batches of bounded size.

    Args:
        jobs: of any queues.
        usable: indices of those to be stored.
        whole: all jobs of a queue go together.
    """
    by_queue: dict[str, list[int]] = {}
    for index in usable:
        by_queue.setdefault(jobs[index].options.queue, []).append(index)
    for queue, indices in by_queue.items():
        for some in [indices] if whole else _bounded(jobs, indices):
            yield Batch(queue, some, [jobs[index] for index in some])


def _bounded(jobs: Sequence[Job[Any]], indices: Sequence[int]) -> Iterator[list[int]]:
    some: list[int] = []
    size = 0
    for index in indices:
        size += len(jobs[index].payload)
        if some and (len(some) == MOST_JOBS or size > MOST_BYTES):
            yield some
            some, size = [], len(jobs[index].payload)
        some.append(index)
    yield some


def _check_atomic(jobs: Sequence[Job[Any]], reasons: Sequence[str | None]) -> None:
    """Raises `BackendRefused` for the first job that can't be stored."""
    for index, reason in enumerate(reasons):
        if reason is not None:
            raise BackendRefused(
                f"Job {index} of the batch ({jobs[index].task}) can't be stored: {reason}. Nothing was stored."
            )


class Enqueuing:
    """Stores jobs, and keeps the list of all queues."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._registered: dict[str, float] = {}

    async def store(self, jobs: Sequence[Job[Any]], *, atomic: bool) -> list[Answer]:
        """Store jobs; one answer each, in order."""
        reasons = [_refusal(job) for job in jobs]
        answers = [Answer(Stored.REFUSED, error=reason) for reason in reasons]
        if atomic:
            _check_atomic(jobs, reasons)
        usable = [index for index, reason in enumerate(reasons) if reason is None]
        batches = list(_batches(jobs, usable, whole=atomic))
        await self._register({batch.queue for batch in batches})
        replicated = any(job.options.replicated for job in jobs)
        if atomic and len(batches) > 1:
            replies = await self._run_at_once(batches, replicated=replicated)
        else:
            replies = await self._run_each(batches, replicated=replicated)
        for batch, reply in zip(batches, replies, strict=True):
            for index, answer in zip(batch.indices, batch.answers(reply), strict=True):
                answers[index] = answer
        return answers

    async def _run_each(self, batches: Sequence[Batch], *, replicated: bool) -> list[Any]:
        replies = await self._run(batches, replicated=replicated)
        # Nothing was done for a batch of plain jobs with a known id among them.
        again = [i for i, batch in enumerate(batches) if batch.plain and replies[i] == 0]
        for i in again:
            batches[i].plain = False
        repeated = await self._run([batches[i] for i in again], replicated=replicated)
        for i, reply in zip(again, repeated, strict=True):
            replies[i] = reply
        if all(isinstance(reply, Exception) for reply in replies):
            raised(replies)
        return replies

    async def _run(self, batches: Sequence[Batch], *, replicated: bool) -> list[Any]:
        calls = [batch.call(self._scripts) for batch in batches]
        return await self._scripts.run(calls, replicated=replicated) if calls else []

    async def _run_at_once(self, batches: Sequence[Batch], *, replicated: bool) -> list[Any]:
        if not self._scripts.connections.one_server:
            raise InvalidOption(
                "A Redis cluster has no transaction over several queues: enqueue with atomic=False."
            )
        for batch in batches:
            batch.plain = False
        calls = [batch.call(self._scripts) for batch in batches]
        return await self._scripts.run_at_once(calls, replicated=replicated)

    async def _register(self, queues: Collection[str]) -> None:
        """Put queues on the list of all queues, now and then again, in case the list was lost."""
        now = asyncio.get_running_loop().time()
        new = [queue for queue in queues if self._registered.get(queue, 0) < now]
        if not new:
            return
        await self._scripts.run_one("enqueue_register", None, *new)
        self._registered |= dict.fromkeys(new, now + REGISTER_EVERY)
