"""The backend on Redis and Valkey: one script for each verb, one method for each script."""

import asyncio
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, Final
from uuid import UUID

from queuekit.backend import (
    Answer,
    BackendSettings,
    Claimant,
    Fetched,
    Held,
    Presence,
    Pulse,
    Report,
    Stored,
    Upkeep,
    Verdict,
)
from queuekit.errors import InvalidOption
from queuekit.job import Ack, Job, JobRecord, JobRef, Micros, Return, Token
from queuekit_redis.claiming import Claiming
from queuekit_redis.client import link_to
from queuekit_redis.enqueueing import Batch, batches, check_atomic, refusal
from queuekit_redis.inspect import RedisInspector
from queuekit_redis.outcomes import (
    Outcome,
    by_queue,
    heartbeat_arguments,
    is_text,
    report_arguments,
)
from queuekit_redis.records import presence_text, read_ended, read_held
from queuekit_redis.scripts import Scripts, raised
from queuekit_redis.server import check_server
from queuekit_redis.settling import Settlement
from queuekit_redis.sleeping import Sleepers
from queuekit_redis.wakeup import Doorbells

REGISTER_EVERY: Final = 60.0


class RedisBackend:
    """Stores and serves jobs on Redis or Valkey.

    Args:
        url: see `queuekit_redis.client`.
        settings: namespace, deadline and retention.

    Raises:
        ConfigurationError: the URL is not understood.
    """

    def __init__(self, url: str, settings: BackendSettings) -> None:
        self._settings = settings
        self._link = link_to(url, settings.timeout)
        self._scripts = Scripts(self._link, settings)
        self._doorbells = Doorbells(self._link, self._scripts.keys.bells)
        self._sleepers = Sleepers(self._scripts, self._doorbells)
        self._inspector = RedisInspector(self._scripts)
        self._registered: dict[str, float] = {}
        self._turn = 0

    def __repr__(self) -> str:
        return f"<RedisBackend: {self._link!r}, {self._doorbells!r}>"

    @property
    def inspector(self) -> RedisInspector:
        """The same store, for people's eyes and hands."""
        return self._inspector

    async def open(self) -> None:
        """Connect, and look at the server's version and settings."""
        await check_server(self._link)

    async def close(self) -> None:
        """Give back every connection."""
        await self._doorbells.close()
        await self._link.close()

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> list[Answer]:
        """Store jobs; one answer each, in order."""
        if connection is not None:
            raise InvalidOption(
                "Redis has no transaction of a caller to join: enqueue without connection."
            )
        reasons = [refusal(job) for job in jobs]
        answers = [Answer(Stored.REFUSED, error=reason) for reason in reasons]
        if atomic:
            check_atomic(jobs, reasons)
        usable = [index for index, reason in enumerate(reasons) if reason is None]
        todo = list(batches(jobs, usable, whole=atomic))
        await self._register({batch.queue for batch in todo})
        replicated = any(job.options.replicated for job in jobs)
        for batch, reply in await self._store(todo, atomic=atomic, replicated=replicated):
            for index, answer in zip(batch.indices, batch.answers(reply), strict=True):
                answers[index] = answer
        return answers

    async def _store(
        self, todo: list[Batch], *, atomic: bool, replicated: bool
    ) -> list[tuple[Batch, Any]]:
        if atomic and len(todo) > 1:
            return await self._store_at_once(todo, replicated=replicated)
        replies = await self._run(todo, replicated=replicated)
        # Nothing was done for a batch of plain jobs with a known id among them.
        again = [i for i, batch in enumerate(todo) if batch.plain and replies[i] == 0]
        for i in again:
            todo[i].plain = False
        repeated = await self._run([todo[i] for i in again], replicated=replicated)
        for i, reply in zip(again, repeated, strict=True):
            replies[i] = reply
        if all(isinstance(reply, Exception) for reply in replies):
            raised(replies)
        return list(zip(todo, replies, strict=True))

    async def _run(self, todo: list[Batch], *, replicated: bool) -> list[Any]:
        calls = [batch.call(self._scripts) for batch in todo]
        return await self._scripts.run(calls, replicated=replicated) if calls else []

    async def _store_at_once(
        self, todo: list[Batch], *, replicated: bool
    ) -> list[tuple[Batch, Any]]:
        if not self._link.one_server:
            raise InvalidOption(
                "A Redis cluster has no transaction over several queues: enqueue with atomic=False."
            )
        for batch in todo:
            batch.plain = False
        calls = [batch.call(self._scripts) for batch in todo]
        replies = await self._scripts.run_at_once(calls, replicated=replicated)
        return list(zip(todo, replies, strict=True))

    async def _register(self, queues: Collection[str]) -> None:
        """Put queues on the list of all queues, now and then again, in case the list was lost."""
        now = asyncio.get_running_loop().time()
        new = [queue for queue in queues if self._registered.get(queue, 0) < now]
        if not new:
            return
        await self._scripts.run_one("register", None, *new)
        self._registered |= dict.fromkeys(new, now + REGISTER_EVERY)

    async def fetch(
        self,
        queues: Sequence[str],
        limit: int,
        claimant: Claimant,
        *,
        lease: Micros,
        suspects: int = 0,
        settle: Sequence[Outcome] = (),
    ) -> Fetched:
        """Claim up to `limit` ready jobs, and settle outcomes on the way."""
        settlement = self._settlement(settle)
        claiming = Claiming(self._scripts, claimant, lease, self._in_turn(queues), limit, suspects)
        claims = await claiming.run(settlement)
        verdicts = await settlement.finish()
        return Fetched(claims, verdicts, [*claiming.ended, *settlement.ended])

    def _in_turn(self, queues: Sequence[str]) -> list[str]:
        """The queues, each call beginning with another, so that none starves."""
        if not queues:
            return []
        self._turn = (self._turn + 1) % len(queues)
        return [*queues[self._turn :], *queues[: self._turn]]

    async def ack(self, acks: Sequence[Ack]) -> list[Verdict]:
        """End running jobs."""
        return await self._settlement(acks).finish()

    async def retry(self, returns: Sequence[Return]) -> list[Verdict]:
        """Put running jobs back."""
        return await self._settlement(returns).finish()

    def _settlement(self, outcomes: Sequence[Outcome]) -> Settlement:
        return Settlement(self._scripts, outcomes, self._settings.keep_succeeded)

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases by their own length from now."""
        parts = [
            (some, self._scripts.call("heartbeat", queue, heartbeat_arguments(some)))
            for queue, some in by_queue(tokens, lambda token: token.queue)
        ]
        lost: list[Token] = []
        cancels: list[Token] = []
        answers = await self._scripts.run_all([call for _, call in parts])
        for (some, _), (gone, asked) in zip(parts, answers, strict=True):
            lost += [some[index] for index in gone]
            cancels += [some[index] for index in asked]
        return Pulse(lost, cancels)

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds."""
        queues = await self._scripts.queues()
        answers = await self._scripts.run_everywhere("leases", queues, process)
        return [
            held
            for queue, answer in zip(queues, answers, strict=True)
            for held in read_held(queue, answer)
        ]

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines of running jobs; what can't be stored is left out."""
        usable = [report for report in reports if is_text(report.progress or "")]
        await self._scripts.run_all(
            [
                self._scripts.call(
                    "report", queue, chain.from_iterable(map(report_arguments, some))
                )
                for queue, some in by_queue(usable, lambda report: report.token.queue)
            ]
        )

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished; waits for the first one."""
        return await self._sleepers.results(jobs, wait_for)

    async def present(self, presence: Presence) -> None:
        """Register a process, or say that it is still there."""
        text = presence_text(presence)
        await self._scripts.run_one("present", None, presence.process, text, presence.ttl)

    async def absent(self, process: str) -> None:
        """The process leaves."""
        await self._scripts.run_one("absent", None, process)

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        await self._sleepers.wait(queues, wait_for, process)

    async def wake(self, process: str) -> None:
        """End that process's `wait`, on whatever machine it sleeps."""
        await self._scripts.command("PUBLISH", f"{self._scripts.keys.bells}{process}", "wake")

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on in these queues."""
        done = await self._scripts.run_everywhere("maintain", queues)
        return Upkeep(
            promoted=sum(one[0] for one in done),
            rescued=[
                JobRef(queue, UUID(bytes=id_))
                for queue, one in zip(queues, done, strict=True)
                for id_ in one[3]
            ],
            renewed=sum(one[1] for one in done),
            pruned=sum(one[2] for one in done),
            ended=[
                ended
                for queue, one in zip(queues, done, strict=True)
                for ended in read_ended(queue, one[4])
            ],
        )
