"""Storing jobs: many without keys and a history by one step for all, the others one by one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from queuekit.backend import REMEMBER_IDS, Change, Changes, Guard, Refusal, model
from queuekit.errors import BackendRefused, InvalidOption, QueueMoved
from queuekit.job import Job, KeyPolicy, Micros, State
from queuekit.lifecycle import Event, allowed
from queuekit_sqlite import gates, keys, life, line, retention, rows
from queuekit_sqlite.connection import Store, Transaction, Values
from queuekit_sqlite.errors import UNSTORABLE
from queuekit_sqlite.keys import Holder
from queuekit_sqlite.rows import Stored

_REPLACING: Final = frozenset({KeyPolicy.REPLACE, KeyPolicy.DEBOUNCE})


class NotAlike(Exception):
    """A batch can't be stored by one statement: an id is known, an element unstorable, or a gate refuses one."""


async def store(
    store: Store, given: Sequence[Job[Any]], *, atomic: bool = False, guard: Guard | None = None
) -> Changes:
    """Store jobs; one answer each, in order.

    Raises:
        BackendRefused, QueueMoved: one of an atomic batch is refused.
        InvalidOption: a replica is asked for.
    """
    check(given)
    if alike(given):
        try:
            return await store.write(lambda tx: together(tx, given, guard))
        except NotAlike:
            pass
    return await store.write(lambda tx: one_by_one(tx, given, atomic=atomic, guard=guard))


def check(given: Sequence[Job[Any]]) -> None:
    """Refuse options that SQLite can't keep.

    Raises:
        InvalidOption: a replica is asked for.
    """
    if any(job.options.replicated for job in given):
        raise InvalidOption(
            "SQLite has no replicas: leave durability at 'server', which survives a crash of the machine."
        )


def alike(given: Sequence[Job[Any]]) -> bool:
    """Whether one statement may do for all: no keys, and no ids that the history could know."""
    return all(job.fresh and job.key is None for job in given)


def together(tx: Transaction, given: Sequence[Job[Any]], guard: Guard | None) -> Changes:
    """Store fresh jobs without keys.

    Raises:
        NotAlike: roll back, and look at them one by one.
    """
    plain = all(job.options.plain for job in given)
    shape: Callable[[Job[Any], Micros], Values] = _plain_shape if plain else _shape
    shapes: dict[int, Values] = {}
    values: list[Values] = []
    for job in given:
        id_, task, payload, options, _, _ = job
        rest = shapes.get(id(options))
        if rest is None:
            rest = shapes[id(options)] = shape(job, tx.now)
            tx.got_work.add(options.queue)
        values.append((id_.bytes, task, payload, *rest))
    if gates.any_refuses(tx, tx.got_work, guard):
        raise NotAlike
    try:
        stored = tx.insert("insert_plain", values) if plain else rows.add_all(tx, values)
    except UNSTORABLE as error:
        raise NotAlike from error
    if stored != len(values):
        raise NotAlike
    return Changes(given, {} if plain else _dated(given, tx.now))


def one_by_one(
    tx: Transaction, given: Sequence[Job[Any]], *, atomic: bool = False, guard: Guard | None = None
) -> Changes:
    """Store jobs of any kind.

    Raises:
        BackendRefused, QueueMoved: one of an atomic batch is refused.
    """
    changes: dict[int, Change] = {}
    for place, job in enumerate(given):
        try:
            changes[place] = _enqueue(tx, job, guard, atomic=atomic)
        except UNSTORABLE as error:
            if atomic:
                raise BackendRefused(
                    f"SQLite does not take job {place} of the batch ({error}); nothing was stored."
                ) from error
            changes[place] = model.refused(job.ref, Refusal.UNSTORABLE, detail=str(error))
    return Changes(given, changes)


def _plain_shape(job: Job[Any], now: Micros) -> Values:
    """What jobs of the same options have in common, as `insert_plain` takes it."""
    options = job.options
    return options.queue, now, options.priority, options.max_attempts


def _shape(job: Job[Any], now: Micros) -> Values:
    """The same for `rows.add_all`."""
    return rows.values(model.enqueued(job, now))[3:]


def _dated(given: Sequence[Job[Any]], now: Micros) -> dict[int, Change]:
    """The answers to jobs that are due at a moment."""
    return {
        place: Change(job.ref, None, State.SCHEDULED if job.options.due > now else State.READY)
        for place, job in enumerate(given)
        if job.options.due is not None
    }


def _enqueue(tx: Transaction, job: Job[Any], guard: Guard | None, *, atomic: bool) -> Change:
    if known := retention.known(tx, job.ref):
        return _repeated(tx, job) or known
    if why := gates.refusal(tx, job.options.queue, guard, keyed=job.key is not None):
        refused, home = why
        if atomic:
            raise QueueMoved(job.options.queue, home or "")
        return model.refused(job.ref, refused, detail=home)
    holder = keys.holder(tx, job.options.queue, job.key)
    if holder is None:
        return life.begin(tx, model.enqueued(job, tx.now))
    return _beside(tx, job, holder)


def _repeated(tx: Transaction, job: Job[Any]) -> Change | None:
    """The answer to a replacement that is sent again."""
    found = tx.one("find_replaced", job.options.queue, job.key, job.id.bytes)
    record = rows.at(tx, found[0]).record if found else None
    if record is None or record.finished:
        return None
    return model.told(record.state, record)._replace(holder=record.job.id)


def _beside(tx: Transaction, job: Job[Any], holder: Holder) -> Change:
    """Another job holds its key."""
    if job.options.key_policy in _REPLACING and holder.seq is not None:
        held = rows.at(tx, holder.seq)
        if waiting := keys.follower(tx, held.record.ref):
            return _replace(tx, job, waiting)
        if allowed(Event.REPLACE, held.record.state):
            return _replace(tx, job, held)
        if held.record.state is State.RUNNING:
            after = model.enqueued(job, tx.now, follows=True)
            return life.begin(tx, replace(after, follows=holder.id))
    return model.refused(job.ref, Refusal.KEY_HELD, holder=holder.id)


def _replace(tx: Transaction, job: Job[Any], old: Stored) -> Change:
    after = model.replaced(old.record, job, tx.now)
    line.put(tx, old, after)
    keys.take(tx, after)
    tx.run("remember_replacement", job.id.bytes, job.options.queue, tx.now + REMEMBER_IDS)
    return model.told(old.record.state, after)._replace(holder=old.record.job.id)
