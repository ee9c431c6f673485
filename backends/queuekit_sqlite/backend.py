"""The backend: one method a verb."""

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
from queuekit.errors import BackendUnavailable, InvalidOption
from queuekit.job import Ack, Job, JobRef, Return, Token
from queuekit.record import JobRecord
from queuekit_sqlite import enqueue, leases, schema, wait
from queuekit_sqlite.connection import Store, Transaction, check_file, file_of
from queuekit_sqlite.doorbell import Doorbell, ring_process
from queuekit_sqlite.fetch import claim
from queuekit_sqlite.inspect import SqliteInspector
from queuekit_sqlite.maintain import maintain, unserved
from queuekit_sqlite.schedules import SqliteSchedules
from queuekit_sqlite.settle import carry_out, prepare
from queuekit_sqlite.sides import SqliteSide
from queuekit_sqlite.statements import MIGRATIONS
from queuekit_sqlite.transfer import SqliteTransfer


class SqliteBackend:
    """Jobs in an SQLite file, for any number of processes of one machine, or in memory, for one process.

    Args:
        url: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, or ``sqlite://`` for memory.
        settings: the namespace names a store in memory; a file is one namespace.
    """

    def __init__(self, url: str, settings: BackendSettings) -> None:
        self._path = file_of(url)
        self._settings = settings
        self._opened: Store | None = None
        self._doorbell = Doorbell()
        self._turn = 0
        self._inspector = SqliteInspector(lambda: self._store)
        self._transfer = SqliteTransfer(lambda: self._store)
        self._schedules = SqliteSchedules(lambda: self._store)
        self._side = SqliteSide(lambda: self._store)

    @property
    def inspector(self) -> SqliteInspector:
        """The same store, for people's eyes and hands."""
        return self._inspector

    @property
    def transfer(self) -> SqliteTransfer:
        """The same store, for whole jobs that come from another one."""
        return self._transfer

    @property
    def schedules(self) -> SqliteSchedules:
        """The same store, for recurring work."""
        return self._schedules

    @property
    def side(self) -> SqliteSide:
        """The same store, as one side of a cutover."""
        return self._side

    async def open(self) -> None:
        """Connect, and make or check the schema.

        Raises:
            ConfigurationError: no database can be at this path, or what is there is not (or not yet) known.
        """
        await self._open()

    async def close(self) -> None:
        """Give back the connection, its thread and the doorbell."""
        store, self._opened = self._opened, None
        if store is not None:
            self._doorbell.close()
            await store.close()

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> Changes:
        """Store jobs; one answer each, in order."""
        if connection is not None:
            raise InvalidOption(
                "connection= needs Postgres: SQLite jobs are stored by a connection of their own."
            )
        return await enqueue.store(self._store, jobs, atomic=atomic)

    async def fetch(self, ask: Ask, *, settle: Sequence[Ack | Return] = ()) -> Fetched:
        """Claim up to `ask.limit` ready jobs, and settle outcomes on the way, in one transaction."""
        ask = ask._replace(queues=self._in_turn(ask.queues))
        plan = prepare(settle, self._store.settings.keep_succeeded)

        def body(tx: Transaction) -> Fetched:
            settled = carry_out(tx, plan)
            claims, expired = claim(tx, ask) if ask.limit > 0 else ((), ())
            return Fetched(claims, settled, expired)

        return await self._store.write(body)

    async def ack(self, acks: Sequence[Ack]) -> Changes:
        """End running jobs."""
        return await self._settle(acks)

    async def retry(self, returns: Sequence[Return]) -> Changes:
        """Put running jobs back."""
        return await self._settle(returns)

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases by their own length from now."""
        return await self._store.write(lambda tx: leases.extend(tx, tokens), durable=False)

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds."""
        return await self._store.read(lambda tx: leases.held(tx, process))

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines of running jobs."""
        await self._store.write(lambda tx: leases.report(tx, reports), durable=False)

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished; waits for the first one."""
        return await wait.for_ends(self._store, self._doorbell, jobs, wait_for)

    async def present(self, presence: Presence) -> None:
        """Register a process, or say that it is still there."""
        address = self._doorbell.address()
        await self._store.write(lambda tx: leases.register(tx, presence, address), durable=False)

    async def absent(self, process: str) -> None:
        """The process leaves."""
        await self._store.write(lambda tx: leases.unregister(tx, process), durable=False)

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        await wait.for_work(self._store, self._doorbell, queues, wait_for, process)

    async def wake(self, process: str) -> None:
        """End that process's `wait`; if it is not waiting now, the next one."""
        await self._store.write(lambda tx: ring_process(tx, process), durable=False)

    async def unserved(self) -> Sequence[str]:
        """Queues that hold a job or a record and that no present process serves."""
        return await self._store.read(unserved)

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on in these queues."""
        return await self._store.write(lambda tx: maintain(tx, queues), durable=False)

    async def schema_apply(self) -> list[str]:
        """Bring the schema up to date, as `open` does; the names of the migrations that ran."""
        if self._opened is not None:
            return []
        try:
            return await self._open()
        finally:
            await self.close()

    def schema_show(self) -> str:
        """The whole schema as a script."""
        return "\n".join(MIGRATIONS.values())

    @property
    def _store(self) -> Store:
        if self._opened is None:
            raise BackendUnavailable("The SQLite backend is not open: open it first.")
        return self._opened

    async def _open(self) -> list[str]:
        if self._opened is not None:
            return []
        if self._path is None:
            store = Store.in_memory(self._settings)
        else:
            check_file(self._path)
            store = Store(str(self._path), self._settings)
        try:
            ran = await store.connect(schema.prepare)
        except BaseException:
            await store.close()
            raise
        self._opened = store
        return ran

    async def _settle(self, outcomes: Sequence[Ack | Return]) -> Changes:
        plan = prepare(outcomes, self._store.settings.keep_succeeded)
        return await self._store.write(lambda tx: carry_out(tx, plan))

    def _in_turn(self, queues: Sequence[str]) -> Sequence[str]:
        """The queues, beginning with another one each time, so that a full batch of one starves no other."""
        self._turn += 1
        start = self._turn % max(1, len(queues))
        return [*queues[start:], *queues[:start]]
