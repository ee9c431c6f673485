"""Claiming from several queues, each in its turn, and settling on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from queuekit.backend import Ask, Change
from queuekit.errors import QueuekitError
from queuekit.job import SUSPECT_AFTER, Claim
from queuekit_redis.rows import read_change, read_claims
from queuekit_redis.settle import Settlement
from queuekit_redis.statements import Scripts


@dataclass(frozen=True, slots=True)
class Share:
    """What one queue is asked for in one round."""

    queue: str
    limit: int
    suspects: int


@dataclass(slots=True)
class Fetch:
    """One fetch.

    Attributes:
        ask: what it was asked for.
        queues: those that may have more, in turn.
        limit: how many jobs are still wanted.
        suspects: how many of them may be suspects.
        with_suspects: queues that have suspects beyond what their share allowed.
        expired: what became of jobs that had expired.
    """

    scripts: Scripts
    ask: Ask
    queues: list[str]
    limit: int = field(init=False)
    suspects: int = field(init=False)
    with_suspects: list[str] = field(default_factory=list)
    expired: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limit, self.suspects = self.ask.limit, self.ask.suspects

    async def run(self, settlement: Settlement) -> list[Claim]:
        """Claim until there is enough or nothing is left. Raises an error only if it claimed nothing before."""
        claims: list[Claim] = []
        while self.limit > 0 and self.queues:
            try:
                claims += await self._round(settlement)
            except QueuekitError as error:
                if not claims:
                    raise
                settlement.failed(error)
                break
        return claims

    async def _round(self, settlement: Settlement) -> list[Claim]:
        shares = self._shares()
        others = list(settlement.take_others())
        bulks = [settlement.take_bulk(share.queue) for share in shares]
        calls = [call for _, call in others]
        for share, (_, bulk) in zip(shares, bulks, strict=True):
            head = (*self.ask.claimant, self.ask.lease, share.limit, share.suspects)
            calls.append(self.scripts.call("fetch", share.queue, chain(head, bulk)))
        answers = await self.scripts.run(calls)
        for (indices, _), answer in zip(others, answers[: len(others)], strict=True):
            settlement.took_others(indices, answer)
        claims: list[Claim] = []
        errors: list[QueuekitError] = []
        for share, (indices, _), answer in zip(shares, bulks, answers[len(others) :], strict=True):
            if indices:
                settlement.took_bulk(indices, answer)
            if isinstance(answer, QueuekitError):
                errors.append(answer)
            else:
                taken = read_claims(share.queue, self.ask.lease, answer)
                claims += self._took(share, taken, suspects_left=answer[6] == 1)
                self.expired += [read_change(share.queue, raw) for raw in answer[7]]
        if errors and not claims:
            raise errors[0]
        if self.suspects > 0:
            others_left = (queue for queue in self.queues if queue not in self.with_suspects)
            self.queues = [*self.with_suspects, *others_left]
        self.with_suspects.clear()
        return claims

    def _shares(self) -> Sequence[Share]:
        """An equal part of the limit for each queue; those beyond the limit wait for the next round."""
        asked, self.queues = self.queues[: self.limit], self.queues[self.limit :]
        shares, suspects = [], self.suspects
        for index, queue in enumerate(asked):
            limit = self.limit // len(asked) + (index < self.limit % len(asked))
            allowed = min(limit, -(-suspects // (len(asked) - index)))
            suspects -= allowed
            shares.append(Share(queue, limit, allowed))
        return shares

    def _took(self, share: Share, claims: list[Claim], *, suspects_left: bool) -> list[Claim]:
        self.limit -= len(claims)
        if self.suspects:
            self.suspects -= sum(claim.lapses >= SUSPECT_AFTER for claim in claims)
        if suspects_left:
            self.with_suspects.append(share.queue)
        if len(claims) == share.limit:
            self.queues.append(share.queue)
        return claims
