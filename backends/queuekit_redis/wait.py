"""Waiting for work, and for the end of jobs."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from math import inf
from typing import Final

from queuekit.errors import BackendRefused, BackendUnavailable, JobNotFound
from queuekit.job import JobRef
from queuekit.record import JobRecord
from queuekit_redis.doorbell import LOOK, WORK, Doorbells
from queuekit_redis.inspect import RedisInspector
from queuekit_redis.statements import Scripts, by_queue

AT_ONCE: Final = 1000
LOOK_EVERY: Final = 1.0
"""Seconds between two looks of a sleeper whose bell is not heard, and first of those who wait for results."""
LOOK_AT_LEAST_EVERY: Final = 5.0
LOOK_RARELY: Final = 20.0
"""Seconds between two looks of a sleeper whose bell is heard."""
LOOK_SOON: Final = 0.5
"""Seconds until a sleeper looks whether somebody else, who was rung, has come."""
RUNG_FOR: Final = 25_000_000
"""A sleeper that looks no more is rung for so many microseconds at most."""


class Waiting:
    """Who waits in this process: sleepers for work, and others for results.

    Args:
        scripts: of the backend.
        doorbells: that wake them.
        inspector: which has the records of finished jobs.
    """

    def __init__(self, scripts: Scripts, doorbells: Doorbells, inspector: RedisInspector) -> None:
        self._scripts = scripts
        self._doorbells = doorbells
        self._inspector = inspector

    async def work(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return when there may be work, or after so many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_for
        bell = await self._doorbells.bell(process)
        said = await bell.wait(0)
        while said in {None, LOOK} and loop.time() < deadline:
            due = loop.time() + await self._look(queues, bell.channel)
            pause = LOOK_RARELY if bell.subscribed.is_set() else LOOK_EVERY
            until = min(due, deadline, loop.time() + pause)
            said = await bell.wait(until - loop.time())
            if said == LOOK:
                said = await bell.wait(min(LOOK_SOON, until - loop.time()))
            if loop.time() >= due:
                break
        if said != WORK or len(queues) != 1:
            # A sleeper that has gone would be rung in place of one that sleeps.
            with contextlib.suppress(BackendUnavailable, BackendRefused):
                await self._scripts.run_everywhere("wait_over", queues, bell.channel)

    async def _look(self, queues: Sequence[str], channel: str) -> float:
        """Seconds after which there is work; infinite if none is known to come."""
        found = await self._scripts.run_everywhere("wait_work", queues, channel, RUNG_FOR)
        return min((due / 1_000_000 for due in found if due >= 0), default=inf)

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished, as soon as there is one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_for
        channel = await self._doorbells.results_channel() if wait_for > 0 else ""
        pause = LOOK_EVERY
        with self._doorbells.told_of(id_ for _, id_ in jobs) as told:
            while True:
                told.clear()
                finished = await self._finished(jobs, channel)
                left = deadline - loop.time()
                if finished or left <= 0 or not jobs:
                    return finished
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, pause)):
                        await told.wait()
                pause = min(2 * pause, LOOK_AT_LEAST_EVERY)

    async def _finished(self, jobs: Collection[JobRef], channel: str) -> dict[JobRef, JobRecord]:
        parts = list(by_queue(jobs, lambda ref: ref.queue, AT_ONCE))
        calls = [
            self._scripts.call("wait_results", queue, (channel, *(ref.id.bytes for ref in refs)))
            for queue, refs in parts
        ]
        finished: list[JobRef] = []
        for (_, refs), states in zip(parts, await self._scripts.run_all(calls), strict=True):
            for ref, state in zip(refs, states, strict=True):
                if state < 0:
                    raise JobNotFound.named(ref)
                if state > 0:
                    finished.append(ref)
        records = await self._inspector.get(finished)
        return {record.ref: record for record in records if record is not None}
