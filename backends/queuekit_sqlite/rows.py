"""Stored jobs as values: a row is a `JobRecord` and the job's place in line."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from queuekit import codes
from queuekit.job import Claimant, Job, JobOptions, JobRef, Keep, Micros, State
from queuekit.record import JobRecord, Lease, Life, Notes, Settled, Times
from queuekit_sqlite.connection import Transaction, Values

_CODES: Final[Mapping[State | None, int]] = {
    state: code for code, state in codes.STATES.items() if code is not None
}


class Stored(NamedTuple):
    """A job as it stands in the table.

    Attributes:
        seq: its place in line.
        code: of its state.
        record: all that is known of it.
    """

    seq: int
    code: int
    record: JobRecord

    def seen(self, now: Micros) -> JobRecord | None:
        """The record, unless it is past its retention."""
        until = self.record.times.kept_until
        return self.record if until is None or until > now else None


def at(tx: Transaction, seq: int) -> Stored:
    """The job of a seq."""
    seq, code, *row = tx.all("read_job", seq)[0]
    return Stored(seq, code, record(*row))


def find(tx: Transaction, ref: JobRef) -> Stored | None:
    """A job by its id, past its retention or not."""
    found = tx.one("find_seq", ref.id.bytes, ref.queue)
    return at(tx, found[0]) if found else None


def get(tx: Transaction, ref: JobRef) -> JobRecord | None:
    """The record of a job, live or finished."""
    stored = find(tx, ref)
    return stored.seen(tx.now) if stored else None


def add(tx: Transaction, record: JobRecord) -> None:
    """A new job, at the end of the line."""
    add_all(tx, [values(record)])


def add_all(tx: Transaction, jobs: Sequence[Values]) -> int:
    """New jobs, as `values` tells them; how many there are now that were not there."""
    return tx.run_many("add_job", jobs)


def write(
    tx: Transaction,
    stored: Stored,
    after: JobRecord,
    code: int,
    spared_until: Micros | None = None,
) -> None:
    """What has become of a job that does not run (any more), where it stands."""
    _, task, payload, _, _, _, _, *rest = values(after)
    tx.run("write_job", task, payload, code, *rest, spared_until, stored.seq)


def code_of(record: JobRecord) -> int:
    """The code of a job's state; of a ready one, as if it came new into line."""
    if record.state is State.READY:
        return codes.ready(record.life.lapses)
    return _CODES[record.state]


def values(record: JobRecord) -> Values:
    """A job as `add_job` takes it."""
    (id_, task, payload, options, key, _), life, times = record.job, record.life, record.times
    notes, lease, settled, keep = record.notes, record.lease, record.settled, options.keep
    return (
        id_.bytes, task, payload, options.queue, times.enqueued_at, key,
        code_of(record), options.priority, options.max_attempts, options.lease,
        options.max_crashes, options.max_lapses, options.key_until,
        keep and keep.age, keep and keep.count, array(options.tags), options.extra, _bytes(record.origin),
        life.attempt, life.delivery, life.lapses, life.crashes, life.generation, life.cancel_requested,
        life.reason, *times[1:],
        notes.result, array(notes.errors), array(notes.history), notes.progress, array(notes.logs),
        lease and lease.claimant.process, lease and lease.claimant.number, lease and lease.length,
        settled and codes.SETTLEMENTS[settled.how], settled and settled.delivery, _bytes(record.follows),
    )  # fmt: skip


def record(
    id_: bytes, task: str, payload: str, queue: str, enqueued_at: Micros, key: str | None,
    code: int, priority: int, max_attempts: int, own_lease: Micros | None,
    max_crashes: int, max_lapses: int, key_until: Micros | str | None,
    keep_age: Micros | None, keep_count: int | None, tags: str | None, extra: str, origin: bytes | None,
    attempt: int, delivery: int, lapses: int, crashes: int, generation: int, cancel_requested: int,
    reason: str | None, scheduled_at: Micros | None, started_at: Micros | None, finished_at: Micros | None,
    expires_at: Micros | None, leased_until: Micros | None, kept_until: Micros | None,
    result: str | None, errors: str | None, history: str | None, progress: str | None, logs: str | None,
    claimant: str | None, claim: int | None, lease: Micros | None,
    settled: int | None, settled_delivery: int | None, follows: bytes | None,
) -> JobRecord:  # fmt: skip
    """The job that `values` tells."""
    options = JobOptions(
        queue=queue,
        priority=priority,
        max_attempts=max_attempts,
        lease=own_lease,
        max_crashes=max_crashes,
        max_lapses=max_lapses,
        key_until="finished" if key_until is None else key_until,
        keep=None if keep_age is None else Keep(keep_age, keep_count),
        tags=_texts(tags),
        extra=extra,
    )
    # a plain success leaves the request to cancel where it is
    asked = bool(cancel_requested) and code not in codes.FINISHED
    return JobRecord(
        job=Job(UUID(bytes=id_), task, payload, options, key, fresh=False),
        life=Life(
            codes.STATES[code], attempt, delivery, lapses, crashes, generation, asked, reason, max_lapses, max_crashes,
        ),
        times=Times(
            enqueued_at, scheduled_at, started_at, finished_at, expires_at, leased_until, kept_until
        ),
        notes=Notes(result, _texts(errors), _texts(history), progress, _texts(logs)),
        lease=_lease(claimant, claim, lease),
        settled=settled_as(settled, settled_delivery),
        follows=_uuid(follows),
        origin=_uuid(origin),
    )  # fmt: skip


def array(texts: Sequence[str]) -> str | None:
    """Texts as they are stored."""
    return json.dumps([*texts]) if texts else None


def settled_as(number: int | None, delivery: int | None) -> Settled | None:
    """How a run was settled, by its number."""
    return None if number is None or delivery is None else Settled(codes.HOW[number], delivery)


def _lease(process: str | None, number: int | None, length: Micros | None) -> Lease | None:
    if process is None or number is None or length is None:
        return None
    return Lease(Claimant(process, number), length)


def _texts(array: str | None) -> tuple[str, ...]:
    return tuple(json.loads(array)) if array else ()


def _bytes(id_: UUID | None) -> bytes | None:
    return None if id_ is None else id_.bytes


def _uuid(id_: bytes | None) -> UUID | None:
    return None if id_ is None else UUID(bytes=id_)
