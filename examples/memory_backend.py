"""A whole backend in one file: jobs in this process's memory, as records.

It passes the conformance suite; docs/writing-a-backend.md walks through it. Nothing awaits: a method is one step."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from queuekit import backend as contract
from queuekit.backend import Change, Presence, Pulse, Refusal, Report, Upkeep, model
from queuekit.backend.base import BackendBase, Claimed
from queuekit.job import Ack, Claim, Job, JobRef, Keep, KeyPolicy, Micros, Return, State, Token
from queuekit.lifecycle import ALLOWED, Event, allowed, step
from queuekit.record import JobRecord
from queuekit.schedule import Schedule, ScheduleRef

BULK = 1_000  # jobs that one tick changes at most


@dataclass(slots=True)
class Entry:
    """A job: its record, its place in line, and what no other store needs to know."""

    record: JobRecord
    seq: int = 0
    renewed_at: Micros = 0
    awaited_until: Micros = 0


@dataclass(slots=True)
class Store:
    """What a server would hold."""

    jobs: dict[JobRef, Entry] = field(default_factory=dict)
    gone: dict[JobRef, model.Gone] = field(default_factory=dict)
    keys: dict[tuple[str, str], model.Hold] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    present: dict[str, tuple[Presence, Micros]] = field(default_factory=dict)
    woken: set[str] = field(default_factory=set)
    ticks: defaultdict[str, Micros] = field(default_factory=lambda: defaultdict(_now))
    heard: defaultdict[str, Micros] = field(default_factory=lambda: defaultdict(int))
    schedules: dict[ScheduleRef, Schedule | None] = field(default_factory=dict)
    seq: int = 0


STORES: defaultdict[tuple[str, str], Store] = defaultdict(Store)


def _now() -> Micros:
    """The server's clock."""
    return time.time_ns() // 1000


class MemoryBackend(BackendBase):
    """Jobs of this process, by URL and namespace, for as long as it lives."""

    def __init__(self, url: str, settings: contract.BackendSettings) -> None:
        self.settings = settings
        self.data = STORES[url, settings.namespace]

    # Enqueueing

    async def enqueue_one(self, job: Job[Any]) -> Change:
        known, hold = self._known(job), self._holder(job.ref.queue, job.key)
        if known or not hold:
            return known or self._insert(model.enqueued(job, _now()))
        held = self.data.jobs.get(JobRef(job.ref.queue, hold.id))
        follower = self._follower(held.record) if held else None
        replaces = job.options.key_policy in {KeyPolicy.REPLACE, KeyPolicy.DEBOUNCE}
        if replaces and follower:
            return self._replace(follower, job)
        if replaces and held and allowed(Event.REPLACE, held.record.state):
            return self._replace(held, job)
        if replaces and held and held.record.state is State.RUNNING:
            waiting = model.enqueued(job, _now(), follows=True)
            return self._insert(replace(waiting, follows=hold.id))
        return model.refused(job.ref, Refusal.KEY_HELD, holder=hold.id)

    def _known(self, job: Job[Any]) -> Change | None:
        seen = self._seen(job.ref)
        if seen or job.fresh or not self._is_remembered(job.ref):
            return model.refused(seen, Refusal.KNOWN) if seen else None
        for one in self._in(ALLOWED[Event.CANCEL], job.ref.queue):
            if one.record.origin == job.id:  # a replacement that is sent again
                return model.told(one.record.state, one.record)._replace(holder=one.record.job.id)
        return model.refused(job.ref, Refusal.KNOWN)

    def _insert(self, record: JobRecord) -> Change:
        entry = self.data.jobs[record.ref] = Entry(record)
        self._line_up(entry)
        self._take_key(record)
        return model.told(None, record)

    def _replace(self, held: Entry, job: Job[Any]) -> Change:
        found = held.record.state
        held.record = model.replaced(held.record, job, _now())
        self._line_up(held)
        self._take_key(held.record)
        self.data.gone[job.ref] = model.Gone(_now() + contract.REMEMBER_IDS)
        return model.told(found, held.record)._replace(holder=held.record.job.id)

    # Keys, and the line

    def _holder(self, queue: str, key: str | None) -> model.Hold | None:
        hold = self.data.keys.get((queue, key)) if key is not None else None
        return hold if hold and not _is_over(hold.until) else None

    def _take_key(self, record: JobRecord) -> None:
        queue, key = record.ref.queue, record.job.key
        if key is not None and model.takes_key(record, 0):
            self.data.keys[queue, key] = model.hold_of(record)

    def _free_key(self, record: JobRecord) -> None:
        """Free the key unless it stays protected for its time; whoever follows takes it in any case."""
        queue, key = record.ref.queue, record.job.key
        hold, follower = self._holder(queue, key), self._follower(record)
        if key is not None and hold == model.Hold(record.job.id, None):
            del self.data.keys[queue, key]
        if follower:
            follower.record = model.followed(follower.record, _now())
            self._line_up(follower)
            self._take_key(follower.record)

    def _follower(self, record: JobRecord) -> Entry | None:
        waiting = self._in({State.WAITING}, record.ref.queue)
        return next((one for one in waiting if one.record.follows == record.job.id), None)

    def _line_up(self, entry: Entry) -> None:
        """At the end of the line."""
        self.data.seq = entry.seq = self.data.seq + 1

    # Claiming

    async def claim_from(self, queue: str, ask: contract.Ask) -> Claimed:
        self._promote(queue)
        expired = self._expire(queue, 2 * BULK)
        claimable = self._claimable(queue, ask.suspects, ask.limit)
        return Claimed([self._claim(entry, ask) for entry in claimable], expired)

    def _claimable(self, queue: str, suspects: int, limit: int) -> Sequence[Entry]:
        ready = [] if queue in self.data.paused else self._in({State.READY}, queue)
        ready = [one for one in ready if not model.has_expired(one.record, _now())]
        ready.sort(key=lambda one: (one.record.job.options.priority, one.seq))
        running = self._in({State.RUNNING}, queue)
        alone = any(model.is_solitary(one.record) for one in running)
        chosen = model.in_turn([one.record for one in ready], suspects, limit, alone=alone)
        return [self.data.jobs[record.ref] for record in chosen]

    def _claim(self, entry: Entry, ask: contract.Ask) -> Claim:
        entry.record = model.claimed(entry.record, ask.claimant, ask.lease, _now())
        entry.renewed_at = 0
        self.data.heard[ask.claimant.process] = _now()
        if entry.record.job.options.key_until == "started":
            self._free_key(entry.record)
        return model.claim_of(entry.record, _now())

    # Settling, and the one door out of running

    async def settle_one(self, outcome: Ack | Return) -> Change:
        ref, entry = outcome.token.ref, self._running(outcome.token)
        if entry is None:
            over, gone = self.data.jobs.get(ref), self.data.gone.get(ref)
            last = over.record.settled if over else gone.settled if gone else None
            return model.repeated(outcome, last, over.record if over else None, self._seen(ref))
        after, how = model.settled(entry.record, outcome, _now()), model.how_of(outcome)
        keep = outcome.keep if isinstance(outcome, Ack) else None
        return model.answered(outcome, self._leave(entry, after, how, keep))

    def _leave(self, entry: Entry, new: JobRecord, how: object, keep: Keep | None = None) -> Change:
        """The one way out of running: to an end, or back into the line."""
        entry.record = new
        if new.finished:
            return self._end(entry, State.RUNNING, keep)
        if how not in model.KEEPS_ITS_PLACE:
            self._line_up(entry)
        return model.told(State.RUNNING, new)

    def _end(self, entry: Entry, found: State, asked: Keep | None = None) -> Change:
        now, awaited = _now(), entry.awaited_until > _now()
        keep = model.kept(entry.record, asked, self.settings, awaited=awaited)
        entry.record = record = model.ended(entry.record, now, keep.age)
        entry.awaited_until = now + contract.KEEP_FOR_WAITERS if awaited else 0
        self._free_key(record)
        if record.state is State.SUCCEEDED and keep.age and keep.count is not None:
            self._trim(record, keep.count)
        return model.told(found, record)

    def _trim(self, last: JobRecord, count: int) -> None:
        kind = self._in({State.SUCCEEDED}, last.ref.queue)
        kind = [one for one in kind if one.record.job.task == last.job.task]
        kind.sort(key=lambda one: one.record.times.kept_until or 0, reverse=True)
        for one in kind[count:]:
            if one.awaited_until <= _now():
                _change_times(one, kept_until=_now())

    # Leases

    def _running(self, token: Token) -> Entry | None:
        entry = self.data.jobs.get(token.ref)
        life = entry.record.life if entry else None
        return entry if life and life[:3:2] == (State.RUNNING, token.delivery) else None

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        held = {token: entry for token in tokens if (entry := self._running(token))}
        for entry in held.values():
            lease = model.lease_of(entry.record)
            _change_times(entry, leased_until=_now() + lease.length)
            entry.renewed_at = 0
            self.data.heard[lease.claimant.process] = _now()
        asked = [token for token, entry in held.items() if entry.record.life.cancel_requested]
        return Pulse([token for token in tokens if token not in held], asked)

    async def leases(self, process: str) -> list[contract.Held]:
        return [
            contract.Held(model.claim_of(one.record, 0).token, one.record.lease.claimant.number)
            for one in self.data.jobs.values()
            if one.record.lease and one.record.lease.claimant.process == process
        ]

    async def report(self, reports: Sequence[Report]) -> None:
        for report in reports:
            entry = self._running(report.token)
            if entry and not model.unstorable(report):
                entry.record = model.reported(entry.record, report)

    # Time

    async def maintain_queue(self, queue: str) -> Upkeep:
        renewed = self._renew(queue)
        running = self._in({State.RUNNING}, queue)
        lapsed = [one for one in running if _is_over(one.record.times.leased_until)]
        rescued = [
            self._leave(one, model.left(one.record, Event.LAPSE, _now()), Event.LAPSE)
            for one in lapsed[:BULK]
        ]
        promoted, expired = self._promote(queue), self._expire(queue, BULK)
        ended = self._in(ALLOWED[Event.CLEAN], queue)
        old = [one for one in ended if _is_over(one.record.times.kept_until)][:BULK]
        for one in old:
            self._forget(one.record)
        again_in = model.again_in([one.record for one in self._in({*State}, queue)], _now())
        return Upkeep(rescued, expired, promoted, renewed, len(old), again_in=again_in)

    def _renew(self, queue: str) -> int:
        """Longer leases after a gap in which nobody could renew; once until their owner is heard again."""
        now, before = _now(), self.data.ticks[queue]
        self.data.ticks[queue], renewed = now, 0
        for one in self._in({State.RUNNING}, queue):
            (process, _), length = model.lease_of(one.record)
            if length < 3 * (now - before) and self.data.heard[process] >= one.renewed_at:
                _change_times(one, leased_until=model.spared_until(one.record, now))
                one.renewed_at = now + 1
                renewed += 1
        return renewed

    def _promote(self, queue: str) -> int:
        later = self._in({State.SCHEDULED}, queue)
        due = [one for one in later if _is_over(one.record.times.scheduled_at)]
        for one in sorted(due, key=lambda one: one.record.times.scheduled_at or 0):
            self._advance(one, Event.DUE)
        return len(due)

    def _expire(self, queue: str, most: int) -> Sequence[Change]:
        waiting = self._in(ALLOWED[Event.EXPIRE], queue)
        late = [one for one in waiting if model.has_expired(one.record, _now())]
        changes = []
        for one in late[:most]:
            found = one.record.state
            one.record = replace(one.record, life=step(one.record.life, Event.EXPIRE))
            changes.append(self._end(one, found))
        return changes

    def _forget(self, record: JobRecord) -> None:
        """What goes leaves its id."""
        until = (record.times.finished_at or _now()) + contract.REMEMBER_IDS
        self.data.gone[record.ref] = model.Gone(until, record.settled)
        del self.data.jobs[record.ref]

    async def next_work(self, queues: Sequence[str], process: str) -> Micros | None:
        if process in self.data.woken:
            self.data.woken.discard(process)
            return 0
        served = [queue for queue in queues if queue not in self.data.paused]
        waiting = self._in({State.READY, State.SCHEDULED}, *served)
        return min((model.ready_in(one.record, _now()) for one in waiting), default=None)

    async def awaited(self, refs: Sequence[JobRef], duration: Micros) -> None:
        until = _now() + max(duration, contract.KEEP_FOR_WAITERS)
        for entry in filter(None, map(self.data.jobs.get, refs)):
            entry.awaited_until = max(entry.awaited_until, until)

    async def wake(self, process: str) -> None:
        self.data.woken.add(process)

    async def present(self, presence: Presence) -> None:
        self.data.present[presence.process] = presence, _now()

    async def absent(self, process: str) -> None:
        self.data.present.pop(process, None)

    # For people

    async def workers(self) -> list[contract.WorkerInfo]:
        known = [one for one in self.data.present.values() if one[1] + one[0].ttl > _now()]
        return [contract.WorkerInfo(presence=presence, seen_at=at) for presence, at in known]

    async def paused(self) -> Collection[str]:
        return self.data.paused

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        (self.data.paused.update if paused else self.data.paused.difference_update)(queues)

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        return [self._seen(ref) for ref in refs]

    async def scan(self) -> AsyncIterator[Sequence[JobRecord]]:
        yield [record for ref in list(self.data.jobs) if (record := self._seen(ref))]

    async def cancel_one(self, job: JobRecord, event: Event) -> Change:
        entry, found, record = self.data.jobs[job.ref], job.state, job
        if not record.life.cancel_requested:
            record = model.noted(record, event, _now())
        entry.record = replace(record, life=step(record.life, event))
        if record.lease is None:
            return self._end(entry, found)
        self.data.woken.add(record.lease.claimant.process)
        return model.told(found, entry.record)

    async def rerun_one(self, job: JobRecord) -> Change:
        entry, hold = self.data.jobs[job.ref], self._holder(job.ref.queue, job.job.key)
        if hold and hold.id != job.job.id:
            return model.refused(job, Refusal.KEY_HELD, holder=hold.id)
        entry.record = model.run_again(job, _now())
        self._line_up(entry)
        if job.job.options.key_until == "finished":
            self._take_key(entry.record)
        return model.told(job.state, entry.record)

    async def promote_one(self, job: JobRecord) -> Change:
        return self._advance(self.data.jobs[job.ref], Event.PROMOTE)

    def _advance(self, entry: Entry, event: Event) -> Change:
        entry.record = replace(entry.record, life=step(entry.record.life, event))
        self._line_up(entry)
        return model.told(State.SCHEDULED, entry.record)

    async def delete_one(self, job: JobRecord) -> Change:
        self._free_key(job)
        self._forget(job)
        self.data.gone[job.ref] = model.Gone(_now() + contract.REMEMBER_IDS, job.settled)
        return Change(job.ref, job.state, None, job.life.generation)

    async def store_one(self, job: JobRecord) -> Change:
        ref, seen, hold = job.ref, self._seen(job.ref), self._holder(job.ref.queue, job.job.key)
        if seen or self._is_remembered(ref):
            return model.refused(seen or ref, Refusal.KNOWN)
        before = self.data.jobs.get(JobRef(ref.queue, job.follows)) if job.follows else None
        if job.follows and (before is None or before.record.lease is None):
            return model.refused(ref, Refusal.GONE, holder=job.follows)
        if before and (waiting := self._follower(before.record)):
            return model.refused(ref, Refusal.KEY_HELD, holder=waiting.record.job.id)
        if hold and model.takes_key(job, _now()):
            return model.refused(ref, Refusal.KEY_HELD, holder=hold.id)
        return self._insert(job)

    # Recurring work

    async def load_schedules(self) -> Sequence[Schedule]:
        return [one for one in self.data.schedules.values() if one]

    async def save_schedule(self, ref: ScheduleRef, schedule: Schedule | None) -> None:
        self.data.schedules[ref] = schedule

    def now(self) -> Micros:
        return _now()

    # Finding

    def _seen(self, ref: JobRef) -> JobRecord | None:
        """A job that is not past its retention."""
        entry = self.data.jobs.get(ref)
        return entry.record if entry and not _is_over(entry.record.times.kept_until) else None

    def _is_remembered(self, ref: JobRef) -> bool:
        gone = self.data.gone.get(ref)
        return ref in self.data.jobs or (gone is not None and not _is_over(gone.until))

    def _in(self, states: Collection[State], *queues: str) -> list[Entry]:
        jobs = [one for one in self.data.jobs.values() if one.record.state in states]
        return [one for one in jobs if one.record.ref.queue in queues]


def _change_times(entry: Entry, **times: Micros) -> None:
    entry.record = replace(entry.record, times=entry.record.times._replace(**times))


def _is_over(at: Micros | None) -> bool:
    return at is not None and at <= _now()
