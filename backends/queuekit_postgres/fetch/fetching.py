"""Fetching: claims and settlements side by side, each over its own connection."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

from queuekit.backend import Ask, Change, Changes, Fetched
from queuekit.job import Ack, Return
from queuekit_postgres.fetch.claims import Claims
from queuekit_postgres.settle import Settling

T = TypeVar("T")
U = TypeVar("U")


class Fetching:
    """Fetches."""

    def __init__(self, claims: Claims, settling: Settling) -> None:
        self._claims = claims
        self._settling = settling

    async def fetch(self, ask: Ask, settle: Sequence[Ack | Return]) -> Fetched:
        """Claim and settle; claims more if there was too little and something went back."""
        expired: list[Change] = []
        if not settle:
            claims = await self._claims.take(ask, expired) if ask.limit else []
            return Fetched(claims, Changes([]), expired)
        if not ask.limit:
            return Fetched([], await self._settling.settle(settle))
        claims, settled = await _both(
            self._claims.take(ask, expired), self._settling.settle(settle)
        )
        left = ask.limit - len(claims)
        if left and any(isinstance(outcome, Return) for outcome in settle):
            claims += await self._claims.take(ask._replace(limit=left), expired)
        return Fetched(claims, settled, expired)


async def _both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """The results of both, or the first error once both have ended."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    for result in (one, two):
        if isinstance(result, BaseException):
            raise result
    return cast("T", one), cast("U", two)
