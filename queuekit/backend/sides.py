"""One side of a cutover: what a store keeps of it, and the one step by which jobs go from side to side.

The numbers of rules are those of docs/cutover-protocol.md. A store knows neither the other side nor the rules: it
compares what it has with what somebody saw there, and puts something else in its place, all in one step.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from queuekit.backend.changes import Changes, Refusal
from queuekit.job import Job, JobRef, Micros
from queuekit.record import JobRecord


class Mark(StrEnum):
    """How far the end of a cutover has come at one side."""

    OPEN = "open"
    INTENT = "intent"
    """the active side: the other is about to be sealed (counts only at the epoch of the intent)"""
    SEALED = "sealed"
    """takes no new ids any more"""
    CLOSED = "closed"
    """the same, and for good"""
    HOME = "home"
    """the side that is left, once the other is closed"""


class Gate(NamedTuple):
    """What a side keeps of the cutover that one of its queues is in.

    Attributes:
        side: which of both it is: 0 or 1.
        epoch: it only grows; in odd ones side 0 is active, in even ones side 1.
        other: the fingerprint of the other store, which shows no secret.
        mark: how far the end has come.
        marked_at: the epoch of the mark.
    """

    side: int
    epoch: int
    other: str
    mark: Mark = Mark.OPEN
    marked_at: int = 0

    @property
    def active(self) -> bool:
        """Whether this side serves the queue in this epoch."""
        return active_in(self.epoch) == self.side

    @property
    def shut(self) -> bool:
        """Whether it takes no new ids (rule 8)."""
        return self.mark in {Mark.SEALED, Mark.CLOSED}

    @property
    def text(self) -> str:
        """As it is stored."""
        return f"{self.side} {self.epoch} {self.mark} {self.marked_at} {self.other}"

    @staticmethod
    def of(text: str) -> "Gate":
        """Of what is stored."""
        side, epoch, mark, marked_at, other = text.split(" ", 4)
        return Gate(int(side), int(epoch), other, Mark(mark), int(marked_at))


class Kind(StrEnum):
    """What a side has of a job."""

    ABSENT = "absent"
    LIVE = "live"
    """it waits here to be run"""
    RUNNING = "running"
    FAILED = "failed"
    """the record of a failed or cancelled one, which a person may run again"""
    DONE = "done"
    """it has ended, here or there, and is not to be run again; or only its id is remembered"""
    HELD = "held"
    """a mirror: the other side's job, never claimed here"""
    MOVING = "moving"
    """it was taken out of line, or out of the failed ones, to be brought to the other side"""


class Stamp(NamedTuple):
    """What tells one moment in the life of a copy from another.

    Attributes:
        kind: what it is.
        generation: how often a person has run the job again.
        epoch: of one that moves: that of its mover.
        delivery: of one that is live or failed: of its last claim.
    """

    kind: Kind
    generation: int = 0
    epoch: int = 0
    delivery: int = 0


ABSENT: Final = Stamp(Kind.ABSENT)
FOR_EVER: Final = 2**31 - 1
"""The generation of what only its id is left of: none comes after it."""


class Copy(NamedTuple):
    """What a side has of one job.

    Attributes:
        ref: which job.
        stamp: the moment at which it was read.
        record: of one that is live or running, or whose record is there.
        text: of one that is held or moves, as it was put there; of a tombstone the moment at which it was put there, in
            microseconds by the server's clock.
    """

    ref: JobRef
    stamp: Stamp
    record: JobRecord | None = None
    text: str = ""


class Swap(NamedTuple):
    """A step: something else in place of a copy, if that is still what somebody has seen.

    Attributes:
        before: what he saw; not one that runs.
        after: what is to be there: for LIVE and FAILED its record, for HELD and MOVING its text, for DONE nothing more.
        epoch: of the act; at another one the side refuses it.
        until: after that moment of the server's clock it is refused, too (rule 2); None: it has no deadline.
        frees: a key: if the copy holds it, as one that moves does whose job has held it, it is given back, unless it is
            protected for a time. What becomes live takes its key, unless another job holds that.
    """

    before: Stamp
    after: Copy
    epoch: int
    until: Micros | None = None
    frees: str | None = None

    @property
    def ref(self) -> JobRef:
        """Which job."""
        return self.after.ref


class Swapped(NamedTuple):
    """What became of a step.

    Attributes:
        found: what was there; it is not the one that was expected if `refused` is CHANGED.
        refused: why nothing was done: CHANGED, STALE, LATE; None: it was.
    """

    found: Stamp
    refused: Refusal | None = None


class Guard(NamedTuple):
    """What an enqueue depends on besides what is there.

    Attributes:
        epoch: in another one, or without a gate, its queue refuses it (rule 7); None: any will do.
        until: after that moment of the server's clock it is refused, too (rule 2).
    """

    epoch: int | None
    until: Micros


class KeyHolder(NamedTuple):
    """Who holds a key at a side.

    Attributes:
        id: of the job.
        kind: LIVE, RUNNING or MOVING; ABSENT: it is gone, and the key is still protected for a time.
        followed: a job waits for its end.
    """

    id: UUID
    kind: Kind
    followed: bool = False


class KeysHeld(NamedTuple):
    """Who holds some keys (None: nobody), and the epoch in which that was so; 0: there is no gate."""

    epoch: int
    holders: Sequence[KeyHolder | None]


class Page(NamedTuple):
    """Some of the copies of a kind, and where to go on; None: these were the last."""

    copies: Sequence[Copy]
    cursor: str | None


@runtime_checkable
class Side(Protocol):
    """What a cutover needs of a store, queue by queue.

    In a queue with a gate, what has ended leaves a tombstone (DONE) besides its record, until a `Swap` puts ABSENT in
    its place: so that no id becomes absent before the other side was asked (rule 5). A shut gate refuses new ids
    (`MOVED`, whose detail is `Gate.other`; an atomic batch raises `QueueMoved`), after those that it knows (rule 8);
    one that is not active refuses a person's retry, too (rule 14), and none of its schedules is due or fires (rule 21).
    """

    async def clock(self) -> Micros:
        """The server's clock."""
        ...

    async def gates(self, queues: Sequence[str]) -> list[Gate | None]:
        """The gates of queues, in this order; None: there was never a cutover."""
        ...

    async def gated(self) -> list[str]:
        """The queues that have a gate, by name."""
        ...

    async def turn(
        self,
        queue: str,
        before: Gate | None,
        after: Gate | None,
        *,
        without: Collection[Kind] = (),
    ) -> Gate | None:
        """Put another gate in place of the one that somebody saw; what is there then.

        Args:
            queue: whose.
            before: what he saw; if another one is there, that stays.
            after: what is to be there.
            without: if there is a copy of one of these kinds, nothing is done.
        """
        ...

    async def enqueue(self, jobs: Sequence[Job[Any]], guard: Guard) -> Changes:
        """As `Backend.enqueue`, but `STALE` and `LATE` are refused, after what is known.

        Without a guard, by a process that was told of no cutover, a job with a key is refused where that can't be
        compared with the other side: `MOVED` at a passive side, `STALE` from the second epoch on.
        """
        ...

    async def holders(self, queue: str, keys: Sequence[str]) -> KeysHeld:
        """Who holds keys of a queue, in this order (rule 19)."""
        ...

    async def census(self, queue: str) -> Mapping[Kind, int]:
        """How many copies there are of each kind, without zeros; DONE counts tombstones, not records."""
        ...

    async def look(self, refs: Sequence[JobRef]) -> list[Copy]:
        """What is there of jobs, in this order."""
        ...

    async def page(
        self, queue: str, kind: Kind, *, cursor: str | None = None, limit: int = 500
    ) -> Page:
        """Copies of a kind: about `limit`, possibly none though more follow.

        LIVE come in their order in line. What is changed meanwhile may be missed, or come twice.
        """
        ...

    async def swap(self, swaps: Sequence[Swap]) -> list[Swapped]:
        """Carry out steps, each for itself; one answer each, in order.

        What becomes live comes to the end of the line, and rings sleepers.
        """
        ...


@runtime_checkable
class HasSides(Protocol):
    """A backend that can take part in a cutover."""

    @property
    def side(self) -> Side:
        """The same store, as one of both sides."""
        ...


def active_in(epoch: int) -> int:
    """Which side is active in an epoch."""
    return 0 if epoch % 2 else 1
