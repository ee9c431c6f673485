"""What a backend need not write itself: verbs for batches, people and waiters, from steps for one job at a time.

A subclass writes the abstract methods, each of them one atomic step of its store. It overrides what its store can do
better: many jobs in one step, a search by an index, a bell instead of looking again.
"""

import asyncio
import heapq
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from queuekit.backend.answers import Ask, Fetched, JobFilter, QueueInfo, Upkeep, WorkerInfo
from queuekit.backend.changes import Change, Changes, Refusal
from queuekit.backend.model import refused, unstorable
from queuekit.backend.schedules import KeptSchedules, Schedules
from queuekit.errors import BackendRefused, InvalidOption, JobNotFound
from queuekit.job import FINISHED, SUSPECT_AFTER, Ack, Claim, Job, JobRef, Micros, Return, State
from queuekit.lifecycle import Event, allowed
from queuekit.record import JobRecord
from queuekit.schedule import Schedule, ScheduleRef

LOOK_AGAIN: Final = 0.05
"""Seconds between two looks of a wait."""
_SECOND: Final = 1_000_000


class Claimed(NamedTuple):
    """What a claim brings: jobs, and what became of those that had expired."""

    claims: Sequence[Claim]
    expired: Sequence[Change] = ()


class BackendBase(ABC):
    """A backend that is its own `Inspector` and `Transfer`."""

    _turn = 0

    # The steps of a store

    @abstractmethod
    async def enqueue_one(self, job: Job[Any]) -> Change:
        """Store a job whose texts can be stored."""

    @abstractmethod
    async def claim_from(self, queue: str, ask: Ask) -> Claimed:
        """Claim jobs of one of the queues."""

    @abstractmethod
    async def settle_one(self, outcome: Ack | Return) -> Change:
        """Settle a run, whatever it came to."""

    @abstractmethod
    async def cancel_one(self, job: JobRecord, event: Event) -> Change:
        """End a job that has not begun as cancelled, or ask one that runs to stop."""

    @abstractmethod
    async def rerun_one(self, job: JobRecord) -> Change:
        """Make a finished job ready, unless another one holds its key."""

    @abstractmethod
    async def promote_one(self, job: JobRecord) -> Change:
        """Make a scheduled job ready."""

    @abstractmethod
    async def delete_one(self, job: JobRecord) -> Change:
        """Remove a job that does not run; its id stays remembered."""

    @abstractmethod
    async def store_one(self, job: JobRecord) -> Change:
        """Store a job that comes from elsewhere, and whose texts can be stored."""

    @abstractmethod
    async def maintain_queue(self, queue: str) -> Upkeep:
        """Move time on in one queue."""

    @abstractmethod
    async def next_work(self, queues: Sequence[str], process: str) -> Micros | None:
        """How long it is until one of the queues may have work.

        0: there may be some now, or the process was woken since its last wait; None: nothing is known to come.
        """

    @abstractmethod
    async def wake(self, process: str) -> None:
        """End that process's wait, or its next one."""

    @abstractmethod
    async def awaited(self, refs: Sequence[JobRef], duration: Micros) -> None:
        """Somebody waits for so long for the ends of these: their records stay for `KEEP_FOR_WAITERS` at least."""

    @abstractmethod
    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished, in this order."""

    @abstractmethod
    def scan(self) -> AsyncIterator[Sequence[JobRecord]]:
        """All jobs that `get` gives, in portions and in no order; what is changed meanwhile may be missed."""

    @abstractmethod
    async def paused(self) -> Collection[str]:
        """The queues whose claims give nothing."""

    @abstractmethod
    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""

    @abstractmethod
    async def load_schedules(self) -> Sequence[Schedule]:
        """All schedules."""

    @abstractmethod
    async def save_schedule(self, ref: ScheduleRef, schedule: Schedule | None) -> None:
        """Keep a schedule in place of the one that there may be; None: keep none."""

    @abstractmethod
    def now(self) -> Micros:
        """The server's clock."""

    # Producing and running

    @property
    def inspector(self) -> Self:
        """The same store, for people's eyes and hands."""
        return self

    @property
    def transfer(self) -> Self:
        """The same store, for whole jobs that come from another one."""
        return self

    @property
    def schedules(self) -> Schedules:
        """The same store, for recurring work."""
        return _Schedules(self)

    async def open(self) -> None:  # noqa: B027  # a store in this process needs neither
        """Connect, if that is needed."""

    async def close(self) -> None:  # noqa: B027
        """Give back what `open` took."""

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> Changes:
        """Store jobs; one answer each, in order."""
        if connection is not None or any(job.options.replicated for job in jobs):
            raise InvalidOption(
                "This store has no transaction of a caller to join, and no replica."
            )
        for place, why in enumerate(map(unstorable, jobs)):
            if why and atomic:
                raise BackendRefused(f"Job {place} of the batch ({why}): nothing was stored.")
        changes = [
            refused(job.ref, Refusal.UNSTORABLE, detail=why)
            if (why := unstorable(job))
            else await self.enqueue_one(job)
            for job in jobs
        ]
        return Changes(jobs, dict(enumerate(changes)))

    async def fetch(self, ask: Ask, *, settle: Sequence[Ack | Return] = ()) -> Fetched:
        """Settle, then claim from the queues in turn."""
        settled = await self._settle(settle)
        self._turn += 1
        start = self._turn % max(1, len(ask.queues))
        claims: list[Claim] = []
        expired: list[Change] = []
        for queue in [*ask.queues[start:], *ask.queues[:start]]:
            if ask.limit:
                found = await self.claim_from(queue, ask)
                claims += found.claims
                expired += found.expired
                suspects = sum(claim.lapses >= SUSPECT_AFTER for claim in found.claims)
                ask = ask._replace(
                    limit=ask.limit - len(found.claims), suspects=ask.suspects - suspects
                )
        return Fetched(claims, settled, expired)

    async def ack(self, acks: Sequence[Ack]) -> Changes:
        """End running jobs."""
        return await self._settle(acks)

    async def retry(self, returns: Sequence[Return]) -> Changes:
        """Put running jobs back."""
        return await self._settle(returns)

    async def _settle(self, outcomes: Sequence[Ack | Return]) -> Changes:
        changes = [await self.settle_one(outcome) for outcome in outcomes]
        return Changes(outcomes, dict(enumerate(changes)))

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_for
        while (left := end - loop.time()) > 0:
            due = await self.next_work(queues, process)
            if due is not None and due <= LOOK_AGAIN * _SECOND:
                await asyncio.sleep(min(left, due / _SECOND))
                return
            await asyncio.sleep(min(left, LOOK_AGAIN))

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished; waits for the first one."""
        loop, refs = asyncio.get_running_loop(), list(jobs)
        end = loop.time() + wait_for
        if wait_for > 0:
            await self.awaited(refs, round(wait_for * _SECOND))
        while True:
            found = dict(zip(refs, await self.get(refs), strict=True))
            for ref, one in found.items():
                if one is None:
                    raise JobNotFound.named(ref)
            ends = {ref: one for ref, one in found.items() if one and one.state in FINISHED}
            left = end - loop.time()
            if ends or left <= 0:
                return ends
            await asyncio.sleep(min(left, LOOK_AGAIN))

    async def unserved(self) -> Sequence[str]:
        """Queues that hold something and that no present process serves."""
        served = {queue for one in await self.workers() for queue in one.presence.queues}
        return [one.name for one in await self.queues() if one.counts and one.name not in served]

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on in these queues."""
        done = [await self.maintain_queue(queue) for queue in queues]
        return Upkeep(
            list(chain.from_iterable(one.rescued for one in done)),
            list(chain.from_iterable(one.expired for one in done)),
            sum(one.promoted for one in done),
            sum(one.renewed for one in done),
            sum(one.pruned for one in done),
            (await self.schedules.due(queues, 0)).due_in,
            min((one.again_in for one in done if one.again_in is not None), default=None),
        )

    # For people, and for other stores

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first."""
        found: list[JobRecord] = []
        async for records in self.scan():
            new = [
                one
                for one in records
                if (after is None or _order(one.ref) < _order(after)) and matches(one, where)
            ]
            found = heapq.nlargest(limit, [*found, *new], key=lambda one: _order(one.ref))
        return found

    async def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits."""
        async for records in self.scan():
            yield [one.ref for one in records if matches(one, where)]

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are; of an id in several queues the one enqueued last."""
        found: dict[UUID, JobRecord] = {}
        async for records in self.scan():
            for one in records:
                before = found.setdefault(one.job.id, one)
                if before.times.enqueued_at < one.times.enqueued_at:
                    found[one.job.id] = one
        return [found[id_].ref if id_ in found else None for id_ in ids]

    async def queues(self) -> list[QueueInfo]:
        """All queues, with counts by state."""
        paused = await self.paused()
        counts: dict[str, Counter[State]] = {queue: Counter() for queue in paused}
        async for records in self.scan():
            for one in records:
                counts.setdefault(one.ref.queue, Counter())[one.state] += 1
        return [
            QueueInfo(name=name, paused=name in paused, counts=counts[name])
            for name in sorted(counts)
        ]

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out an event on jobs; one answer each, in order."""
        return [await self._steer(event, ref) for ref in refs]

    async def _steer(self, event: Event, ref: JobRef) -> Change:
        (record,) = await self.get([ref])
        if record is None:
            return refused(ref, Refusal.GONE)
        if not allowed(event, record.state):
            return refused(record, Refusal.STATE)
        match event:
            case Event.CANCEL | Event.DRAIN:
                return await self.cancel_one(record, event)
            case Event.RERUN:
                return await self.rerun_one(record)
            case Event.PROMOTE:
                return await self.promote_one(record)
            case _:
                return await self.delete_one(record)

    async def store(self, records: Sequence[JobRecord]) -> list[Change]:
        """Store jobs as their records say; one answer each, in order."""
        return [
            refused(record.ref, Refusal.UNSTORABLE, detail=why)
            if (why := unstorable(record.job))
            else await self.store_one(record)
            for record in records
        ]


class _Schedules(KeptSchedules):
    """Those that a backend keeps."""

    def __init__(self, backend: BackendBase) -> None:
        self._backend = backend

    async def load(self) -> Sequence[Schedule]:
        return await self._backend.load_schedules()

    async def save(self, ref: ScheduleRef, schedule: Schedule | None) -> None:
        await self._backend.save_schedule(ref, schedule)

    async def enqueue(self, jobs: Sequence[Job[Any]]) -> Changes:
        return await self._backend.enqueue(jobs)

    async def ring(self, queues: Collection[str]) -> None:
        for one in await self._backend.workers():
            if not set(queues).isdisjoint(one.presence.queues):
                await self._backend.wake(one.presence.process)

    def now(self) -> Micros:
        return self._backend.now()


def matches(record: JobRecord, where: JobFilter) -> bool:
    """Whether all conditions of a filter hold."""
    options, since = record.job.options, where.since
    last = [_shown(error) for error in record.notes.errors[-1:]]
    return (
        (not where.queues or options.queue in where.queues)
        and (not where.tasks or record.job.task in where.tasks)
        and (not where.states or record.state in where.states)
        and set(where.tags) <= set(options.tags)
        and (not isinstance(since, int) or record.times.enqueued_at >= since)
        and (where.error is None or any(where.error in error for error in last))
    )


def _shown(error: str) -> str:
    """An error as people read it; as it is stored if it can't be read, so that no job spoils the search for others."""
    try:
        fields: Any = json.loads(error)
    except ValueError:
        return error
    return f"{fields.get('type')}: {fields.get('message')}"


def _order(ref: JobRef) -> tuple[UUID, str]:
    return ref.id, ref.queue
