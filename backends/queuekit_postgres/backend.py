"""The contract's verbs on Postgres."""

from collections.abc import Collection, Sequence
from typing import Any

from queuekit.backend import (
    Ask,
    BackendSettings,
    Changes,
    Fetched,
    Held,
    Presence,
    Pulse,
    Report,
    Upkeep,
)
from queuekit.job import Ack, Job, JobRef, Return, Token
from queuekit.record import JobRecord
from queuekit_postgres import schema
from queuekit_postgres.connection import Dialer, Lane, Lanes, check
from queuekit_postgres.doorbell import Doorbell
from queuekit_postgres.enqueue import Enqueuing
from queuekit_postgres.fetch import Claims, Fetching
from queuekit_postgres.inspect import PostgresInspector
from queuekit_postgres.leases import Leases
from queuekit_postgres.maintain import Maintenance
from queuekit_postgres.schedules import PostgresSchedules
from queuekit_postgres.settle import Settling
from queuekit_postgres.sides import PostgresSide
from queuekit_postgres.statements import Statements
from queuekit_postgres.transfer import PostgresTransfer
from queuekit_postgres.wait import Waiting

OTHER_CONNECTIONS = 4


class PostgresBackend:
    """Jobs in a schema of a Postgres database (13 to 18).

    Claims and settlements have a connection each, so that a fetch does both at once; the rest shares a few more, and
    doorbells ring on one of their own.
    """

    def __init__(self, url: str, settings: BackendSettings) -> None:
        check(url, settings)
        self._statements = statements = Statements(settings.namespace)
        self._dialer = dialer = Dialer(url, settings)
        keep_failed = settings.keep_failed.age
        self._claim_lane, self._settle_lane = Lane(dialer), Lane(dialer)
        self._lanes = lanes = Lanes(dialer, OTHER_CONNECTIONS)
        self._doorbell = Doorbell(dialer, statements.schema)
        self._claims = claims = Claims(statements, self._claim_lane, keep_failed)
        self._settling = Settling(statements, self._settle_lane, settings, claims.went_back)
        self._fetching = Fetching(claims, self._settling)
        self._enqueuing = Enqueuing(statements, lanes)
        self._leases = Leases(statements, lanes)
        self._waiting = Waiting(statements, lanes, self._doorbell, settings.timeout)
        self._maintenance = Maintenance(statements, lanes, keep_failed, claims.went_back)
        self._inspector = PostgresInspector(statements, lanes, keep_failed)
        self._transfer = PostgresTransfer(statements, lanes)
        self._schedules = PostgresSchedules(statements, lanes)
        self._side = PostgresSide(statements, lanes, self._inspector, self._enqueuing)

    @property
    def inspector(self) -> PostgresInspector:
        """The same store, for people's eyes and hands."""
        return self._inspector

    @property
    def transfer(self) -> PostgresTransfer:
        """The same store, for whole jobs that come from another one."""
        return self._transfer

    @property
    def schedules(self) -> PostgresSchedules:
        """The same store, for recurring work."""
        return self._schedules

    @property
    def side(self) -> PostgresSide:
        """The same store, as one side of a cutover."""
        return self._side

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
    ) -> Changes:
        """Store jobs; one transaction spans all queues."""
        return await self._enqueuing.enqueue(jobs, atomic=atomic, connection=connection)

    async def fetch(self, ask: Ask, *, settle: Sequence[Ack | Return] = ()) -> Fetched:
        """Claim and settle, side by side."""
        return await self._fetching.fetch(ask, settle)

    async def ack(self, acks: Sequence[Ack]) -> Changes:
        """End running jobs."""
        return await self._settling.settle(acks)

    async def retry(self, returns: Sequence[Return]) -> Changes:
        """Put running jobs back."""
        return await self._settling.settle(returns)

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases."""
        return await self._leases.heartbeat(tokens)

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds."""
        return await self._leases.held(process)

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines; what can't be stored is left out."""
        await self._leases.report(reports)

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished."""
        return await self._waiting.for_ends(jobs, wait_for)

    async def present(self, presence: Presence) -> None:
        """Register a process."""
        await self._leases.present(presence)

    async def absent(self, process: str) -> None:
        """The process leaves."""
        await self._leases.absent(process)

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        await self._waiting.for_work(queues, wait_for, process)

    async def wake(self, process: str) -> None:
        """End that process's `wait`."""
        await self._waiting.wake(process)

    async def unserved(self) -> list[str]:
        """Queues that nobody serves."""
        return await self._leases.unserved()

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on."""
        return await self._maintenance.maintain(queues)

    async def schema_apply(self) -> list[str]:
        """Bring the schema up to date."""
        return await schema.apply(self._lanes, self._statements)

    def schema_show(self) -> str:
        """The whole schema as a script."""
        return schema.script(self._statements)
