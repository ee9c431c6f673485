"""From rows of `read_record` to records."""

import json
from collections.abc import Sequence
from uuid import UUID

from queuekit import codes
from queuekit.job import JobRecord
from queuekit_sqlite.transaction import Row


def record(row: Row) -> JobRecord:
    """A row of `read_record`."""
    (
        id_, queue, code, task, payload, priority, attempt, max_attempts, delivery, lapses, crashes, generation,
        reason, result, errors, history, enqueued_at, scheduled_at, started_at, finished_at, expires_at, leased_until,
        cancel_requested, key, tags, extra, progress, logs,
    ) = row  # fmt: skip
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
