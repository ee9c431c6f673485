"""Two backends as one, whichever of them serves a queue now."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

from queuekit.backend import (
    Ask,
    Backend,
    Change,
    Changes,
    Fetched,
    Held,
    Presence,
    Pulse,
    Report,
    Schedules,
    Transfer,
    Upkeep,
)
from queuekit.cutover.crew import Crew
from queuekit.cutover.enqueue import Enqueuing
from queuekit.cutover.inspector import BothInspected
from queuekit.cutover.keys import may_be_held_there
from queuekit.cutover.mirrors import Mirrors
from queuekit.cutover.pair import AWAY, Pair
from queuekit.cutover.phase import View
from queuekit.cutover.results import for_ends
from queuekit.cutover.schedules import BothSchedules
from queuekit.cutover.transfer import ToTheActive
from queuekit.errors import InvalidOption
from queuekit.job import Ack, Claim, Claimant, Job, JobRef, Return, Token
from queuekit.loops import first_of
from queuekit.record import JobRecord

T = TypeVar("T")

_NOTHING: Final = Ask((), 0, Claimant("", 0), 1)
"""A fetch that only settles."""


class At(NamedTuple):
    """The address of a claim of the second side; one of the first side keeps its own."""

    address: Any


class CutoverBackend:
    """A backend made of two.

    Args:
        first: where the jobs are.
        second: where they are to go, or have gone.
        mirror: whether an enqueue waits for the mirror (``"sync"``), fails without it (``"strict"``), or does not wait
            (``"async"``).

    Attributes:
        pair: both, and what is known of their gates.
    """

    def __init__(self, first: Backend, second: Backend, mirror: str = "sync") -> None:
        self.pair = Pair(first, second)
        self._mirrors = Mirrors(self.pair)
        self._enqueuing = Enqueuing(self.pair, self._mirrors, mirror)
        self._crew = Crew(self.pair)
        self._inspector = BothInspected(self.pair, self._mirrors)
        self._transfer = ToTheActive(self.pair)
        self._schedules = BothSchedules(self.pair)
        self._turn = 0

    def __repr__(self) -> str:
        first, second = self.pair.backends
        return f"<CutoverBackend: {first!r}, {second!r}>"

    @property
    def inspector(self) -> BothInspected:
        """Both stores, for people's eyes and hands."""
        return self._inspector

    @property
    def transfer(self) -> Transfer:
        """For whole jobs that come from elsewhere: they go to the active side."""
        return self._transfer

    @property
    def schedules(self) -> Schedules:
        """Recurring work, at the active side of its queue."""
        return self._schedules

    async def open(self) -> None:
        """Connect to both; if the second can't be reached now, later."""
        await self.pair.open()

    async def close(self) -> None:
        """Give back every connection."""
        await self._crew.close()
        await self._enqueuing.close()
        await self._mirrors.close()
        await self.pair.close()

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> Changes:
        """Store jobs at the active side of their queues, and mirror them."""
        views = await self.pair.views({job.options.queue for job in jobs})
        begun = any(views[job.options.queue].begun for job in jobs)
        if begun and not atomic and connection is None:
            return await self._enqueuing.enqueue(jobs)
        active = {views[job.options.queue].active for job in jobs} or {0}
        if len(active) > 1:
            raise InvalidOption(
                "The queues of this batch are served by different stores now: enqueue with atomic=False."
            )
        if any(may_be_held_there(job, views[job.options.queue]) for job in jobs):
            raise InvalidOption(
                "In a cutover a job with a key can't be a part of a transaction, as its key is compared over two "
                "stores: enqueue it alone."
            )
        backend = self.pair.backends[active.pop()]
        return await backend.enqueue(jobs, atomic=atomic, connection=connection)

    async def fetch(self, ask: Ask, *, settle: Sequence[Ack | Return] = ()) -> Fetched:
        """Settle each outcome where its lease is; claim at the active sides, and then what is left at the others."""
        views = await self.pair.views(ask.queues)
        outcomes = _by_side([one.token for one in settle])
        self._turn = 1 - self._turn
        active, left = _parts(ask.queues, views, first=self._turn)
        claims: list[Claim] = []
        expired: list[Change] = []
        odd: dict[int, Change] = {}
        for side in outcomes.keys() - active.keys():
            await self._fetch(side, _NOTHING, settle, outcomes[side], odd)
        for side, queues in active.items():
            places, limit = outcomes.get(side, []), ask.limit - len(claims)
            if places or limit > 0:
                part = ask._replace(queues=queues, limit=limit)
                found = await self._fetch(side, part, settle, places, odd)
                claims += found.claims
                expired += found.expired
        for side, queues in left.items():
            if len(claims) < ask.limit:
                part = ask._replace(queues=queues, limit=ask.limit - len(claims))
                found = await self._fetch_left(side, part)
                claims += found.claims
                expired += found.expired
        return Fetched(claims, Changes(settle, odd), expired)

    async def _fetch_left(self, side: int, ask: Ask) -> Fetched:
        """What waits at a passive side is brought over; a slot that is free now need not wait for that."""
        nothing = Fetched([], Changes([]))
        if self.pair.rests(side):
            return nothing
        try:
            return await self._fetch(side, ask, (), (), {})
        except AWAY:
            self.pair.rest(side)
            return nothing

    async def _fetch(
        self,
        side: int,
        ask: Ask,
        settle: Sequence[Ack | Return],
        places: Sequence[int],
        odd: dict[int, Change],
    ) -> Fetched:
        outcomes = [_inner(settle[n]) for n in places]
        found = await self.pair.backends[side].fetch(ask, settle=outcomes)
        self._note(side, places, found.settled, odd)
        self._mirrors.ended(self._gated(found.expired), side)
        return found._replace(claims=[_outer(side, claim) for claim in found.claims])

    def _note(
        self, side: int, places: Sequence[int], changes: Changes, odd: dict[int, Change]
    ) -> None:
        for n, change in changes.odd.items():
            odd[places[n]] = change
        self._mirrors.ended(self._gated(one for one in changes if one.done), side)

    def _gated(self, changes: Iterable[Change]) -> list[Change]:
        known = self.pair.known
        return [one for one in changes if (view := known.get(one.ref.queue)) and view.begun]

    async def ack(self, acks: Sequence[Ack]) -> Changes:
        """End running jobs, each where its lease is."""
        return await self._settle(acks)

    async def retry(self, returns: Sequence[Return]) -> Changes:
        """Put running jobs back, each where its lease is."""
        return await self._settle(returns)

    async def _settle(self, outcomes: Sequence[Ack | Return]) -> Changes:
        odd: dict[int, Change] = {}
        for side, places in _by_side([one.token for one in outcomes]).items():
            await self._fetch(side, _NOTHING, outcomes, places, odd)
        return Changes(outcomes, odd)

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases where they are; those of a passive side that is away wait."""
        lost: list[Token] = []
        cancels: list[Token] = []
        for side, places in _by_side(tokens).items():
            some = {_unwrapped(tokens[n]): tokens[n] for n in places}
            pulse = await self._aside(side, self.pair.backends[side].heartbeat(list(some)))
            if pulse is not None:
                lost += [some[token] for token in pulse.lost]
                cancels += [some[token] for token in pulse.cancels]
        return Pulse(lost, cancels)

    async def _aside(self, side: int, call: Awaitable[T]) -> T | None:
        """What a side says; nothing if it serves no queue, and is away."""
        try:
            return await call
        except AWAY:
            if side in self.pair.active:
                raise
            self.pair.rest(side)
            return None

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds, at either side."""
        return [
            one._replace(token=_wrapped(side, one.token))
            for side, found in (
                await self._at_each(lambda one: one.leases(process), before=True)
            ).items()
            for one in found
        ]

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines where the jobs run."""
        for side, places in _by_side([one.token for one in reports]).items():
            some = [reports[n]._replace(token=_unwrapped(reports[n].token)) for n in places]
            await self._aside(side, self.pair.backends[side].report(some))

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished, at whichever side."""
        views = await self.pair.views({ref.queue for ref in jobs})
        if not any(views[ref.queue].begun for ref in jobs):
            return await self.pair.backends[0].results(jobs, wait_for)
        return await for_ends(self.pair, list(jobs), wait_for)

    async def present(self, presence: Presence) -> None:
        """Register a process at both sides."""
        await self._at_each(lambda one: one.present(presence), before=True)

    async def absent(self, process: str) -> None:
        """The process leaves both sides."""
        await self._at_each(lambda one: one.absent(process), before=True)

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work at either side, or a gate has turned."""
        views = await self.pair.views(queues)
        active = {views[queue].active for queue in queues} or {0}
        others = {1 - side for side in active} if any(views[q].begun for q in queues) else set()
        waits = [self.pair.backends[side].wait(queues, wait_for, process) for side in active]
        waits += [self._wait_aside(side, queues, wait_for, process) for side in others - active]
        await first_of(*waits, self.pair.changed(queues))

    async def _wait_aside(
        self, side: int, queues: Sequence[str], wait_for: float, process: str
    ) -> None:
        try:
            await self.pair.backends[side].wait(queues, wait_for, process)
        except AWAY:
            await asyncio.sleep(wait_for)

    async def wake(self, process: str) -> None:
        """End that process's wait."""
        await self._at_each(lambda one: one.wake(process), before=True)

    async def _at_each(
        self, act: Callable[[Backend], Awaitable[T]], *, before: bool = False
    ) -> dict[int, T]:
        return await self.pair.at_each(lambda side: act(self.pair.backends[side]), before=before)

    async def unserved(self) -> Sequence[str]:
        """Queues of either side that nobody serves."""
        found = await self._at_each(lambda one: one.unserved())
        return sorted({*chain.from_iterable(found.values())})

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on at both sides; and the cutover, in the background, for as long as this is open."""
        await self.pair.views(queues)
        found = await self._at_each(lambda one: one.maintain(queues))
        for side, one in found.items():
            self._mirrors.ended(self._gated([*one.rescued, *one.expired]), side)
        self._crew.serve(queues)
        done = found.values()
        return Upkeep(
            [*chain.from_iterable(one.rescued for one in done)],
            [*chain.from_iterable(one.expired for one in done)],
            sum(one.promoted for one in done),
            sum(one.renewed for one in done),
            sum(one.pruned for one in done),
            min((one.due_in for one in done if one.due_in is not None), default=None),
            min((one.again_in for one in done if one.again_in is not None), default=None),
        )


def _parts(
    queues: Sequence[str], views: Mapping[str, View], first: int
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Which side is asked for which queues, as the active one and as the passive one.

    Which comes first changes, so that none starves.
    """
    active: dict[int, list[str]] = {}
    left: dict[int, list[str]] = {}
    for queue in queues:
        view = views[queue]
        active.setdefault(view.active, []).append(queue)
        if view.begun and not view.home:
            left.setdefault(view.passive, []).append(queue)
    return (_beginning_with(first, active), _beginning_with(first, left))


def _beginning_with(first: int, parts: dict[int, list[str]]) -> dict[int, list[str]]:
    return {side: parts[side] for side in (first, 1 - first) if side in parts}


def _by_side(tokens: Sequence[Token]) -> dict[int, list[int]]:
    """The places of what belongs to the claims of each side."""
    places: dict[int, list[int]] = {}
    for n, token in enumerate(tokens):
        places.setdefault(_side_of(token), []).append(n)
    return places


def _side_of(token: Token) -> int:
    return 1 if type(token.address) is At else 0


def _wrapped(side: int, token: Token) -> Token:
    return token._replace(address=At(token.address)) if side else token


def _unwrapped(token: Token) -> Token:
    address = token.address
    return token._replace(address=address.address) if type(address) is At else token


def _inner(outcome: Ack | Return) -> Ack | Return:
    return outcome._replace(token=_unwrapped(outcome.token))


def _outer(side: int, claim: Claim) -> Claim:
    return claim._replace(token=_wrapped(side, claim.token)) if side else claim
