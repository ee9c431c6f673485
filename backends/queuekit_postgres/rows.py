"""Between the columns of the schema and the values of the contract."""

import json
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from queuekit.backend import Answer, Change, Ended, Refusal, Stored
from queuekit.codes import FAILED, STATES
from queuekit.job import Claim, JobOptions, JobRecord, JobRef, State, Token

_FIELDS = tuple(field.name for field in fields(JobRecord))
_KEY_HOLD = {"started": 1, "finished": 2}
# A NamedTuple's own constructor is a Python function: twice the cost, for every job.
_new = tuple.__new__


@lru_cache(maxsize=1024)
def options(given: JobOptions) -> str:
    """Options as the schema's type of that name, in JSON."""
    until = given.key_until
    columns = {
        "queue": given.queue,
        "priority": given.priority,
        "max_attempts": given.max_attempts,
        "delay": given.delay,
        "due": given.due,
        "expires": given.expires,
        "lease": given.lease,
        "max_crashes": given.max_crashes,
        "max_lapses": given.max_lapses,
        "key_policy": given.key_policy,
        "key_hold": 3 if isinstance(until, int) else _KEY_HOLD[until],
        "key_for": until if isinstance(until, int) else None,
        "keep_age": given.keep and given.keep.age,
        "keep_count": given.keep and given.keep.count,
        "tags": given.tags or None,
        "extra": given.extra or None,
        "replicated": given.replicated,
    }
    return json.dumps({name: value for name, value in columns.items() if value is not None})


def answers(rows: Iterable[asyncpg.Record]) -> list[Answer]:
    """What the schema's `store_all` says of each job."""
    return [Answer(Stored(kind), _state(state), holder) for kind, state, holder in rows]


def claimed(queue: str, row: asyncpg.Record) -> Claim:
    """A row of the statement `claim`: the columns from the fourth on are a claim's fields in their order."""
    return _new(Claim, (_new(Token, (queue, row[1], row[2], row[0])), *row[3:12]))


def record(row: asyncpg.Record) -> JobRecord:
    """A row with the columns of the view ``entries``; it may have more."""
    given: dict[str, Any] = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    given["state"] = STATES[row["state"]]
    return JobRecord(**given)


def change(ref: JobRef, row: asyncpg.Record) -> Change:
    """What the schema's `steer` says of one job."""
    found, now, generation, refused, holder = row
    refusal = Refusal(refused) if refused else None
    return Change(ref, _state(found), _state(now), generation, refusal, holder)


def refs(told: str | None) -> list[JobRef]:
    """The jobs of which the schema tells what became, as rows of its type `became` in JSON."""
    return [JobRef(one["queue"], UUID(one["id"])) for one in json.loads(told or "[]")]


def ended(told: str | None) -> list[Ended]:
    """Those of them that have failed."""
    return [
        Ended(one["queue"], UUID(one["id"]), one["task"], one["reason"])
        for one in json.loads(told or "[]")
        if one["state"] == FAILED
    ]


def _state(code: int | None) -> State | None:
    return None if code is None else STATES[code]
