"""Settling runs: plain successes in bulk, all others by the schema's one door out of running."""

from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Any, Final, TypeVar, cast

from queuekit.backend import BackendSettings, Change, Changes, Refusal
from queuekit.backend.changes import as_asked
from queuekit.backend.model import invalid
from queuekit.codes import settlement
from queuekit.job import Ack, Keep, Reason, Return, ReturnKind, State, bounded
from queuekit_postgres.connection import Lane
from queuekit_postgres.errors import Unstorable, halved
from queuekit_postgres.rows import odd
from queuekit_postgres.statements import Statements

T = TypeVar("T")
Outcomes = Sequence[Ack | Return]

_SUCCEEDED: Final = State.SUCCEEDED  # on Python 3.11 members of an enum are slow look-ups
_state = itemgetter(2)
"""Of an ack; of a return its delay, which is no state."""


class Settling:
    """Settles over one connection."""

    def __init__(
        self,
        statements: Statements,
        lane: Lane,
        settings: BackendSettings,
        went_back: Callable[[Collection[str]], None],
    ) -> None:
        self._statements = statements
        self._lane = lane
        self._keep = settings.keep_succeeded
        self._keep_failed = settings.keep_failed.age
        self._went_back = went_back

    async def settle(self, outcomes: Outcomes) -> Changes:
        """End jobs or put them back."""
        if {*map(_state, outcomes)} == {_SUCCEEDED}:
            acks = cast("Sequence[Ack]", outcomes)
            return Changes(acks, await halved(self._succeed, self._refuse, acks))
        plain = {
            n: o for n, o in enumerate(outcomes) if isinstance(o, Ack) and o.state == _SUCCEEDED
        }
        others = {n: o for n, o in enumerate(outcomes) if n not in plain}
        changes: dict[int, Change] = {}
        if plain:
            found = await halved(self._succeed, self._refuse, [*plain.values()])
            changes |= _at([*plain], found)
        if others:
            found = await halved(self._leave, self._refuse, [*others.values()])
            changes |= _at([*others], found)
        return Changes(outcomes, changes)

    async def _succeed(self, given: Sequence[Ack]) -> dict[int, Change]:
        tokens, _, _, results, _, _, keeps = zip(*sorted(given, key=_by_seq), strict=True)
        _, _, deliveries, seqs, _ = zip(*tokens, strict=True)
        done = await self._lane.execute(
            self._statements["succeed"],
            seqs,
            *_common(deliveries),
            *_common(results),
            *_ages_and_counts(keeps),
            self._keep.age,
            self._keep.count,
        )
        return {} if done == len(given) else await self._settled(given)

    async def _leave(self, given: Outcomes) -> dict[int, Change]:
        outcomes = sorted(given, key=_by_seq)
        acks = [o if isinstance(o, Ack) else None for o in outcomes]
        (row,) = await self._lane.fetch(
            self._statements["leave"],
            [o.token.address for o in outcomes],
            [o.token.delivery for o in outcomes],
            self._keep_failed,
            [settlement(o) for o in outcomes],
            [bounded(o.delay) if isinstance(o, Return) else 0 for o in outcomes],
            [o.error for o in outcomes],
            [ack and ack.reason for ack in acks],
            *_ages_and_counts([ack and ack.keep for ack in acks]),
        )
        self._went_back({o.token.queue for o in outcomes if _is_release(o)})
        return {} if row["as_asked"] == len(given) else await self._settled(given)

    async def _settled(self, outcomes: Outcomes) -> dict[int, Change]:
        rows = await self._lane.fetch(
            self._statements["settled"],
            [o.token.id for o in outcomes],
            [o.token.queue for o in outcomes],
            [o.token.delivery for o in outcomes],
            [settlement(o) for o in outcomes],
        )
        return odd(rows)

    async def _refuse(self, outcome: Ack | Return, error: Unstorable) -> Change:
        """Settle as failed what the server would not store; a repeat finds it so."""
        token = outcome.token
        keep = outcome.keep if isinstance(outcome, Ack) else None
        found = await self._lane.fetch(self._statements["get"], [token.id], [token.queue])
        attempt, task = (found[0]["attempt"], found[0]["task"]) if found else (0, "")
        text = invalid(attempt, str(error))
        ack = Ack(token, task, State.FAILED, None, Reason.INVALID_RESULT, text, keep)
        lost = await self._leave([ack])
        return lost.get(0) or as_asked(ack)._replace(
            refused=Refusal.UNSTORABLE, detail=str(error), task=task, reason=ack.reason
        )


def _at(places: Sequence[int], found: dict[int, Change]) -> dict[int, Change]:
    """Answers to some outcomes of a batch, by their places in all of it."""
    return {places[n]: change for n, change in found.items()}


def _is_release(outcome: Ack | Return) -> bool:
    return isinstance(outcome, Return) and outcome.kind is ReturnKind.RELEASE


def _by_seq(outcome: Ack | Return) -> tuple[Any, ...]:
    """Address, then delivery, as the statements expect; of two deliveries of one job the newer counts."""
    return outcome.token[3:1:-1]


def _common(values: tuple[T, ...]) -> tuple[T | None, tuple[T, ...] | None]:
    """The one value of all, or all values: encoding an array costs much of what a batch costs here."""
    same = values.count(values[0]) == len(values)
    return (values[0], None) if same else (None, values)


def _ages_and_counts(keeps: Sequence[Keep | None]) -> tuple[list[Any] | None, list[Any] | None]:
    if not any(keeps):
        return None, None
    return [keep and keep.age for keep in keeps], [keep and keep.count for keep in keeps]
