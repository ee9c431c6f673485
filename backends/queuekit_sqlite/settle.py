"""Settling runs: plain successes by one statement for all of them, the rest one by one.

A token's `address` is the job's `seq`, negative if its end takes more than a record: a key, or a retention of its own.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from queuekit import codes
from queuekit.backend import Change, Changes, model
from queuekit.job import Ack, Keep, Micros, Return, State
from queuekit_sqlite import doorbell, gates, life, retention, rows
from queuekit_sqlite.connection import Transaction, Values
from queuekit_sqlite.errors import UNSTORABLE
from queuekit_sqlite.rows import Stored

NUL: Final = "\\u0000"
"""In JSON text; SQLite would cut the text there."""
_SUCCEEDED: Final = State.SUCCEEDED  # on Python 3.11 a member of an enum is a slow look-up


class Plan(NamedTuple):
    """Outcomes as the statements take them.

    Made before the transaction, on the event loop: the database's thread would have to wait for the interpreter again
    and again, while all others wait for the database.

    Attributes:
        outcomes: all of them.
        kept: plain successes by their retention, as `succeed` takes them.
        kinds: their queues and tasks.
        unkept: plain successes that leave no record, as `drop` takes them.
        rest: indexes of those that are settled one by one.
    """

    outcomes: Sequence[Ack | Return]
    kept: Mapping[Micros, str]
    kinds: Mapping[tuple[str, str], Keep]
    unkept: Sequence[Values]
    rest: Sequence[int]


def prepare(
    outcomes: Sequence[Ack | Return], usual: Keep, awaited: Collection[tuple[bytes, str]] = ()
) -> Plan:
    """How to settle outcomes.

    Args:
        outcomes: of runs.
        usual: the retention of those that ask for none.
        awaited: ids and queues of jobs for whose end somebody waits.
    """
    kept: defaultdict[Micros, list[str]] = defaultdict(list)
    kinds: dict[tuple[str, str], Keep] = {}
    unkept: list[Values] = []
    rest: list[int] = []
    for index, outcome in enumerate(outcomes):
        queue, id_, delivery, seq, _ = outcome.token
        if (
            not isinstance(outcome, Ack)
            or outcome.state is not _SUCCEEDED
            or (seq or 0) <= 0
            or (awaited and (id_.bytes, queue) in awaited)
        ):
            rest.append(index)
            continue
        keep = outcome.keep or usual
        if not keep.age:
            unkept.append((seq, id_.bytes, delivery, codes.RUNNING))
        elif outcome.result is None:
            rest.append(index)
        else:
            point = seq, delivery, id_.int, outcome.result
            kept[keep.age].append("%016d%016d%032X%s" % point)  # noqa: UP031  # half the time of an f-string
            kinds[queue, outcome.task] = keep
    texts = {age: json.dumps(points, ensure_ascii=False) for age, points in kept.items()}
    if any(NUL in text for text in texts.values()):
        return Plan(outcomes, {}, {}, (), range(len(outcomes)))
    return Plan(outcomes, texts, kinds, unkept, rest)


def carry_out(tx: Transaction, plan: Plan) -> Changes:
    """Carry a plan out; what became of each job, in order."""
    outcomes = plan.outcomes
    if not outcomes:
        return Changes(outcomes)
    if awaited := doorbell.find_awaited(tx):
        plan = prepare(outcomes, tx.settings.keep_succeeded, awaited)
    # if not all of them ended just now, or they have to leave tombstones, each is looked at for itself
    alone = range(len(outcomes)) if gates.any_there(tx) or not _succeed(tx, plan) else plan.rest
    return Changes(outcomes, {index: _settle(tx, outcomes[index]) for index in alone})


def _succeed(tx: Transaction, plan: Plan) -> bool:
    """End plain successes; whether all of them have ended now."""
    # Does not go through the one door (life.leave): plain successes, in bulk.
    now, ended = tx.now, 0
    for age, points in plan.kept.items():
        try:
            ended += tx.run("succeed", points, now, now + age)
        except UNSTORABLE:
            return False
    retention.note_growth(tx, plan.kinds)
    return ended + retention.drop_plain(tx, plan.unkept) == len(plan.outcomes) - len(plan.rest)


def _settle(tx: Transaction, outcome: Ack | Return) -> Change:
    token = outcome.token
    stored = rows.find(tx, token.ref)
    if stored is None or stored.record.life[:3:2] != (State.RUNNING, token.delivery):
        return _repeated(tx, outcome, stored)
    after, how = model.settled(stored.record, outcome, tx.now), model.how_of(outcome)
    change = life.leave(tx, stored, after, how, outcome.keep if isinstance(outcome, Ack) else None)
    return model.answered(outcome, change)


def _repeated(tx: Transaction, outcome: Ack | Return, stored: Stored | None) -> Change:
    """The answer to a token that is not the job's present one."""
    if stored:
        record = stored.record
        return model.repeated(outcome, record.settled, record, stored.seen(tx.now))
    found = tx.one("find_settled", outcome.token.id.bytes, outcome.token.queue)
    return model.repeated(outcome, rows.settled_as(*found) if found else None, None, None)
