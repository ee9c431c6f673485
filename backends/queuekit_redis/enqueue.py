"""Storing jobs: one script for the jobs of a queue, the short one if all of them are plain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from queuekit.backend import Change, Changes, Gate, Guard, Refusal
from queuekit.backend.model import refused, unstorable
from queuekit.errors import BackendRefused, InvalidOption, QueuekitError, QueueMoved
from queuekit.job import Job
from queuekit_redis.connection import Argument
from queuekit_redis.rows import due_of, flag_of, head_of, is_ready_at_once, read_odd
from queuekit_redis.statements import Scripts, bounded, raised

MOST_JOBS: Final = 1000


async def store(
    scripts: Scripts, jobs: Sequence[Job[Any]], *, atomic: bool = False, guard: Guard | None = None
) -> Changes:
    """Store jobs; one answer each, in order."""
    odd: dict[int, Change] = {}
    try:
        batches = list(_batches(scripts, jobs, range(len(jobs)), guard, whole=atomic))
    except UnicodeEncodeError:
        odd = _unstorable(jobs)
        if atomic:
            raise _nothing_stored(jobs, odd) from None
        usable = [index for index in range(len(jobs)) if index not in odd]
        batches = list(_batches(scripts, jobs, usable, guard, whole=False))
    await scripts.register({batch.queue for batch in batches})
    replicated = any(job.options.replicated for job in jobs)
    if atomic and len(batches) > 1:
        await _refuse_if_moved(scripts, [batch.queue for batch in batches])
        replies = await _run_at_once(scripts, batches, replicated=replicated)
    else:
        replies = await _run_each(scripts, batches, replicated=replicated)
    for batch, reply in zip(batches, replies, strict=True):
        odd.update(batch.odd(reply))
    moved = next((one for one in odd.values() if one.refused is Refusal.MOVED), None)
    if atomic and moved:
        raise QueueMoved(moved.ref.queue, moved.detail or "")
    return Changes(jobs, odd)


class Batch:
    """Jobs of one queue that go in one script.

    Args:
        scripts: of the backend.
        queue: theirs.
        indices: their places in what the caller gave.
        jobs: themselves.
        guard: what storing them depends on.

    Attributes:
        call: the script that stores them.

    Raises:
        UnicodeEncodeError: one of them holds text that can't be stored.
    """

    def __init__(
        self,
        scripts: Scripts,
        queue: str,
        indices: Sequence[int],
        jobs: Sequence[Job[Any]],
        guard: Guard | None,
    ) -> None:
        self.queue = queue
        self._indices = indices
        self._jobs = jobs
        self._guard = guard
        self.plain = _are_plain(jobs)
        if self.plain:
            self.call = scripts.call("enqueue_plain", queue, self._plain_arguments())
        else:
            self.take_long_way(scripts)

    def take_long_way(self, scripts: Scripts) -> None:
        """One job after the other, and nothing is in vain if one of them is known."""
        self.plain = False
        self.call = scripts.call("enqueue", self.queue, self._arguments())

    def odd(self, reply: Any) -> Iterator[tuple[int, Change]]:
        """What became of those that were not stored as they were asked to be, by their places."""
        if isinstance(reply, QueuekitError):
            for index, job in zip(self._indices, self._jobs, strict=True):
                yield index, refused(job.ref, Refusal.UNSTORABLE, detail=str(reply))
        elif not self.plain:
            for place, change in read_odd(self.queue, reply):
                yield self._indices[place], change

    def _plain_arguments(self) -> Iterator[Argument]:
        flag = flag_of(self._jobs[0])
        yield from self._guards()
        yield flag
        task, options, head, priority = "", None, b"", 0
        for job in self._jobs:
            if job.options is not options or job.task != task:
                task, options = job.task, job.options
                head, priority = head_of(job, flag), options.priority
            yield job.id.bytes
            yield priority
            yield head + job.payload.encode()

    def _arguments(self) -> Iterator[Argument]:
        yield from self._guards()
        for job in self._jobs:
            yield from fields_of(job)

    def _guards(self) -> tuple[Argument, Argument]:
        epoch, until = self._guard or (None, "")
        return "" if epoch is None else epoch, until


def fields_of(job: Job[Any]) -> Iterator[Argument]:
    """A job of any kind, as scripts take it (see ``lua/shared/enqueue.lua``)."""
    flag = flag_of(job)
    yield job.id.bytes
    yield flag
    yield 0 if job.fresh else 1
    yield from (job.options.key_policy, *due_of(job.options))
    yield head_of(job, flag) + job.payload.encode()


def _are_plain(jobs: Sequence[Job[Any]]) -> bool:
    """Whether jobs may be stored in bulk: a repeated id, for one, needs a look at one job after the other."""
    if len({job.id for job in jobs}) < len(jobs) or len({flag_of(job) for job in jobs}) > 1:
        return False
    return all(job.fresh and is_ready_at_once(job) for job in jobs)


def _unstorable(jobs: Sequence[Job[Any]]) -> dict[int, Change]:
    """The answers to those that hold text that can't be stored."""
    return {
        index: refused(job.ref, Refusal.UNSTORABLE, detail=why)
        for index, job in enumerate(jobs)
        if (why := unstorable(job))
    }


def _batches(
    scripts: Scripts,
    jobs: Sequence[Job[Any]],
    usable: Sequence[int],
    guard: Guard | None,
    *,
    whole: bool,
) -> Iterator[Batch]:
    """Jobs by queue, in batches of bounded size.

    Args:
        scripts: of the backend.
        jobs: of any queues.
        usable: indices of those to be stored.
        guard: what storing them depends on.
        whole: all jobs of a queue go together.
    """

    def size_of(index: int) -> int:
        return len(jobs[index].payload)

    by_queue: dict[str, list[int]] = {}
    for index in usable:
        by_queue.setdefault(jobs[index].options.queue, []).append(index)
    for queue, indices in by_queue.items():
        for some in [indices] if whole else bounded(indices, size_of, MOST_JOBS):
            yield Batch(scripts, queue, some, [jobs[index] for index in some], guard)


def _nothing_stored(jobs: Sequence[Job[Any]], odd: Mapping[int, Change]) -> BackendRefused:
    index, change = next(iter(odd.items()))
    return BackendRefused(
        f"Job {index} of the batch ({jobs[index].task}) can't be stored: {change.detail}. Nothing was stored."
    )


async def _refuse_if_moved(scripts: Scripts, queues: Sequence[str]) -> None:
    """What one transaction has begun it does not undo, so its queues are asked before."""
    for queue, raw in zip(queues, await scripts.run_everywhere("sides_gate", queues), strict=True):
        gate = Gate.of(raw.decode()) if raw else None
        if gate and gate.shut:
            raise QueueMoved(queue, gate.other)


async def _run_each(scripts: Scripts, batches: Sequence[Batch], *, replicated: bool) -> list[Any]:
    replies = await _run(scripts, batches, replicated=replicated)
    # Nothing was done for a batch of plain jobs with a known id among them.
    again = [i for i, batch in enumerate(batches) if batch.plain and replies[i] == 0]
    for i in again:
        batches[i].take_long_way(scripts)
    repeated = await _run(scripts, [batches[i] for i in again], replicated=replicated)
    for i, reply in zip(again, repeated, strict=True):
        replies[i] = reply
    if all(isinstance(reply, Exception) for reply in replies):
        raised(replies)
    return replies


async def _run(scripts: Scripts, batches: Sequence[Batch], *, replicated: bool) -> list[Any]:
    calls = [batch.call for batch in batches]
    return await scripts.run(calls, replicated=replicated) if calls else []


async def _run_at_once(
    scripts: Scripts, batches: Sequence[Batch], *, replicated: bool
) -> list[Any]:
    if not scripts.connections.one_server:
        raise InvalidOption(
            "A Redis cluster has no transaction over several queues: enqueue with atomic=False."
        )
    for batch in batches:
        batch.take_long_way(scripts)
    return await scripts.run_at_once([batch.call for batch in batches], replicated=replicated)
