"""Settling outcomes, alone or on the way of a claim."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from queuekit.backend import Ended, Verdict
from queuekit.errors import QueuekitError
from queuekit.job import Keep
from queuekit_redis.connections import Argument
from queuekit_redis.outcomes import (
    AT_ONCE,
    ONE_BY_ONE,
    Outcome,
    arguments,
    bulk_arguments,
    in_bulk,
    storable,
)
from queuekit_redis.records import read_ended
from queuekit_redis.scripts import Call, Scripts

NOTHING: tuple[Argument, ...] = (0,)
"""What ``ack_plain`` takes when there is nothing to settle."""


@dataclass(slots=True)
class _OfQueue:
    """Indices of the outcomes of one queue."""

    bulk: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)


class Settlement:
    """Outcomes on their way to the server, and their verdicts.

    Args:
        scripts: of the backend.
        outcomes: to be settled.
        keep: the backend's default retention of succeeded jobs.

    Attributes:
        ended: jobs that have failed by it, without an ack.
    """

    def __init__(self, scripts: Scripts, outcomes: Sequence[Outcome], keep: Keep) -> None:
        self._scripts = scripts
        self._keep = keep
        self.ended: list[Ended] = []
        self._verdicts: list[Verdict | None] = [None] * len(outcomes)
        self._refused: set[int] = set()
        self._error: QueuekitError | None = None
        self._outcomes = outcomes
        self._by_queue: dict[str, _OfQueue] = defaultdict(_OfQueue)
        for index, outcome in enumerate(outcomes):
            of_queue = self._by_queue[outcome.token.queue]
            (of_queue.bulk if in_bulk(outcome) else of_queue.others).append(index)

    def take_bulk(self, queue: str) -> tuple[list[int], Sequence[Argument]]:
        """Indices of plain acks of a queue, and their arguments for the script that also claims."""
        if queue not in self._by_queue or not self._by_queue[queue].bulk:
            return [], NOTHING
        of_queue = self._by_queue[queue]
        indices, of_queue.bulk = of_queue.bulk[:AT_ONCE], of_queue.bulk[AT_ONCE:]
        acks: Any = [self._outcomes[index] for index in indices]
        try:
            return indices, bulk_arguments(acks, self._keep)
        except UnicodeEncodeError:
            of_queue.others += indices
            return [], NOTHING

    def took_bulk(self, indices: Sequence[int], answer: Any) -> None:
        """Note the answer to what `take_bulk` gave; what was not settled is looked at one by one."""
        if isinstance(answer, QueuekitError):
            self.failed(answer)
        elif answer[0]:
            for index in indices:
                self._verdicts[index] = Verdict.DONE
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
                stored = [storable(self._outcomes[index]) for index in some]
                for index, outcome in zip(some, stored, strict=True):
                    if outcome is not self._outcomes[index]:
                        self._refused.add(index)
                yield some, self._scripts.call("settle", queue, arguments(stored))

    def took_others(self, indices: Sequence[int], answer: Any) -> None:
        """Note the answer to what `take_others` gave."""
        if isinstance(answer, QueuekitError):
            self.failed(answer)
            return
        verdicts, ended = answer
        for index, done in zip(indices, verdicts, strict=True):
            settled = Verdict.REFUSED if index in self._refused else Verdict.DONE
            self._verdicts[index] = settled if done else Verdict.LOST
        self.ended += read_ended(self._outcomes[indices[0]].token.queue, ended)

    @property
    def queues_left(self) -> list[str]:
        """Queues with plain acks that were not taken yet."""
        return [queue for queue, of_queue in self._by_queue.items() if of_queue.bulk]

    async def finish(self) -> list[Verdict]:
        """Settle what is left, and give all verdicts. Raises the first error that the server answered."""
        while queues := self.queues_left:
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
        settled = [verdict for verdict in self._verdicts if verdict is not None]
        if len(settled) < len(self._verdicts) and self._error is not None:
            raise self._error
        return settled
