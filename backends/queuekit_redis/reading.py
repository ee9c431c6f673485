"""Reading records from the server."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from queuekit.job import JobRecord
from queuekit_redis.records import read_record
from queuekit_redis.scripts import Scripts

AT_ONCE: Final = 250


async def read_records(
    scripts: Scripts, wanted: Mapping[str, Sequence[UUID]]
) -> list[JobRecord | None]:
    """Records of jobs, live or finished, in order.

    Args:
        scripts: of the backend.
        wanted: ids by queue.
    """
    parts = [
        (queue, ids[start : start + AT_ONCE])
        for queue, ids in wanted.items()
        for start in range(0, len(ids), AT_ONCE)
    ]
    calls = [scripts.call("records", queue, (id_.bytes for id_ in ids)) for queue, ids in parts]
    return [
        read_record(queue, id_, found)
        for (queue, ids), answer in zip(parts, await scripts.run_all(calls), strict=True)
        for id_, found in zip(ids, answer, strict=True)
    ]
