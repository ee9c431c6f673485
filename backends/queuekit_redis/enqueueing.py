"""Jobs on their way to the server, and the answers."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from queuekit.backend import Answer, Stored
from queuekit.errors import BackendRefused, QueuekitError
from queuekit.job import Job, State
from queuekit_redis.connections import Argument
from queuekit_redis.records import PLAIN, flag_of, head_of, is_ready_at_once
from queuekit_redis.scripts import Call, Scripts

MOST_JOBS: Final = 1000
MOST_BYTES: Final = 4_000_000
STORED: Final = Answer(Stored.STORED, State.READY)


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


def refusal(job: Job[Any]) -> str | None:
    """Why the server could not store a job, if it could not."""
    try:
        job.payload.encode()
        if flag_of(job) != PLAIN:
            "".join([job.key or "", job.options.extra, *job.options.tags]).encode()
    except UnicodeEncodeError as error:
        return f"its text is no UTF-8: {error}"
    return None


def batches(jobs: Sequence[Job[Any]], usable: Sequence[int], *, whole: bool) -> Iterator[Batch]:
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


def check_atomic(jobs: Sequence[Job[Any]], reasons: Sequence[str | None]) -> None:
    """Raises `BackendRefused` for the first job that can't be stored."""
    for index, reason in enumerate(reasons):
        if reason is not None:
            raise BackendRefused(
                f"Job {index} of the batch ({jobs[index].task}) can't be stored: {reason}. Nothing was stored."
            )
