"""Group commit: while one enqueue is under way, further ones gather and go together in the next.

A lone caller pays one round trip and no delay. A job whose reply was lost is sent again with the same id.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from queuekit.backend import Backend, Change, Changes
from queuekit.errors import BackendUnavailable, OutcomeUnknown, ReplyLost
from queuekit.job import Job
from queuekit.loops import start

MOST_JOBS: Final = 1_000
MOST_BYTES: Final = 4_000_000
LONGEST_PAUSE: Final = 5.0
"""Seconds between two sendings of what got no answer."""
RESEND_FOR: Final = 60.0
"""Seconds for which an enqueue without an answer is repeated."""
RESEND_UNTIL: Final = timedelta(seconds=120)
"""After the first sending; by then a finished job's id may be forgotten (`queuekit.backend.REMEMBER_IDS`)."""


@dataclass(slots=True)
class _Waiting:
    job: Job[Any]
    answer: "asyncio.Future[Change]"


class Producer:
    """Stores jobs through one backend, sharing round trips between the callers of one event loop."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: list[_Waiting] = []
        self._sender: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Producer: {len(self._waiting)} waiting>"

    async def enqueue(self, job: Job[Any]) -> Change:
        """Store one job. Cancelled before it was sent, it is withdrawn; after that nobody knows."""
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._sender is None or self._sender.done():
            self._sender = start(self._send_all(), "queuekit producer")
        try:
            return await waiting.answer
        except asyncio.CancelledError as cancelled:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                cancelled.add_note(f"queuekit: job {job.id} may have been stored")
                cancelled.job_id = job.id  # type: ignore[attr-defined]  # for callers that want to send it again
            raise

    async def enqueue_now(
        self, jobs: Sequence[Job[Any]], *, atomic: bool, connection: object | None = None
    ) -> Changes:
        """Store jobs in a round trip of their own."""
        if connection is not None:
            return await self._backend.enqueue(jobs, atomic=atomic, connection=connection)
        return await self._repeatedly(jobs, atomic=atomic)

    async def close(self) -> None:
        """Send what waits."""
        while self._sender is not None and not self._sender.done():
            with contextlib.suppress(BackendUnavailable, OutcomeUnknown):
                await asyncio.shield(self._sender)

    async def _send_all(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                answers = await self._repeatedly([one.job for one in batch], atomic=False)
            except BaseException as error:  # every caller gets it, and must not wait for ever
                for one in batch:
                    if not one.answer.done():
                        one.answer.set_exception(_own(error, one.job))
                if not isinstance(error, Exception):
                    raise
            else:
                for one, answer in zip(batch, answers, strict=True):
                    if not one.answer.done():
                        one.answer.set_result(answer)

    def _take(self) -> list[_Waiting]:
        count, size = 0, 0
        for one in self._waiting[:MOST_JOBS]:
            size += len(one.job.payload)
            if count and size > MOST_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _repeatedly(self, jobs: Sequence[Job[Any]], *, atomic: bool) -> Changes:
        loop = asyncio.get_running_loop()
        give_up, resend_until = loop.time() + RESEND_FOR, datetime.now(UTC) + RESEND_UNTIL
        sent, delay = False, 0.05
        while True:
            try:
                return await self._backend.enqueue(jobs, atomic=atomic)
            except ReplyLost:
                sent = True
            except BackendUnavailable:
                if not sent:
                    raise
            if loop.time() + delay > give_up:
                raise OutcomeUnknown(jobs[0].id, resend_until)
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, LONGEST_PAUSE)
            jobs = [job._replace(fresh=False) for job in jobs]


def _own(error: BaseException, job: Job[Any]) -> BaseException:
    """Each caller's own error: an exception object shared by many grows a traceback for each."""
    match error:
        case OutcomeUnknown():
            return OutcomeUnknown(job.id, error.resend_until)
        case Exception():
            own = type(error)(*error.args)
            own.__cause__ = error.__cause__
            return own
        case _:
            return asyncio.CancelledError()
