"""Between the columns of the schema and the values of the contract."""

import json
from collections.abc import Collection
from dataclasses import fields
from typing import Any
from uuid import UUID

import asyncpg

from queuekit.backend import Ended
from queuekit.job import Ack, JobRecord, Return, ReturnKind, State

STATES = {
    0: State.READY,
    1: State.READY,
    2: State.RUNNING,
    3: State.SCHEDULED,
    4: State.WAITING,
    5: State.BLOCKED,
    6: State.SUCCEEDED,
    7: State.FAILED,
    8: State.CANCELLED,
    9: State.READY,
}
"""Ready jobs are stored in three ways: to be claimed, suspect, and solitary."""

_FIELDS = tuple(field.name for field in fields(JobRecord))

FINAL = {State.SUCCEEDED: 6, State.FAILED: 7, State.CANCELLED: 8}
RETURNED = {
    ReturnKind.RETRY: 11,
    ReturnKind.SNOOZE: 12,
    ReturnKind.RELEASE: 13,
    ReturnKind.DEATH: 14,
}


def how(outcome: Ack | Return) -> int:
    """What the schema calls ``settled``."""
    return FINAL[outcome.state] if isinstance(outcome, Ack) else RETURNED[outcome.kind]


def record(row: asyncpg.Record) -> JobRecord:
    """A row with the columns of the view ``entries``; it may have more."""
    given: dict[str, Any] = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    given["state"] = STATES[row["state"]]
    return JobRecord(**given)


def ended(told: str | None) -> list[Ended]:
    """What the schema's `finish` tells."""
    rows = json.loads(told) if told else ()
    return [Ended(queue, UUID(id_), task, reason) for queue, id_, task, reason in rows]


def codes(states: Collection[State]) -> list[int]:
    """All ways in which jobs of these states are stored."""
    return [code for code, state in STATES.items() if state in states]
