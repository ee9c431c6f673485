"""What became of jobs: one answer for every verb that changes them, told by the step of the store that did it."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias, overload
from uuid import UUID

from queuekit.job import Ack, Job, JobRef, Return, ReturnKind, State

_NOTHING_ODD: Final[Mapping[int, "Change"]] = {}


class Refusal(StrEnum):
    """Why what was asked for was not done."""

    GONE = "gone"
    """there is no such job; of a record to be stored: the job that it follows is not there"""
    STATE = "state"
    """the event is not allowed in the state that was found (see `queuekit.lifecycle.ALLOWED`)"""
    KNOWN = "known"
    """the id is there, or was there within `REMEMBER_IDS`"""
    KEY_HELD = "key held"
    """another job holds its key"""
    LOST = "lost"
    """the token is not the one of the job's present run: its lease has lapsed, or another has settled it"""
    MOVED = "moved"
    """the queue is served elsewhere: `Change.detail` is the fingerprint of that store"""
    STALE = "stale"
    """the queue is in another epoch than the one of the act"""
    LATE = "late"
    """the deadline of the act is over"""
    CHANGED = "changed"
    """what is there is not what it was when somebody decided"""
    UNSTORABLE = "unstorable"
    """the server does not take it; a run whose outcome it does not take ends as failed (`invalid_result`)"""


class Change(NamedTuple):
    """What became of one job.

    Attributes:
        ref: which job; of a replacement, the one that holds the key and was changed.
        found: the state in which it was found; None: there was no such job. Of a settled run it is running, also if an
            earlier sending of the same has settled it.
        now: the state that it has come to, whether its record is kept or not; None: it is gone. It is `found` if
            nothing was done, and if a running job was only asked to stop.
        generation: how often people have run it again.
        refused: why what was asked for was not done; None: it was.
        holder: the id of the job that holds its key, if that refused or replaced it; of the job to be followed, if that
            is gone.
        detail: of what is unstorable: what the server says; of what has moved: where to.
        task, reason: of a job that the store itself has ended: its task, and why (`crashed`, `expired`).
    """

    ref: JobRef
    found: State | None
    now: State | None
    generation: int = 0
    refused: Refusal | None = None
    holder: UUID | None = None
    detail: str | None = None
    task: str | None = None
    reason: str | None = None

    @property
    def done(self) -> bool:
        """Whether it was not refused."""
        return self.refused is None


Asked: TypeAlias = "Job[Any] | Ack | Return"


class Changes(Sequence[Change]):
    """One answer to each element of a batch, in order.

    Most went as was asked: their answers follow from the question, and are made when somebody looks at them.

    Args:
        asked: the batch.
        odd: the answers to others, by their place in it.
    """

    __slots__ = ("asked", "odd")

    def __init__(self, asked: Sequence[Asked], odd: Mapping[int, Change] = _NOTHING_ODD) -> None:
        self.asked = asked
        self.odd = odd

    def __len__(self) -> int:
        return len(self.asked)

    def __iter__(self) -> Iterator[Change]:
        return map(self._at, range(len(self.asked)))

    @overload
    def __getitem__(self, at: int) -> Change: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Change]: ...
    def __getitem__(self, at: int | slice) -> Change | Sequence[Change]:
        if isinstance(at, slice):
            return [self._at(one) for one in range(*at.indices(len(self.asked)))]
        return self._at(range(len(self.asked))[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # like a list's

    def __repr__(self) -> str:
        return f"Changes({list(self)!r})"

    def _at(self, place: int) -> Change:
        return self.odd.get(place) or as_asked(self.asked[place])


def as_asked(asked: Asked) -> Change:
    """The answer to what went as was asked.

    Args:
        asked: a job that was stored and had no moment to wait for; a run that was settled.
    """
    match asked:
        case Job():
            return Change(asked.ref, None, _LATER if asked.options.delay else _READY)
        case Ack(token, _, state):
            return Change(token.ref, _RUNNING, state, token.generation)
        case Return(token, kind, delay):
            waits = delay > 0 and kind in _DELAYED
            return Change(token.ref, _RUNNING, _LATER if waits else _READY, token.generation)


# On Python 3.11 members of an enum are slow look-ups.
_READY: Final = State.READY
_LATER: Final = State.SCHEDULED
_RUNNING: Final = State.RUNNING
_DELAYED: Final = frozenset({ReturnKind.RETRY, ReturnKind.SNOOZE})
