"""One side of a cutover: the gates of queues, and copies of jobs that are not this store's to run."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from queuekit.backend import (
    Changes,
    Copy,
    Gate,
    Guard,
    KeyHolder,
    KeysHeld,
    Kind,
    Page,
    Refusal,
    Stamp,
    Swap,
    Swapped,
)
from queuekit.job import Job, JobRef, Micros
from queuekit_redis.connection import Argument
from queuekit_redis.enqueue import store
from queuekit_redis.inspect import RedisInspector
from queuekit_redis.rows import written_record
from queuekit_redis.statements import Scripts, bounded, by_queue

AT_ONCE: Final = 250
"""Steps of one script."""
_WITH_RECORDS: Final = frozenset({Kind.LIVE, Kind.RUNNING, Kind.FAILED, Kind.DONE})


class RedisSide:
    """A Redis backend as one side of a cutover."""

    def __init__(self, scripts: Scripts, inspector: RedisInspector) -> None:
        self._scripts = scripts
        self._inspector = inspector

    async def clock(self) -> Micros:
        """The server's clock."""
        seconds, micros = await self._scripts.command("TIME")
        return int(seconds) * 1_000_000 + int(micros)

    async def gates(self, queues: Sequence[str]) -> list[Gate | None]:
        """The gates of queues, in this order."""
        return [_gate(raw) for raw in await self._scripts.run_everywhere("sides_gate", queues)]

    async def gated(self) -> list[str]:
        """The queues that have a gate, by name."""
        queues = await self._scripts.queues()
        gates = await self.gates(queues)
        return [queue for queue, gate in zip(queues, gates, strict=True) if gate]

    async def turn(
        self,
        queue: str,
        before: Gate | None,
        after: Gate | None,
        *,
        without: Collection[Kind] = (),
    ) -> Gate | None:
        """Put another gate in place of the one that somebody saw; what is there then."""
        texts = [gate.text.encode() if gate else "" for gate in (before, after)]
        await self._scripts.register({queue})
        return _gate(await self._scripts.run_one("sides_turn", queue, *texts, *without))

    async def enqueue(self, jobs: Sequence[Job[Any]], guard: Guard) -> Changes:
        """Store jobs in an epoch and before a moment."""
        return await store(self._scripts, jobs, guard=guard)

    async def holders(self, queue: str, keys: Sequence[str]) -> KeysHeld:
        """Who holds keys of a queue, in this order."""
        given = [key.encode() for key in keys]
        epoch, *found = await self._scripts.run_one("sides_holders", queue, *given)
        each = zip(found[::3], found[1::3], found[2::3], strict=True)
        holders = [
            KeyHolder(UUID(bytes=id_), Kind(kind.decode()), followed == 1) if id_ else None
            for id_, kind, followed in each
        ]
        return KeysHeld(epoch, holders)

    async def census(self, queue: str) -> Mapping[Kind, int]:
        """How many copies there are of each kind."""
        reply = await self._scripts.run_one("sides_census", queue)
        counts = zip(reply[::2], reply[1::2], strict=True)
        return {Kind(kind.decode()): count for kind, count in counts if count}

    async def look(self, refs: Sequence[JobRef]) -> list[Copy]:
        """What is there of jobs, in this order."""
        found: dict[JobRef, Copy] = {}
        for queue, some in by_queue(dict.fromkeys(refs), lambda ref: ref.queue, AT_ONCE):
            ids = [ref.id.bytes for ref in some]
            reply = await self._scripts.run_one("sides_look", queue, *ids)
            # The records are read after the stamps: a step that goes by an older stamp is refused then.
            records = await self._inspector.get(some)
            for ref, stamp, text, record in zip(
                some, reply[::2], reply[1::2], records, strict=True
            ):
                read = _stamp(stamp)
                has = read.kind in _WITH_RECORDS
                found[ref] = Copy(ref, read, record if has else None, text.decode())
        return [found[ref] for ref in refs]

    async def page(
        self, queue: str, kind: Kind, *, cursor: str | None = None, limit: int = 500
    ) -> Page:
        """Copies of a kind."""
        after, ids = await self._scripts.run_one("sides_page", queue, kind, cursor or "", limit)
        copies = await self.look([JobRef(queue, UUID(bytes=id_)) for id_ in ids])
        return Page([one for one in copies if one.stamp.kind is kind], after.decode() or None)

    async def swap(self, swaps: Sequence[Swap]) -> list[Swapped]:
        """Carry out steps, each for itself."""
        done: dict[int, Swapped] = {}
        places = range(len(swaps))
        for queue, those in by_queue(places, lambda n: swaps[n].ref.queue, AT_ONCE):
            for some in bounded(those, lambda n: _size(swaps[n]), AT_ONCE):
                arguments = [one for n in some for one in _arguments(swaps[n])]
                reply = await self._scripts.run_one("sides_swap", queue, *arguments)
                for n, found, why in zip(some, reply[::2], reply[1::2], strict=True):
                    done[n] = Swapped(_stamp(found), Refusal(why.decode()) if why else None)
        return [done[n] for n in places]


def _gate(raw: bytes | None) -> Gate | None:
    return Gate.of(raw.decode()) if raw else None


def _stamp(raw: bytes) -> Stamp:
    kind, *numbers = raw.decode().split(" ")
    return Stamp(Kind(kind), *map(int, numbers))


def _written(stamp: Stamp) -> str:
    return " ".join(map(str, stamp))


def _size(one: Swap) -> int:
    record = one.after.record
    return len(one.after.text) + (len(record.job.payload) if record else 0)


def _arguments(one: Swap) -> Iterator[Argument]:
    """A step as the script takes it."""
    after = one.after
    record: list[Any] = list(written_record(after.record)) if after.record else []
    yield one.ref.id.bytes
    yield from (_written(one.before), one.epoch, "" if one.until is None else one.until)
    yield (one.frees or "").encode()
    yield from (_written(after.stamp), after.text.encode(), len(record))
    yield from record
