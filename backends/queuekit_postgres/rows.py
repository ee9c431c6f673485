"""Between the columns of the schema and the values of the contract."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg

from queuekit import codes
from queuekit.backend import Change, Refusal
from queuekit.backend.model import hold_of, takes_key
from queuekit.job import Claim, Claimant, Job, JobOptions, JobRef, Keep, Micros, State, Token
from queuekit.record import JobRecord, Lease, Life, Notes, Settled, Times

_KEY_FOR = {"started": 0, "finished": None}
# A NamedTuple's own constructor is a Python function: twice the cost, for every job.
_new = tuple.__new__


@lru_cache(maxsize=1024)
def options(given: JobOptions) -> str:
    """Options as the schema's type of that name, in JSON."""
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
        "key_for": _key_for(given),
        "keep_age": given.keep and given.keep.age,
        "keep_count": given.keep and given.keep.count,
        "tags": given.tags or None,
        "extra": given.extra or None,
        "replicated": given.replicated,
    }
    return json.dumps({name: value for name, value in columns.items() if value is not None})


def claimed(queue: str, row: asyncpg.Record) -> Claim:
    """A row of the statement `claim`: the columns from the fifth on are a claim's fields in their order."""
    return _new(Claim, (_new(Token, (queue, row[1], row[2], row[0], row[3])), *row[4:13]))


def record(row: asyncpg.Record) -> JobRecord:
    """A row with the columns of the view ``entries``; it may have more."""
    options = JobOptions(
        queue=row["queue"],
        priority=row["priority"],
        max_attempts=row["max_attempts"],
        lease=row["own_lease"],
        max_crashes=row["max_crashes"],
        max_lapses=row["max_lapses"],
        key_until=_key_until(row["key_for"]),
        keep=None if row["keep_age"] is None else Keep(row["keep_age"], row["keep_count"]),
        tags=tuple(row["tags"] or ()),
        extra=row["extra"] or "",
    )
    fields = {name: row[name] for name in Life._fields}
    notes = {name: row[name] or () for name in ("errors", "history", "logs")}
    run = row["settled"]
    lease = None
    if row["state"] == codes.RUNNING:
        lease = Lease(Claimant(row["claimant"], row["claim"]), row["lease"])
    return JobRecord(
        job=Job(row["id"], row["task"], row["payload"], options, row["key"], fresh=False),
        life=Life(**{**fields, "state": codes.STATES[row["state"]]}),
        times=Times(*(row[name] for name in Times._fields)),
        notes=Notes(result=row["result"], progress=row["progress"], **notes),
        lease=lease,
        settled=None if run is None else Settled(codes.HOW[run], row["settled_delivery"]),
        follows=row["follows"],
        origin=row["origin"],
    )


def columns(place: int, one: JobRecord) -> dict[str, Any]:
    """A whole job for the schema's `transfer`: by the columns of its tables and of its type `arrival`."""
    (id_, task, payload, options, key, _), (result, errors, history, progress, logs) = (
        one.job,
        one.notes,
    )
    claimant, length = one.lease or (None, None)
    how, delivery = one.settled or (None, None)
    return {
        **one.life._asdict(),
        **one.times._asdict(),
        "n": place,
        "holds": takes_key(one, 0),  # whether its time is over is for the server to say
        "key_until": hold_of(one).until,
        "id": str(id_),
        "queue": options.queue,
        "task": task,
        "payload": payload,
        "key": key,
        "state": _code(one),
        "priority": options.priority,
        "max_attempts": options.max_attempts,
        "own_lease": options.lease,
        "key_for": _key_for(options),
        "keep_age": options.keep and options.keep.age,
        "keep_count": options.keep and options.keep.count,
        "tags": list(options.tags) or None,
        "extra": options.extra or None,
        "result": result,
        "errors": list(errors) or None,
        "history": list(history) or None,
        "progress": progress,
        "logs": list(logs) or None,
        "claimant": claimant and claimant.process,
        "claim": claimant and claimant.number,
        "lease": length,
        "settled": how and codes.SETTLEMENTS[how],
        "settled_delivery": delivery,
        "follows": one.follows and str(one.follows),
        "origin": one.origin and str(one.origin),
    }


def change(row: asyncpg.Record | Mapping[str, Any]) -> Change:
    """A row of the schema's type of that name, or of its columns."""
    found, now, refused, holder = row["found"], row["now"], row["refused"], row["holder"]
    reason, moved = row["reason"], refused == Refusal.MOVED
    return Change(
        JobRef(row["queue"], row["id"]),
        None if found is None else codes.STATES[found],
        None if now is None else codes.STATES[now],
        row["generation"],
        None if refused is None else Refusal(refused),
        holder,
        reason if moved else None,
        row["task"],
        None if moved else reason,
    )


def odd(rows: Iterable[asyncpg.Record]) -> dict[int, Change]:
    """Changes by their places in the batch."""
    return {row["n"] - 1: change(row) for row in rows}


def changes(told: str | None) -> list[Change]:
    """Rows of the schema's type `change` as a JSON array; null: none."""
    return [change({**one, "id": UUID(one["id"])}) for one in json.loads(told or "[]")]


def _code(one: JobRecord) -> int:
    if one.state is State.READY:
        return codes.ready(one.life.lapses)
    (code,) = codes.codes_of([one.state])
    return code


def _key_for(options: JobOptions) -> Micros | None:
    until = options.key_until
    return until if isinstance(until, int) else _KEY_FOR[until]


def _key_until(key_for: Micros | None) -> Micros | str:
    return "finished" if key_for is None else key_for or "started"
