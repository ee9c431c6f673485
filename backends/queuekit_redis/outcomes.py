"""Outcomes of runs as the scripts take them: plain jobs that succeeded in bulk, all others one by one."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from queuekit.backend import LOGS_KEPT, Report
from queuekit.job import Ack, Keep, Reason, Return, State, Token, bounded
from queuekit_redis.connections import Argument
from queuekit_redis.records import SEPARATOR, read_ref, ref_of

T = TypeVar("T")
Outcome: TypeAlias = Ack | Return

AT_ONCE: Final = 1000
"""Most plain acks of one script."""
ONE_BY_ONE: Final = 250
"""Most other outcomes of one script."""


def in_bulk(outcome: Outcome) -> bool:
    """Whether an outcome may take the short way."""
    return (
        isinstance(outcome, Ack)
        and outcome.state is State.SUCCEEDED
        and outcome.token.address is not None
        and outcome.token.address.startswith(b"p:%d:" % outcome.token.delivery)
        and outcome.error is None
        and outcome.reason is None
    )


def bulk_arguments(acks: Sequence[Ack], keep: Keep) -> list[Argument]:
    """What ``ack_plain`` takes.

    Args:
        acks: such that `in_bulk` is true.
        keep: the backend's default retention.
    """
    groups: dict[tuple[str, Keep | None], list[Ack]] = {}
    for ack in acks:
        groups.setdefault((ack.task, ack.keep), []).append(ack)
    heads: list[Argument] = []
    for (task, own), members in groups.items():
        kept = own or keep
        heads += (task, kept.age, count_of(kept), len(members))
    ordered = acks if len(groups) == 1 else [ack for group in groups.values() for ack in group]
    ids = [ack.token.id.bytes for ack in ordered]
    refs = [ack.token.address for ack in ordered]
    return [len(groups), *heads, *ids, *refs, *[(ack.result or "").encode() for ack in ordered]]


def count_of(keep: Keep) -> int:
    """The bound of a retention as scripts take it."""
    return -1 if keep.count is None else keep.count


def arguments(outcomes: Sequence[Outcome]) -> Iterator[Argument]:
    """What the settle script takes."""
    for outcome in outcomes:
        token, error = outcome.token, (outcome.error or "").encode()
        if isinstance(outcome, Return):
            yield from (outcome.kind, token.id.bytes, ref_of(token), bounded(outcome.delay), error)
            yield from ("", "", "", "", "")
            continue
        yield from ("ack", token.id.bytes, ref_of(token), 0, error, outcome.state)
        yield from ((outcome.reason or "").encode(), (outcome.result or "").encode())
        if outcome.keep is None:
            yield from ("", "")
        else:
            yield from (outcome.keep.age, count_of(outcome.keep))


def storable(outcome: Outcome) -> Outcome:
    """The same, or the failure that takes its place if it holds text that can't be stored."""
    try:
        for _ in arguments([outcome]):
            pass
    except UnicodeEncodeError as error:
        _, attempt, _ = read_ref(ref_of(outcome.token))
        told = {"attempt": attempt, "type": "InvalidResult", "message": str(error), "traceback": ""}
        task = outcome.task if isinstance(outcome, Ack) else ""
        return Ack(
            outcome.token,
            task,
            State.FAILED,
            reason=Reason.INVALID_RESULT,
            error=json.dumps(told),
            keep=outcome.keep if isinstance(outcome, Ack) else None,
        )
    return outcome


def heartbeat_arguments(tokens: Sequence[Token]) -> Iterator[Argument]:
    """What the heartbeat script takes."""
    yield len(tokens)
    yield from (token.id.bytes for token in tokens)
    yield from (ref_of(token) for token in tokens)


def is_text(value: str) -> bool:
    """Whether the server can be sent it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def report_arguments(report: Report) -> Iterator[Argument]:
    """What the report script takes for one report."""
    yield report.token.id.bytes
    yield ref_of(report.token)
    yield report.progress or ""
    yield SEPARATOR.join(map(json.dumps, report.logs[-LOGS_KEPT:]))


def by_queue(items: Sequence[T], queue_of: Callable[[T], str]) -> Iterator[tuple[str, list[T]]]:
    """Items by their queue, at most `AT_ONCE` together."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(queue_of(item), []).append(item)
    for queue, all_of_them in found.items():
        for start in range(0, len(all_of_them), AT_ONCE):
            yield queue, all_of_them[start : start + AT_ONCE]
