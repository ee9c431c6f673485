"""Settling runs: plain successes by one statement for all of them, the rest one by one.

A token's `address` is the job's `seq`, negative if its end takes more than a record: a key, or a retention of its own.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from queuekit import codes
from queuekit.backend import Verdict
from queuekit.job import Ack, Keep, Micros, Reason, Return, State, bounded
from queuekit.lifecycle import Event
from queuekit_sqlite import doorbell, life, notes, retention, rows
from queuekit_sqlite.connection import Transaction, Values
from queuekit_sqlite.errors import UNSTORABLE
from queuekit_sqlite.rows import Row

NUL: Final = "\\u0000"
"""In JSON text; SQLite would cut the text there."""
_SUCCEEDED: Final = State.SUCCEEDED  # on Python 3.11 a member of an enum is a slow look-up
_ACKED: Final[Mapping[State, Event]] = {
    State.SUCCEEDED: Event.ACK_SUCCEEDED,
    State.FAILED: Event.ACK_FAILED,
    State.CANCELLED: Event.ACK_CANCELLED,
}


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
        queue, id_, delivery, seq = outcome.token
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


def carry_out(tx: Transaction, plan: Plan) -> list[Verdict]:
    """Carry a plan out; a verdict for each outcome, in order."""
    outcomes = plan.outcomes
    if not outcomes:
        return []
    if awaited := doorbell.find_awaited(tx):
        plan = prepare(outcomes, tx.settings.keep_succeeded, awaited)
    verdicts = [Verdict.DONE] * len(outcomes)
    # if not all of them ended just now, each is looked at for itself
    alone = plan.rest if _succeed(tx, plan) else range(len(outcomes))
    for index in alone:
        verdicts[index] = _settle(tx, outcomes[index])
    return verdicts


def _succeed(tx: Transaction, plan: Plan) -> bool:
    """End plain successes; whether all of them have ended now."""
    # Passes by the door (life.leave): plain successes, in bulk.
    now, ended = tx.now, 0
    for age, points in plan.kept.items():
        try:
            ended += tx.run("succeed", points, now, now + age)
        except UNSTORABLE:
            return False
    retention.note_growth(tx, plan.kinds)
    return ended + retention.drop_plain(tx, plan.unkept) == len(plan.outcomes) - len(plan.rest)


def _settle(tx: Transaction, outcome: Ack | Return) -> Verdict:
    token = outcome.token
    row = rows.find(tx, token.id.bytes, token.queue)
    if row is None or row.state != codes.RUNNING or row.delivery != token.delivery:
        return _repeated(tx, outcome)
    row = row._replace(settled=codes.settlement(outcome), settled_delivery=row.delivery)
    if outcome.error is not None:
        row = notes.with_error(tx, row, outcome.error)
    if isinstance(outcome, Return):
        life.leave(tx, row, Event(outcome.kind.value), delay=bounded(outcome.delay))
        return Verdict.DONE
    return _end(tx, row, outcome)


def _end(tx: Transaction, row: Row, ack: Ack) -> Verdict:
    event, keep = _ACKED[ack.state], ack.keep
    try:
        life.leave(tx, row, event, reason=ack.reason, result=ack.result, keep=keep)
    except UNSTORABLE as problem:
        row = notes.with_error(tx, row, _refusal(row, problem))
        life.leave(tx, row, Event.ACK_FAILED, reason=Reason.INVALID_RESULT, keep=keep)
        return Verdict.REFUSED
    return Verdict.DONE


def _refusal(row: Row, problem: Exception) -> str:
    message = f"SQLite does not take the result: {problem}"
    error = {"attempt": row.attempt, "type": "InvalidResult", "message": message, "traceback": ""}
    return json.dumps(error)


def _repeated(tx: Transaction, outcome: Ack | Return) -> Verdict:
    """The verdict on a token that is not the job's present one: done, if it was settled the same way."""
    token, wanted = outcome.token, codes.settlement(outcome)
    for settled, delivery, code in tx.all("find_settled", token.id.bytes, token.queue):
        if (settled, delivery) == (wanted, token.delivery):
            refused = wanted in codes.STATES and code == codes.FAILED != wanted
            return Verdict.REFUSED if refused else Verdict.DONE
    return Verdict.LOST
