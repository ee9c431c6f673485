"""Waiting for work and for the end of jobs: bells wake, and looking again finds what no bell told."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, repeat
from math import ceil, inf

from queuekit.backend import KEEP_FOR_WAITERS
from queuekit.errors import JobNotFound
from queuekit.job import JobRef, new_id
from queuekit.record import JobRecord
from queuekit_postgres.connection import Lanes
from queuekit_postgres.doorbell import Doorbell
from queuekit_postgres.rows import record
from queuekit_postgres.statements import Statements

FIRST_LOOKS = (0.005, 0.05, 0.5)
"""Pauses before looking again for what was stored while nobody was registered to be rung."""
LOOK_EVERY = 1.0
LOOK_EVERY_IF_DEAF = 0.1
LOOK_RARELY = 20.0
ASLEEP_FOR = 25_000_000
"""Microseconds after which a sleeper that did not look again is taken for dead."""


class Waiting:
    """The calls that wait."""

    def __init__(
        self, statements: Statements, lanes: Lanes, doorbell: Doorbell, timeout: float
    ) -> None:
        self._statements = statements
        self._lanes = lanes
        self._doorbell = doorbell
        self._timeout = timeout
        self._name = f"results {new_id()}"
        self._slept: set[str] = set()
        """processes that have been registered"""

    async def for_work(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_for
        await self._doorbell.listen(process)
        with self._doorbell.sleeper(process, queues) as sleeper:
            for looks, longest in enumerate(self._pauses(LOOK_RARELY)):
                # Suspects are ignored on the first look: a worker with no free child would otherwise spin.
                patient = longest >= LOOK_EVERY_IF_DEAF
                work, new, due_in = await self._look(process, queues, suspects=patient)
                # The deaf may have been rung between two waits; others were woken then by what they heard.
                rung = new and (
                    looks > 0 or (process in self._slept and not self._doorbell.audible)
                )
                self._slept.add(process)
                if rung and self._doorbell.audible:
                    self._doorbell.hang_up()  # it was rung and did not hear it
                due = inf if due_in is None else due_in / 1_000_000
                pause = min(longest, end - loop.time(), due)
                if work or rung or pause <= 0 or await sleeper.sleep(pause):
                    return
                await self._doorbell.listen(process)

    async def for_ends(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """The records of those that have finished, as soon as one has."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_for
        ask_until = round(wait_for * 1_000_000) + KEEP_FOR_WAITERS
        queues, ids = [queue for queue, _ in jobs], [job for _, job in jobs]
        if not ids:
            return {}
        if wait_for > 0:
            await self._doorbell.listen(self._name)
        with self._doorbell.sleeper(self._name) as sleeper:
            for longest in self._pauses(LOOK_EVERY):
                sleeper.reset()
                statement = self._statements["results"]
                rows = await self._lanes.fetch(statement, ids, queues, self._name, ask_until)
                if gone := [row["asked"] for row in rows if row["state"] is None]:
                    raise JobNotFound.named(gone[0])
                if rows:
                    ended = map(record, rows)
                    return {one.ref: one for one in ended}
                pause = min(longest, end - loop.time())
                if pause <= 0:
                    return {}
                await sleeper.sleep(pause)
                await self._doorbell.listen(self._name)
        raise AssertionError

    async def wake(self, process: str) -> None:
        """End that process's `for_work`."""
        await self._lanes.fetch(self._statements["wake"], process)

    async def _look(
        self, process: str, queues: Sequence[str], *, suspects: bool
    ) -> tuple[bool, bool, int | None]:
        statement = self._statements["look"]
        (row,) = await self._lanes.fetch(statement, process, list(queues), ASLEEP_FOR, suspects)
        return row["work"], row["new"], row["due_in"]

    def _pauses(self, rarely: float) -> Iterator[float]:
        """Seconds until the next look.

        A bell may be lost as long as it may be rung by a statement that began before somebody was registered, and could
        not see that: none goes on for longer than the deadline of a call.
        """
        first = chain(FIRST_LOOKS, repeat(LOOK_EVERY, ceil(self._timeout / LOOK_EVERY)))
        for pause in chain(first, repeat(rarely)):
            yield pause if self._doorbell.audible else min(pause, LOOK_EVERY_IF_DEAF)
