"""Storing jobs: many plain ones by one statement, those with keys or a history one by one."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from queuekit import codes
from queuekit.backend import REMEMBER_IDS, Answer, Stored
from queuekit.errors import BackendRefused, InvalidOption
from queuekit.job import Job, JobOptions, KeyPolicy, Micros, State
from queuekit_sqlite import keys, line, rows
from queuekit_sqlite.connection import Transaction, Values
from queuekit_sqlite.errors import UNSTORABLE
from queuekit_sqlite.rows import Row

_READY: Final = Answer(Stored.STORED, State.READY)
_SCHEDULED: Final = Answer(Stored.STORED, State.SCHEDULED)


class NotAlike(Exception):
    """A batch can't be stored by one statement: an id is known, or an element unstorable."""


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


def together(tx: Transaction, given: Sequence[Job[Any]]) -> list[Answer]:
    """Store fresh jobs without keys.

    Raises:
        NotAlike: roll back, and store them one by one.
    """
    plain = all(job.options.plain for job in given)
    shape = _plain_shape if plain else _shape
    shapes: dict[int, tuple[Values, Answer]] = {}
    values: list[Values] = []
    answers: list[Answer] = []
    for id_, task, payload, options, _, _ in given:
        rest = shapes.get(id(options))
        if rest is None:
            rest = shapes[id(options)] = shape(options, tx.now)
            tx.got_work.add(options.queue)
        values.append((id_.bytes, task, payload, *rest[0]))
        answers.append(rest[1])
    try:
        stored = tx.insert("enqueue_plain", values) if plain else tx.run_many("enqueue", values)
    except UNSTORABLE as error:
        raise NotAlike from error
    if stored != len(values):
        raise NotAlike
    return answers


def one_by_one(tx: Transaction, given: Sequence[Job[Any]], *, atomic: bool) -> list[Answer]:
    """Store jobs of any kind.

    Raises:
        BackendRefused: one of an atomic batch is refused.
    """
    answers: list[Answer] = []
    for index, job in enumerate(given):
        try:
            answers.append(_enqueue(tx, job))
        except UNSTORABLE as error:
            if atomic:
                raise BackendRefused(
                    f"SQLite does not take job {index} of the batch ({error}); nothing was stored."
                ) from error
            answers.append(Answer(Stored.REFUSED, error=f"SQLite does not take it: {error}"))
    return answers


def _plain_shape(given: JobOptions, now: Micros) -> tuple[Values, Answer]:
    return (given.queue, now, given.priority, given.max_attempts), _READY


def _shape(given: JobOptions, now: Micros) -> tuple[Values, Answer]:
    options = rows.options(given, now, keyed=False)
    scheduled = options[2] is not None
    code = codes.SCHEDULED if scheduled else codes.READY
    return (None, given.queue, code, None, now, *options), _SCHEDULED if scheduled else _READY


def _enqueue(tx: Transaction, job: Job[Any]) -> Answer:
    id_, queue = job.id.bytes, job.options.queue
    known = tx.one("find_known", id_, queue, tx.now)
    if known:
        return _repeated(tx, job) or Answer(Stored.KNOWN, codes.STATES.get(known[0]))
    if job.key is None:
        return _insert(tx, job)
    holder = keys.holder(tx, queue, job.key)
    if holder is None:
        answer = _insert(tx, job)
        keys.take(tx, queue, job.key, id_, job.options.key_until, tx.now)
        return answer
    return _beside(tx, job, holder)


def _repeated(tx: Transaction, job: Job[Any]) -> Answer | None:
    """The answer to a replacement that is sent again."""
    replaced = tx.one("find_replaced", job.options.queue, job.key, job.id.bytes)
    if replaced is None:
        return None
    code, id_ = replaced
    return Answer(Stored.REPLACED, codes.STATES[code], UUID(bytes=id_))


def _beside(tx: Transaction, job: Job[Any], holder: keys.Holder) -> Answer:
    queue, policy = job.options.queue, job.options.key_policy
    unfinished = holder.state is not None and holder.state not in codes.FINISHED
    if not unfinished or policy not in {KeyPolicy.REPLACE, KeyPolicy.DEBOUNCE}:
        state = codes.STATES.get(holder.state)
        return Answer(Stored.DUPLICATE, state, UUID(bytes=holder.id))
    if successor := keys.successor(tx, queue, holder.id):
        return _replace(tx, job, successor)
    if holder.state == codes.RUNNING:
        return _insert(tx, job, predecessor=holder.id)
    assert holder.seq is not None
    return _replace(tx, job, rows.at(tx, holder.seq))


def _insert(tx: Transaction, job: Job[Any], predecessor: bytes | None = None) -> Answer:
    keyed = job.key is not None
    options = rows.options(job.options, tx.now, keyed=keyed)
    if predecessor:
        code = codes.WAITING
    else:
        code = codes.READY if options[2] is None else codes.SCHEDULED
        tx.got_work.add(job.options.queue)
    start = job.id.bytes, job.task, job.payload, job.key, job.options.queue, code, predecessor
    tx.run("enqueue", *start, tx.now, *options)
    return Answer(Stored.STORED, codes.STATES[code])


def _replace(tx: Transaction, job: Job[Any], row: Row) -> Answer:
    options = rows.options(job.options, tx.now, keyed=True)
    if row.state == codes.WAITING:
        code = codes.WAITING
    else:
        code = codes.ready(row.lapses) if options[2] is None else codes.SCHEDULED
        tx.got_work.add(row.queue)
    (seq,) = line.new_seqs(tx, 1)
    tx.run("replace_job", row.seq, seq, code, job.task, job.payload, *options, job.id.bytes)
    tx.run("remember_replacement", job.id.bytes, row.queue, tx.now + REMEMBER_IDS)
    if row.state != codes.WAITING:
        assert row.key is not None
        keys.take(tx, row.queue, row.key, row.id, job.options.key_until, tx.now)
    return Answer(Stored.REPLACED, codes.STATES[code], UUID(bytes=row.id))
