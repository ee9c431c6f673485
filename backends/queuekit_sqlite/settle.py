"""Settling runs: plain successes by one statement for all of them, the rest one by one.

A token's `ref` is the job's `seq`, negative if its end takes more than a record: a key, or a retention of its own.
"""

import json
from collections import defaultdict
from collections.abc import Sequence

from queuekit.backend import REMEMBER_IDS, Verdict
from queuekit.job import Ack, Keep, Micros, Reason, Return, State
from queuekit_sqlite import codes, jobs
from queuekit_sqlite.enqueue import UNSTORABLE
from queuekit_sqlite.transaction import Row, Transaction

NUL = "\\u0000"
"""In JSON text; SQLite would cut the text there."""


def settle(tx: Transaction, outcomes: Sequence[Ack | Return]) -> list[Verdict]:
    """Carry outcomes out; a verdict for each, in order."""
    if not outcomes:
        return []
    awaited = {(id_, queue) for id_, queue in tx.all("awaited", tx.now)}
    plain: list[Ack] = []
    rest: list[int] = []
    for index, outcome in enumerate(outcomes):
        token = outcome.token
        if (
            isinstance(outcome, Ack)
            and outcome.state is State.SUCCEEDED
            and (token.ref or 0) > 0
            and not (awaited and (token.id.bytes, token.queue) in awaited)
        ):
            plain.append(outcome)
        else:
            rest.append(index)
    verdicts = [Verdict.DONE] * len(outcomes)
    # if not all of them ended just now, each is looked at for itself
    alone = rest if _succeed(tx, plain) else range(len(outcomes))
    for index in alone:
        verdicts[index] = _settle(tx, outcomes[index])
    return verdicts


def _succeed(tx: Transaction, acks: Sequence[Ack]) -> bool:
    """End runs without peculiarities; whether all of them have ended now."""
    now, usual = tx.now, tx.settings.keep_succeeded
    kept: defaultdict[Micros, list[str]] = defaultdict(list)
    unkept: list[Row] = []
    kinds: dict[tuple[str, str], Keep] = {}
    for (queue, id_, delivery, seq), task, _, result, _, _, given in acks:
        keep = given or usual
        if keep.age and result is not None:
            kept[keep.age].append(f"{seq:016d}{delivery:016d}{id_.int:032X}{result}")
            kinds[queue, task] = keep
        elif not keep.age:
            unkept.append((seq, id_.bytes, delivery, codes.RUNNING))
    ended = 0
    for age, points in kept.items():
        text = json.dumps(points, ensure_ascii=False)
        if NUL in text:
            return False
        try:
            ended += tx.run("succeed", text, now, now + age)
        except UNSTORABLE:
            return False
    tx.run_many("grow", [(*kind, keep.count, now + keep.age) for kind, keep in kinds.items()])
    return ended + _forget(tx, unkept) == len(acks)


def _forget(tx: Transaction, points: Sequence[Row]) -> int:
    """Jobs that succeed without a record: only their ids are remembered."""
    if not points:
        return 0
    end, until = codes.SUCCEEDED, tx.now + REMEMBER_IDS
    tx.run_many("remember", [(*point, end, until, end, point[2]) for point in points])
    return tx.run_many("drop", points)


def _settle(tx: Transaction, outcome: Ack | Return) -> Verdict:
    token = outcome.token
    row = jobs.find(tx, token.id.bytes, token.queue)
    if row is None or row.code != codes.RUNNING or row.delivery != token.delivery:
        return _repeated(tx, outcome)
    if isinstance(outcome, Return):
        jobs.put_back(tx, row, outcome)
        return Verdict.DONE
    return _finish(tx, row, outcome)


def _finish(tx: Transaction, row: jobs.Row, ack: Ack) -> Verdict:
    settled = codes.settlement(ack)
    if ack.error is not None:
        row = jobs.fail_run(tx, row, ack.error)
    try:
        jobs.finish(
            tx,
            row,
            codes.ENDS[ack.state],
            reason=None if ack.reason is None else str(ack.reason),
            result=ack.result,
            keep=ack.keep,
            settled=settled,
        )
    except UNSTORABLE as problem:
        row = jobs.fail_run(tx, row, _refusal(row, problem))
        reason = Reason.INVALID_RESULT.value
        jobs.finish(tx, row, codes.FAILED, reason=reason, keep=ack.keep, settled=settled)
        return Verdict.REFUSED
    return Verdict.DONE


def _refusal(row: jobs.Row, problem: Exception) -> str:
    message = f"SQLite does not take the result: {problem}"
    error = {"attempt": row.attempt, "type": "InvalidResult", "message": message, "traceback": ""}
    return json.dumps(error)


def _repeated(tx: Transaction, outcome: Ack | Return) -> Verdict:
    """The verdict on a token that is not the job's present one: done, if it was settled the same way."""
    token, wanted = outcome.token, codes.settlement(outcome)
    for settled, delivery, code in tx.all("settled", token.id.bytes, token.queue):
        if (settled, delivery) == (wanted, token.delivery):
            refused = wanted in codes.STATES and code == codes.FAILED != wanted
            return Verdict.REFUSED if refused else Verdict.DONE
    return Verdict.LOST
