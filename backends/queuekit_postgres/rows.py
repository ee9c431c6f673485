"""Between the columns of the schema and the values of the contract."""

import json
from dataclasses import fields
from typing import Any
from uuid import UUID

import asyncpg

from queuekit.backend import Ended
from queuekit.codes import STATES
from queuekit.job import JobRecord

_FIELDS = tuple(field.name for field in fields(JobRecord))


def record(row: asyncpg.Record) -> JobRecord:
    """A row with the columns of the view ``entries``; it may have more."""
    given: dict[str, Any] = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    given["state"] = STATES[row["state"]]
    return JobRecord(**given)


def ended(told: str | None) -> list[Ended]:
    """What the schema's `finish` tells."""
    rows = json.loads(told) if told else ()
    return [Ended(queue, UUID(id_), task, reason) for queue, id_, task, reason in rows]
