"""All that a store knows of a job, as values without I/O: what is read from one store can be stored in another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from queuekit.job import (
    DEATHS_ALLOWED,
    FINISHED,
    LAPSES_ALLOWED,
    Claimant,
    Job,
    JobRef,
    Micros,
    ReturnKind,
    State,
)


class Life(NamedTuple):
    """Where a job is in its life, and what the table of `queuekit.lifecycle` needs to know of it.

    Attributes:
        state: None: the job is gone.
        attempt: runs that counted.
        delivery: of the last claim (see `Token`); 0: there was none.
        lapses: leases that ran out.
        crashes: deaths of a child process that ran nothing else.
        generation: how often people have run it again.
        cancel_requested: it runs, and is to stop.
        reason: why it failed (a `Reason`) or was cancelled (free text).
        max_lapses, max_crashes: with so many it fails; the same as in the job's options.
    """

    state: State | None
    attempt: int = 0
    delivery: int = 0
    lapses: int = 0
    crashes: int = 0
    generation: int = 0
    cancel_requested: bool = False
    reason: str | None = None
    max_lapses: int = LAPSES_ALLOWED
    max_crashes: int = DEATHS_ALLOWED


class Times(NamedTuple):
    """When; microseconds, by the clock of the server that was asked at the time.

    Attributes:
        enqueued_at: when it was stored first.
        scheduled_at: when it is or was due, if it ever had to wait.
        started_at: its last claim, whether a run counted or not.
        finished_at: its end.
        expires_at: it fails if it has not begun until then.
        leased_until: the end of the lease of a running job.
        kept_until: the end of the retention of a finished one, unless a count cuts it before.
    """

    enqueued_at: Micros
    scheduled_at: Micros | None = None
    started_at: Micros | None = None
    finished_at: Micros | None = None
    expires_at: Micros | None = None
    leased_until: Micros | None = None
    kept_until: Micros | None = None


class Notes(NamedTuple):
    """What was noted of its runs.

    Attributes:
        result: JSON text of the return value.
        errors: JSON object texts, oldest first, each with ``at`` (microseconds); the last 50.
        history: JSON object texts of what happened besides attempts, such as
            ``{"event": "lapse", "at": ..., "delivery": ...}``;
            events: lapse, death, snooze, release, cancel, rerun; the last 50.
        progress: JSON text of the last report.
        logs: the last 100 lines.
    """

    result: str | None = None
    errors: Sequence[str] = ()
    history: Sequence[str] = ()
    progress: str | None = None
    logs: Sequence[str] = ()


NO_NOTES: Final = Notes()


class Lease(NamedTuple):
    """Who has claimed a running job, and the length of the lease, which a heartbeat gives it anew."""

    claimant: Claimant
    length: Micros


class Settled(NamedTuple):
    """How a run was settled: `how` it ended or went back, and the run's delivery; a repeat is known by it."""

    how: State | ReturnKind
    delivery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job with its life, times and notes.

    Attributes:
        job: as it would be enqueued, but for what an enqueue has decided once and for all: there is no `delay`, `due`,
            `expires` (see `times`), `key_policy` and `replicated` in its options any more, and its id is not `fresh`.
        lease: of a running job.
        settled: how the last run that was claimed was settled; None if its lease has lapsed, or there was none. While
            another run is under way it tells of the one before.
        follows: the running job of its key whose end a waiting one waits for.
        origin: the id with which the payload that it has now was enqueued, if it replaced another.
    """

    job: Job[Any]
    life: Life
    times: Times
    notes: Notes = NO_NOTES
    lease: Lease | None = None
    settled: Settled | None = None
    follows: UUID | None = None
    origin: UUID | None = None

    @property
    def ref(self) -> JobRef:
        """Which job it is."""
        return self.job.ref

    @property
    def state(self) -> State:
        """Where it is in its life."""
        state = self.life.state
        assert state is not None, "what is gone has no record"
        return state

    @property
    def finished(self) -> bool:
        """Whether it has come to an end."""
        return self.life.state in FINISHED
