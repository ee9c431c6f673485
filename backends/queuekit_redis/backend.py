"""The backend on Redis and Valkey: one script for each verb, one method for each script."""

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
from queuekit.errors import InvalidOption
from queuekit.job import Ack, Job, JobRef, Return, Token
from queuekit.record import JobRecord
from queuekit_redis import leases
from queuekit_redis.connection import check_server, connections_to
from queuekit_redis.doorbell import Doorbells
from queuekit_redis.enqueue import store
from queuekit_redis.fetch import Fetch
from queuekit_redis.inspect import RedisInspector
from queuekit_redis.maintain import maintain, unserved
from queuekit_redis.rows import presence_text
from queuekit_redis.schedules import RedisSchedules
from queuekit_redis.settle import Settlement
from queuekit_redis.sides import RedisSide
from queuekit_redis.statements import Scripts
from queuekit_redis.transfer import RedisTransfer
from queuekit_redis.wait import Waiting


class RedisBackend:
    """Stores and serves jobs on Redis or Valkey.

    Args:
        url: see `queuekit_redis.connection.url`.
        settings: namespace, deadline and retention.

    Raises:
        ConfigurationError: the URL is not understood.
    """

    def __init__(self, url: str, settings: BackendSettings) -> None:
        self._settings = settings
        self._connections = connections_to(url, settings.timeout)
        self._scripts = Scripts(self._connections, settings)
        self._doorbells = Doorbells(self._connections, self._scripts.keys.bells)
        self._inspector = RedisInspector(self._scripts)
        self._waiting = Waiting(self._scripts, self._doorbells, self._inspector)
        self._transfer = RedisTransfer(self._scripts)
        self._schedules = RedisSchedules(self._scripts)
        self._side = RedisSide(self._scripts, self._inspector)
        self._turn = 0

    def __repr__(self) -> str:
        return f"<RedisBackend: {self._connections!r}, {self._doorbells!r}>"

    @property
    def inspector(self) -> RedisInspector:
        """The same store, for people's eyes and hands."""
        return self._inspector

    @property
    def transfer(self) -> RedisTransfer:
        """The same store, for whole jobs that come from another one."""
        return self._transfer

    @property
    def schedules(self) -> RedisSchedules:
        """The same store, for recurring work."""
        return self._schedules

    @property
    def side(self) -> RedisSide:
        """The same store, as one side of a cutover."""
        return self._side

    async def open(self) -> None:
        """Connect, and look at the server's version and settings."""
        await check_server(self._connections)

    async def close(self) -> None:
        """Give back every connection."""
        await self._doorbells.close()
        await self._connections.close()

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> Changes:
        """Store jobs; one answer each, in order."""
        if connection is not None:
            raise InvalidOption(
                "Redis has no transaction of a caller to join: enqueue without connection."
            )
        return await store(self._scripts, jobs, atomic=atomic)

    async def fetch(self, ask: Ask, *, settle: Sequence[Ack | Return] = ()) -> Fetched:
        """Claim up to `ask.limit` ready jobs, and settle outcomes on the way."""
        settlement = self._settlement(settle)
        fetch = Fetch(self._scripts, ask, self._in_turn(ask.queues))
        claims = await fetch.run(settlement)
        return Fetched(claims, await settlement.finish(), fetch.expired)

    def _in_turn(self, queues: Sequence[str]) -> list[str]:
        """The queues, each call beginning with another, so that none starves."""
        if not queues:
            return []
        self._turn = (self._turn + 1) % len(queues)
        return [*queues[self._turn :], *queues[: self._turn]]

    async def ack(self, acks: Sequence[Ack]) -> Changes:
        """End running jobs."""
        return await self._settlement(acks).finish()

    async def retry(self, returns: Sequence[Return]) -> Changes:
        """Put running jobs back."""
        return await self._settlement(returns).finish()

    def _settlement(self, outcomes: Sequence[Ack | Return]) -> Settlement:
        return Settlement(self._scripts, outcomes, self._settings.keep_succeeded)

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases by their own length from now."""
        return await leases.heartbeat(self._scripts, tokens)

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds."""
        return await leases.held(self._scripts, process)

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines of running jobs; what can't be stored is left out."""
        await leases.report(self._scripts, reports)

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished; waits for the first one."""
        return await self._waiting.results(jobs, wait_for)

    async def present(self, presence: Presence) -> None:
        """Register a process, or say that it is still there."""
        text = presence_text(presence)
        await self._scripts.run_one("present", None, presence.process, text, presence.ttl)

    async def absent(self, process: str) -> None:
        """The process leaves."""
        await self._scripts.run_one("absent", None, process)

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        await self._waiting.work(queues, wait_for, process)

    async def wake(self, process: str) -> None:
        """End that process's `wait`, on whatever machine it sleeps."""
        await self._scripts.command("PUBLISH", f"{self._scripts.keys.bells}{process}", "wake")

    async def unserved(self) -> list[str]:
        """Queues that hold a job or a record and that no present process serves."""
        return await unserved(self._scripts, self._inspector)

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on in these queues."""
        return await maintain(self._scripts, queues)
