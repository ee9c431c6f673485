"""Settling outcomes, alone or on the way of a claim: plain jobs that succeeded in bulk, all others one by one."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from queuekit.backend import Change, Changes
from queuekit.backend.changes import as_asked
from queuekit.backend.model import answered, invalid, unstorable
from queuekit.errors import QueuekitError
from queuekit.job import Ack, Keep, Reason, Return, ReturnKind, State, bounded
from queuekit_redis.connection import Argument
from queuekit_redis.rows import address_of, count_of, read_odd, read_run
from queuekit_redis.statements import Call, Scripts

AT_ONCE: Final = 1000
"""Most plain acks of one script."""
ONE_BY_ONE: Final = 250
"""Most other outcomes of one script."""
NOTHING: tuple[Argument, ...] = (0,)
"""What ``life.succeed`` takes when there is nothing to settle."""
_DELAYED: Final = frozenset({ReturnKind.RETRY, ReturnKind.SNOOZE})


@dataclass(slots=True)
class _OfQueue:
    """Indices of the outcomes of one queue."""

    bulk: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)


class Settlement:
    """Outcomes on their way to the server, and what became of them.

    Args:
        scripts: of the backend.
        outcomes: to be settled.
        keep: the backend's default retention of succeeded jobs.
    """

    def __init__(self, scripts: Scripts, outcomes: Sequence[Ack | Return], keep: Keep) -> None:
        self._scripts = scripts
        self._keep = keep
        self._odd: dict[int, Change] = {}
        self._unstorable: dict[int, str] = {}
        self._unsettled = len(outcomes)
        self._error: QueuekitError | None = None
        self._outcomes = outcomes
        self._by_queue: dict[str, _OfQueue] = defaultdict(_OfQueue)
        for index, outcome in enumerate(outcomes):
            of_queue = self._by_queue[outcome.token.queue]
            (of_queue.bulk if _in_bulk(outcome) else of_queue.others).append(index)

    def take_bulk(self, queue: str) -> tuple[list[int], Sequence[Argument]]:
        """Indices of plain acks of a queue, and their arguments for the script that also claims."""
        if queue not in self._by_queue or not self._by_queue[queue].bulk:
            return [], NOTHING
        of_queue = self._by_queue[queue]
        indices, of_queue.bulk = of_queue.bulk[:AT_ONCE], of_queue.bulk[AT_ONCE:]
        acks: Any = [self._outcomes[index] for index in indices]
        try:
            return indices, _bulk_arguments(acks, self._keep)
        except UnicodeEncodeError:
            of_queue.others += indices
            return [], NOTHING

    def took_bulk(self, indices: Sequence[int], answer: Any) -> None:
        """Note the answer to what `take_bulk` gave; what was not settled is looked at one by one."""
        if isinstance(answer, QueuekitError):
            self.failed(answer)
        elif answer[0]:
            self._unsettled -= len(indices)
        else:
            self._by_queue[self._outcomes[indices[0]].token.queue].others += indices

    def failed(self, error: QueuekitError) -> None:
        """Note an error that left outcomes unsettled, if any were on their way."""
        self._error = error

    def take_others(self) -> Iterator[tuple[list[int], Call]]:
        """All that needs a look of its own: indices, and the script that settles them."""
        for queue, of_queue in self._by_queue.items():
            indices, of_queue.others = of_queue.others, []
            for start in range(0, len(indices), ONE_BY_ONE):
                some = indices[start : start + ONE_BY_ONE]
                stored = [self._storable(index) for index in some]
                yield some, self._scripts.call("settle", queue, _arguments(stored))

    def _storable(self, index: int) -> Ack | Return:
        """An outcome, or the failure that takes its place if it holds text that can't be stored."""
        outcome = self._outcomes[index]
        why = unstorable(outcome)
        if why is None:
            return outcome
        self._unstorable[index] = why
        return _invalid(outcome, why)

    def took_others(self, indices: Sequence[int], answer: Any) -> None:
        """Note the answer to what `take_others` gave."""
        if isinstance(answer, QueuekitError):
            self.failed(answer)
            return
        self._unsettled -= len(indices)
        queue = self._outcomes[indices[0]].token.queue
        odd = {indices[place]: change for place, change in read_odd(queue, answer)}
        for index in self._unstorable.keys() & set(indices):
            odd.setdefault(index, as_asked(_invalid(self._outcomes[index], "")))  # a repeat
        for index, change in odd.items():
            self._odd[index] = answered(self._outcomes[index], change) if change.done else change

    @property
    def _queues_left(self) -> list[str]:
        """Queues with plain acks that were not taken yet."""
        return [queue for queue, of_queue in self._by_queue.items() if of_queue.bulk]

    async def finish(self) -> Changes:
        """Settle what is left; all changes. Raises the first error that the server answered."""
        while queues := self._queues_left:
            taken = [(queue, *self.take_bulk(queue)) for queue in queues]
            calls = [
                self._scripts.call("fetch", queue, ("", 0, 0, 0, 0, *bulk))
                for queue, _, bulk in taken
            ]
            answers = await self._scripts.run(calls)
            for (_, indices, _), answer in zip(taken, answers, strict=True):
                if indices:
                    self.took_bulk(indices, answer)
        if others := list(self.take_others()):
            answers = await self._scripts.run([call for _, call in others])
            for (indices, _), answer in zip(others, answers, strict=True):
                self.took_others(indices, answer)
        if self._unsettled and self._error is not None:
            raise self._error
        return Changes(self._outcomes, self._odd)


def _in_bulk(outcome: Ack | Return) -> bool:
    """Whether an outcome may take the short way."""
    return (
        isinstance(outcome, Ack)
        and outcome.state is State.SUCCEEDED
        and outcome.token.address is not None
        and outcome.token.address.startswith(b"p:%d:" % outcome.token.delivery)
        and outcome.error is None
        and outcome.reason is None
    )


def _bulk_arguments(acks: Sequence[Ack], keep: Keep) -> list[Argument]:
    """What ``life.succeed`` takes.

    Args:
        acks: such that `_in_bulk` is true.
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
    addresses = [ack.token.address for ack in ordered]
    return [
        len(groups),
        *heads,
        *ids,
        *addresses,
        *[(ack.result or "").encode() for ack in ordered],
    ]


def _arguments(outcomes: Sequence[Ack | Return]) -> Iterator[Argument]:
    """What the settle script takes."""
    for outcome in outcomes:
        token, error = outcome.token, (outcome.error or "").encode()
        if isinstance(outcome, Return):
            yield from (
                outcome.kind,
                token.id.bytes,
                address_of(token),
                bounded(outcome.delay) if outcome.kind in _DELAYED else 0,
                error,
            )
            yield from ("", "", "", "", "")
            continue
        yield from ("ack", token.id.bytes, address_of(token), 0, error, outcome.state)
        yield from ((outcome.reason or "").encode(), (outcome.result or "").encode())
        if outcome.keep is None:
            yield from ("", "")
        else:
            yield from (outcome.keep.age, count_of(outcome.keep))


def _invalid(outcome: Ack | Return, why: str) -> Ack:
    """The failure that takes the place of an outcome that can't be stored."""
    attempt = read_run(address_of(outcome.token)).attempt
    task, keep = (outcome.task, outcome.keep) if isinstance(outcome, Ack) else ("", None)
    return Ack(
        outcome.token,
        task,
        State.FAILED,
        reason=Reason.INVALID_RESULT,
        error=invalid(attempt, why),
        keep=keep,
    )
