"""Stored jobs as values: what deciding needs of one, its record, and its options as they are stored."""

import json
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from queuekit import codes
from queuekit.job import JobOptions, JobRecord, Micros
from queuekit_sqlite.connection import Transaction, Values


class Row(NamedTuple):
    """What deciding needs of a job: a row of `read_row`."""

    seq: int
    id: bytes
    queue: str
    state: int
    task: str
    attempt: int
    delivery: int
    lapses: int
    crashes: int
    generation: int
    enqueued_at: Micros
    scheduled_at: Micros | None
    claimant: str | None
    cancel_requested: int
    max_crashes: int
    max_lapses: int
    key: str | None
    key_until: Micros | str | None
    keep_age: Micros | None
    keep_count: int | None
    settled: int | None
    settled_delivery: int | None
    errors: str | None
    history: str | None

    @property
    def traces(self) -> Values:
        """What a run leaves on a job, and is stored when that finishes or goes back."""
        counters = self.attempt, self.lapses, self.crashes
        return *counters, self.settled, self.settled_delivery, self.errors, self.history


def at(tx: Transaction, seq: int) -> Row:
    """The job of a seq."""
    return Row(*tx.all("read_row", seq)[0])


def find(tx: Transaction, id_: bytes, queue: str) -> Row | None:
    """A job by its id."""
    found = tx.one("find_seq", id_, queue)
    return at(tx, found[0]) if found else None


def options(given: JobOptions, now: Micros, *, keyed: bool) -> Values:
    """What options say, in the order of `enqueue` and `replace_job`."""
    due = given.due if given.due is not None else now + given.delay
    keep = given.keep
    return (
        given.priority,
        given.max_attempts,
        due if due > now else None,
        None if given.expires is None else now + given.expires,
        given.lease,
        given.max_crashes,
        given.max_lapses,
        given.key_until if keyed else None,
        keep and keep.age,
        keep and keep.count,
        json.dumps(given.tags) if given.tags else None,
        given.extra,
    )


def get(tx: Transaction, id_: bytes, queue: str) -> JobRecord | None:
    """The record of a job, live or finished."""
    values = read(tx, id_, queue)
    return None if values is None else record(values)


def read(tx: Transaction, id_: bytes, queue: str) -> Values | None:
    """All that is known of a job, for `record`."""
    return tx.one("read_record", id_, queue)


def record(values: Values) -> JobRecord:
    """The record of a job that was `read`."""
    (
        id_, queue, code, task, payload, priority, attempt, max_attempts, delivery, lapses, crashes, generation,
        reason, result, errors, history, enqueued_at, scheduled_at, started_at, finished_at, expires_at, leased_until,
        cancel_requested, key, tags, extra, progress, logs,
    ) = values  # fmt: skip
    return JobRecord(
        id=UUID(bytes=id_),
        task=task,
        queue=queue,
        state=codes.STATES[code],
        payload=payload,
        priority=priority,
        attempt=attempt,
        max_attempts=max_attempts,
        delivery=delivery,
        lapses=lapses,
        crashes=crashes,
        generation=generation,
        reason=reason,
        result=result,
        errors=_oldest_first(errors),
        history=_oldest_first(history),
        enqueued_at=enqueued_at,
        scheduled_at=scheduled_at,
        started_at=started_at,
        finished_at=finished_at,
        expires_at=expires_at,
        leased_until=leased_until,
        cancel_requested=bool(cancel_requested) and code not in codes.FINISHED,
        key=key,
        tags=tuple(json.loads(tags)) if tags else (),
        extra=extra,
        progress=progress,
        logs=tuple(json.loads(logs)) if logs else (),
    )


def _oldest_first(lines: str | None) -> Sequence[str]:
    return tuple(reversed(lines.split("\n"))) if lines else ()
