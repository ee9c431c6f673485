"""Whole jobs that come from another store: one script for the jobs of a queue."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple

from queuekit.backend import Change, Refusal
from queuekit.backend.model import refused, told
from queuekit.errors import BackendRefused
from queuekit.record import JobRecord
from queuekit_redis.connection import Argument
from queuekit_redis.rows import read_odd, written_record
from queuekit_redis.statements import Scripts, bounded, by_queue, raised

AT_ONCE: Final = 250


class _Written(NamedTuple):
    """A record as the script takes it, and its place in the call."""

    place: int
    queue: str
    arguments: tuple[Argument, ...]

    @property
    def size(self) -> int:
        return sum(len(one) for one in self.arguments if not isinstance(one, int))


class RedisTransfer:
    """Stores whole jobs."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def store(self, records: Sequence[JobRecord]) -> list[Change]:
        """Store jobs as their records say; one answer each, in order."""
        changes = [told(None, record) for record in records]
        written: list[_Written] = []
        for place, record in enumerate(records):
            try:
                arguments = tuple(written_record(record))
            except UnicodeEncodeError as error:
                changes[place] = refused(record.ref, Refusal.UNSTORABLE, detail=str(error))
            else:
                written.append(_Written(place, record.ref.queue, arguments))
        await self._scripts.register({one.queue for one in written})
        refusal = await self._store(written, changes)
        if refusal and all(changes[one.place].refused is Refusal.UNSTORABLE for one in written):
            raise refusal
        return changes

    async def _store(
        self, written: Iterable[_Written], changes: list[Change]
    ) -> BackendRefused | None:
        """Store what can be stored; what the server refuses as a whole is halved. The last refusal."""
        last: BackendRefused | None = None
        parts = [
            part
            for _, some in by_queue(written, lambda one: one.queue, AT_ONCE)
            for part in bounded(some, lambda one: one.size, AT_ONCE)
        ]
        while parts:
            halves: list[list[_Written]] = []
            for some, reply in zip(parts, await self._run(parts), strict=True):
                if not isinstance(reply, BackendRefused):
                    for place, change in read_odd(some[0].queue, *raised([reply])):
                        changes[some[place].place] = change
                    continue
                last = reply
                if len(some) > 1:
                    middle = len(some) // 2
                    halves += [some[:middle], some[middle:]]
                else:
                    ref = changes[some[0].place].ref
                    why = refused(ref, Refusal.UNSTORABLE, detail=str(reply))
                    changes[some[0].place] = why
            parts = halves
        return last

    async def _run(self, parts: Sequence[Sequence[_Written]]) -> list[object]:
        calls = [
            self._scripts.call(
                "transfer",
                some[0].queue,
                chain.from_iterable(one.arguments for one in some),
            )
            for some in parts
        ]
        return await self._scripts.run(calls)
