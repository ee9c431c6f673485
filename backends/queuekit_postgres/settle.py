"""Settling runs: acks move jobs to the records, returns put them back."""

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar, cast

from queuekit.backend import BackendSettings, Ended, Verdict
from queuekit.codes import ENDS, RETURNS, settlement
from queuekit.job import Ack, Reason, Return, ReturnKind, State, bounded
from queuekit_postgres.connection import Lane
from queuekit_postgres.errors import Unstorable, halved
from queuekit_postgres.rows import ended
from queuekit_postgres.statements import Statements

T = TypeVar("T")

_USUAL = {State.SUCCEEDED}


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
        succeeded, failed = settings.keep_succeeded, settings.keep_failed
        self._keep = (succeeded.age, succeeded.count, failed.age)
        self._went_back = went_back

    async def settle(self, outcomes: Sequence[Ack | Return], failed: list[Ended]) -> list[Verdict]:
        """End jobs or put them back; those that have failed by going back are added to the list."""
        if {*map(type, outcomes)} == {Ack}:
            return await self.ack(cast("Sequence[Ack]", outcomes))
        acks = {n: o for n, o in enumerate(outcomes) if isinstance(o, Ack)}
        returns = {n: o for n, o in enumerate(outcomes) if isinstance(o, Return)}
        verdicts = dict(zip(acks, await self.ack(list(acks.values())), strict=True))
        verdicts |= zip(returns, await self.retry(list(returns.values()), failed), strict=True)
        return [verdicts[n] for n in range(len(outcomes))]

    async def ack(self, acks: Sequence[Ack]) -> list[Verdict]:
        """End jobs."""
        return await halved(self._ack, self._refuse, acks) if acks else []

    async def retry(self, returns: Sequence[Return], failed: list[Ended]) -> list[Verdict]:
        """Put jobs back; those that have failed by it are added to the list."""
        if not returns:
            return []
        verdicts = await halved(lambda some: self._retry(some, failed), self._refuse, returns)
        self._went_back({r.token.queue for r in returns if r.kind is ReturnKind.RELEASE})
        return verdicts

    async def _ack(self, given: Sequence[Ack]) -> list[Verdict]:
        tokens, _, states, results, reasons, errors, keeps = zip(
            *sorted(given, key=_by_seq), strict=True
        )
        _, _, deliveries, seqs = zip(*tokens, strict=True)
        kept = any(keeps)
        done = await self._lane.execute(
            self._statements["ack"],
            seqs,
            *_common(deliveries),
            *_common(results),
            [ENDS[state] for state in states] if set(states) != _USUAL else None,
            _unless_none(reasons),
            _unless_none(errors),
            [keep and keep.age for keep in keeps] if kept else None,
            [keep and keep.count for keep in keeps] if kept else None,
            *self._keep,
        )
        return [Verdict.DONE] * done if done == len(given) else await self._settled(given)

    async def _retry(self, given: Sequence[Return], failed: list[Ended]) -> list[Verdict]:
        returns = sorted(given, key=_by_seq)
        rows = await self._lane.fetch(
            self._statements["retry"],
            [r.token.address for r in returns],
            [r.token.delivery for r in returns],
            [RETURNS[r.kind] for r in returns],
            [bounded(r.delay) for r in returns],
            [r.error for r in returns],
            list({r.token.queue for r in returns}),
        )
        if len(rows) == len(returns):
            return [Verdict.DONE] * len(rows)
        back = {(row["id"], row["queue"], row["settled_delivery"]) for row in rows}
        for r in returns:
            if (r.token.id, r.token.queue, r.token.delivery) not in back:
                failed += await self._end(r)
        return await self._settled(given)

    async def _end(self, back: Return) -> list[Ended]:
        """End a job that can't go back, if it is that."""
        (row,) = await self._lane.fetch(
            self._statements["end_return"],
            back.token.address,
            back.token.delivery,
            RETURNS[back.kind],
            back.error,
            self._keep[2],
        )
        return ended(row[0])

    async def _settled(self, outcomes: Sequence[Ack | Return]) -> list[Verdict]:
        rows = await self._lane.fetch(
            self._statements["settled"],
            [o.token.id for o in outcomes],
            [o.token.queue for o in outcomes],
            [o.token.delivery for o in outcomes],
            [settlement(o) for o in outcomes],
        )
        done = {row["n"] for row in rows}
        return [Verdict.DONE if n in done else Verdict.LOST for n in range(1, len(outcomes) + 1)]

    async def _refuse(self, outcome: Ack | Return, error: Unstorable) -> Verdict:
        """Settle as failed what the server would not store; a repeat finds it so."""
        token = outcome.token
        task = outcome.task if isinstance(outcome, Ack) else ""
        keep = outcome.keep if isinstance(outcome, Ack) else None
        found = await self._lane.fetch(self._statements["get"], [token.id], [token.queue])
        attempt = found[0]["attempt"] if found else 0
        told = {"attempt": attempt, "type": "InvalidResult", "message": str(error), "traceback": ""}
        text = json.dumps(told)
        ack = Ack(token, task, State.FAILED, None, Reason.INVALID_RESULT, text, keep)
        (verdict,) = await self._ack([ack])
        return Verdict.REFUSED if verdict is Verdict.DONE else verdict


def _by_seq(outcome: Ack | Return) -> tuple[Any, ...]:
    """As the statements expect; of two deliveries of one job the newer counts."""
    return outcome.token[:1:-1]


def _common(values: tuple[T, ...]) -> tuple[T | None, tuple[T, ...] | None]:
    """The one value of all, or all values: encoding an array costs much of what a batch costs here."""
    same = values.count(values[0]) == len(values)
    return (values[0], None) if same else (None, values)


def _unless_none(values: tuple[T, ...]) -> tuple[T, ...] | None:
    return None if values.count(cast("T", None)) == len(values) else values
