"""The contract's verbs on Postgres."""

import asyncio
import json
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from queuekit.backend import (
    LOGS_KEPT,
    Answer,
    BackendSettings,
    Claimant,
    Ended,
    Fetched,
    Held,
    Presence,
    Pulse,
    Report,
    Upkeep,
    Verdict,
)
from queuekit.errors import ConfigurationError
from queuekit.job import Ack, Job, JobRecord, JobRef, Micros, Return, ReturnKind, Token
from queuekit.registry import redacted
from queuekit_postgres.claims import Claims, Wish
from queuekit_postgres.connections import Dialer, Lane, Lanes
from queuekit_postgres.enqueuing import Enqueuing
from queuekit_postgres.errors import Unstorable
from queuekit_postgres.halving import halved
from queuekit_postgres.inspect import PostgresInspector
from queuekit_postgres.listen import Doorbell
from queuekit_postgres.migrate import migrate, script
from queuekit_postgres.settling import Settling
from queuekit_postgres.statements import Statements
from queuekit_postgres.upkeep import Maintenance
from queuekit_postgres.waiting import Waiting

T = TypeVar("T")
U = TypeVar("U")
SCHEMES = ("postgres", "postgresql")
OTHER_CONNECTIONS = 4


class PostgresBackend:
    """Jobs in a schema of a Postgres database (13 to 18).

    Claims and settlements have a connection each, so that a fetch does both at once; the rest shares a few more, and
    doorbells ring on one of their own.
    """

    def __init__(self, url: str, settings: BackendSettings) -> None:
        _check(url, settings)
        self._statements = statements = Statements(settings.namespace)
        self._dialer = dialer = Dialer(url, settings)
        keep_failed = settings.keep_failed.age
        self._claim_lane, self._settle_lane = Lane(dialer), Lane(dialer)
        self._lanes = lanes = Lanes(dialer, OTHER_CONNECTIONS)
        self._doorbell = Doorbell(dialer, statements.schema)
        self._claims = Claims(statements, self._claim_lane, keep_failed)
        self._settling = Settling(statements, self._settle_lane, settings)
        self._enqueuing = Enqueuing(statements, lanes)
        self._waiting = Waiting(statements, lanes, self._doorbell)
        self._maintenance = Maintenance(statements, lanes, keep_failed)
        self._inspector = PostgresInspector(statements, lanes, keep_failed)

    @property
    def inspector(self) -> PostgresInspector:
        """The same store, for people's eyes and hands."""
        return self._inspector

    async def open(self) -> None:
        """Connect, and make or check the schema."""
        await self.schema_apply()

    async def close(self) -> None:
        """Give back every connection."""
        self._doorbell.hang_up()
        for lanes in (self._claim_lane, self._settle_lane, self._lanes):
            lanes.close()
        await self._dialer.close()

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> list[Answer]:
        """Store jobs; one transaction spans all queues."""
        if not jobs:
            return []
        if connection is not None:
            return await self._enqueuing.enqueue_within(jobs, connection)
        return await self._enqueuing.enqueue(jobs, atomic=atomic)

    async def fetch(
        self,
        queues: Sequence[str],
        limit: int,
        claimant: Claimant,
        *,
        lease: Micros,
        suspects: int = 0,
        settle: Sequence[Ack | Return] = (),
    ) -> Fetched:
        """Claim and settle, side by side."""
        wish = Wish(limit, claimant, lease, suspects)
        ended: list[Ended] = []
        if not settle:
            return Fetched(await self._claims.take(queues, wish, ended) if limit else [], [], ended)
        if not limit:
            return Fetched([], await self._settle(settle, ended), ended)
        claims, verdicts = await _both(
            self._claims.take(queues, wish, ended), self._settle(settle, ended)
        )
        if len(claims) < limit and any(isinstance(outcome, Return) for outcome in settle):
            wish = wish._replace(limit=limit - len(claims))
            claims += await self._claims.take(queues, wish, ended)
        return Fetched(claims, verdicts, ended)

    async def ack(self, acks: Sequence[Ack]) -> list[Verdict]:
        """End running jobs."""
        return await self._settling.ack(acks)

    async def retry(self, returns: Sequence[Return]) -> list[Verdict]:
        """Put running jobs back."""
        return await self._retry(returns, [])

    async def _retry(self, returns: Sequence[Return], ended: list[Ended]) -> list[Verdict]:
        verdicts = await self._settling.retry(returns, ended)
        self._claims.went_back({r.token.queue for r in returns if r.kind is ReturnKind.RELEASE})
        return verdicts

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases."""
        if not tokens:
            return Pulse([], [])
        places = sorted((t.address, t.delivery) for t in tokens)
        rows = await self._lanes.fetch(
            self._statements["heartbeat"], [ref for ref, _ in places], [d for _, d in places]
        )
        held = {(row["seq"], row["delivery"]): row["cancel_requested"] for row in rows}
        return Pulse(
            lost=[t for t in tokens if (t.address, t.delivery) not in held],
            cancels=[t for t in tokens if held.get((t.address, t.delivery))],
        )

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds."""
        rows = await self._lanes.fetch(self._statements["leases"], process)
        return [Held(Token(queue, job, delivery, seq), n) for queue, job, delivery, seq, n in rows]

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines; what can't be stored is left out."""
        if reports:
            await halved(self._report, _leave_out, _merged(reports))

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished."""
        return await self._waiting.for_ends(jobs, wait_for)

    async def present(self, presence: Presence) -> None:
        """Register a process."""
        text = json.dumps(asdict(presence))
        await self._lanes.execute(self._statements["present"], presence.process, text, presence.ttl)

    async def absent(self, process: str) -> None:
        """The process leaves."""
        await self._lanes.execute(self._statements["absent"], process)

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        await self._waiting.for_work(queues, wait_for, process)

    async def wake(self, process: str) -> None:
        """End that process's `wait`."""
        await self._lanes.fetch(self._statements["wake"], process)

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on."""
        upkeep = await self._maintenance.maintain(queues)
        if upkeep.rescued:
            self._claims.went_back(queues)
        return upkeep

    async def schema_apply(self) -> list[str]:
        """Bring the schema up to date."""
        return await migrate(self._lanes, self._statements)

    def schema_show(self) -> str:
        """The whole schema as a script."""
        return script(self._statements)

    async def _settle(self, outcomes: Sequence[Ack | Return], ended: list[Ended]) -> list[Verdict]:
        if {*map(type, outcomes)} == {Ack}:
            return await self.ack(cast("Sequence[Ack]", outcomes))
        acks = {n: o for n, o in enumerate(outcomes) if isinstance(o, Ack)}
        returns = {n: o for n, o in enumerate(outcomes) if isinstance(o, Return)}
        verdicts = dict(zip(acks, await self.ack(list(acks.values())), strict=True))
        verdicts |= zip(returns, await self._retry(list(returns.values()), ended), strict=True)
        return [verdicts[n] for n in range(len(outcomes))]

    async def _report(self, given: Sequence[Report]) -> list[None]:
        reports = sorted(given, key=lambda report: (report.token.address, report.token.delivery))
        await self._lanes.execute(
            self._statements["report"],
            [r.token.address for r in reports],
            [r.token.delivery for r in reports],
            [r.progress for r in reports],
            [json.dumps(list(r.logs)) for r in reports],
            LOGS_KEPT,
        )
        return [None] * len(reports)


async def _both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """The results of both, or the first error once both have ended."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    for result in (one, two):
        if isinstance(result, BaseException):
            raise result
    return cast("T", one), cast("U", two)


async def _leave_out(_report: Report, _error: Unstorable) -> None:
    return None


def _merged(reports: Sequence[Report]) -> list[Report]:
    """One report a token."""
    merged: dict[Token, Report] = {}
    for newer in reports:
        older = merged.get(newer.token)
        if older is not None:
            progress = older.progress if newer.progress is None else newer.progress
            newer = Report(newer.token, progress, [*older.logs, *newer.logs])  # noqa: PLW2901
        merged[newer.token] = newer
    return list(merged.values())


def _check(url: str, settings: BackendSettings) -> None:
    if _is_malformed(url):
        # Without a cause: that quotes a part of a password that has a / or # in it.
        raise ConfigurationError(
            f"Can't read the URL {redacted(url)}: postgresql://user:password@host:port/database is expected, "
            "with special characters in user and password percent-encoded."
        )
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ConfigurationError(f"{scheme}:// is no URL of Postgres: use postgresql://.")
    if settings.pooler not in {None, "transaction"}:
        raise ConfigurationError(f'pooler {settings.pooler!r} is unknown: use "transaction".')


def _is_malformed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return True
    return "@" in parts.path + parts.fragment
