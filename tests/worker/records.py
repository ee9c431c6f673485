"""What the queue has on record."""

import json
from typing import Any

from queuekit import Handle, Queuekit
from queuekit.job import JobRef
from queuekit.record import JobRecord


async def record_at(qk: Queuekit, ref: JobRef) -> JobRecord | None:
    """Of a job, if it is there."""
    (record,) = await (await qk.backend()).inspector.get([ref])
    return record


async def record_of(qk: Queuekit, job: Handle[Any]) -> JobRecord:
    """Of a job that must be there."""
    record = await record_at(qk, JobRef(job.queue or "", job.id))
    assert record is not None
    return record


def events(record: JobRecord) -> list[str]:
    """What has happened to its runs, in order."""
    return [json.loads(line)["event"] for line in record.notes.history]
