"""Whole jobs that come from another store: one script for the jobs of a queue."""

from collections.abc import Sequence
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


class Written(NamedTuple):
    """A record as the script takes it, and its place in the call."""

    place: int
    queue: str
    arguments: tuple[Argument, ...]

    @property
    def size(self) -> int:
        """About how many bytes go to the server."""
        return sum(len(one) for one in self.arguments if not isinstance(one, int))


class RedisTransfer:
    """Stores whole jobs."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def store(self, records: Sequence[JobRecord]) -> list[Change]:
        """Store jobs as their records say; one answer each, in order."""
        changes = [told(None, record) for record in records]
        written: list[Written] = []
        for place, record in enumerate(records):
            try:
                arguments = tuple(written_record(record))
            except UnicodeEncodeError as error:
                changes[place] = refused(record.ref, Refusal.UNSTORABLE, detail=str(error))
            else:
                written.append(Written(place, record.ref.queue, arguments))
        await self._scripts.register({one.queue for one in written})
        parts: list[Sequence[Written]] = [
            part
            for _, some in by_queue(written, lambda one: one.queue, AT_ONCE)
            for part in bounded(some, lambda one: one.size, AT_ONCE)
        ]
        guilty: dict[int, BackendRefused] = {}
        while parts:
            parts = await self._store(parts, changes, guilty)
        if guilty and len(guilty) == len(written):
            raise guilty[written[0].place]
        for place, why in guilty.items():
            ref = records[place].ref
            changes[place] = refused(ref, Refusal.UNSTORABLE, detail=str(why))
        return changes

    async def _store(
        self,
        parts: Sequence[Sequence[Written]],
        changes: list[Change],
        guilty: dict[int, BackendRefused],
    ) -> list[Sequence[Written]]:
        """One round trip; the halves of what the server refused as a whole."""
        halves: list[Sequence[Written]] = []
        calls = [
            self._scripts.call("transfer", part[0].queue, chain(*(one.arguments for one in part)))
            for part in parts
        ]
        for part, reply in zip(parts, await self._scripts.run(calls), strict=True):
            if not isinstance(reply, BackendRefused):
                for place, change in read_odd(part[0].queue, *raised([reply])):
                    changes[part[place].place] = change
            elif len(part) == 1:
                guilty[part[0].place] = reply
            else:
                middle = len(part) // 2
                halves += [part[:middle], part[middle:]]
        return halves
