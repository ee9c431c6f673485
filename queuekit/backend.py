"""The contract between queuekit and a store of jobs.

A backend is found by its URL's scheme (entry-point group ``queuekit.backends``) and made as
``BackendClass(url, settings)``. It lives on one event loop. `queuekit.testing.conformance` says in code what is said
here in prose; a backend that passes it is a backend.

What every implementation owes, whatever the verb:

* **Batch first.** A call takes and gives sequences, in the same order. One bad element never fails its companions:
  what the server refuses as a whole is halved until the guilty element stands alone.
* **A lost reply loses nothing.** Every verb may be repeated: with the same ids (enqueue) or tokens (ack, retry,
  heartbeat, report) it does what was not done yet and answers as if it had been the first time.
* **Server clocks only.** Due times, leases, expiry and retention go by the server's clock.
* **Every call has a deadline** (`BackendSettings.timeout`), after which it raises `ReplyLost`; a server that can't be
  reached raises `BackendUnavailable`, one that refuses `BackendRefused`, one that is gone for good `StoreGone`. No
  error of the driver comes through, and no message shows a password.
* **Calls may overlap.** Any number may be under way at once on one backend object; a call that is cancelled leaves the
  object usable.
* **Every transition out of running needs the token**: same id, same delivery.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from queuekit.errors import BackendRefused
from queuekit.job import Ack, Claim, Job, JobRecord, JobRef, Keep, Micros, Return, State, Token
from queuekit.lifecycle import Event
from queuekit.times import moment, moment_in_micros

PROTOCOL = 1
"""The number of this contract; registered by every process for rolling upgrades."""

KEEP_SUCCEEDED = Keep(age=3_600_000_000, count=10_000)
KEEP_FAILED = Keep(age=14 * 86_400_000_000)
REMEMBER_IDS: Micros = 120_000_000
"""How long at least the id of a finished job stays known, whatever its retention."""
KEEP_FOR_WAITERS: Micros = 60_000_000
"""How long at least a record stays when somebody waits for the job's end; no count cuts it before."""
UNKNOWN_TASK_PATIENCE: Micros = 24 * 3_600_000_000
NOTES_KEPT = 50
"""Errors of a job, and other events in its history: the last ones."""
LOGS_KEPT = 100


class StoreGone(BackendRefused):
    """What was opened is there no more, and never will be: a worker ends with it, as only a new start can help."""


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """What a backend may be told besides its URL.

    Attributes:
        namespace: Redis key prefix, Postgres schema; SQLite has one namespace a file.
        listen_url: a direct connection for doorbells, where `url` leads through a pooler.
        pooler: ``"transaction"`` behind pgbouncer in that mode: no prepared statements, no session state.
        timeout: seconds until a call gives up.
        keep_succeeded, keep_failed: retention where neither the job nor the worker says otherwise; `keep_failed` is
            for cancelled jobs, too.
    """

    namespace: str = "queuekit"
    listen_url: str | None = field(default=None, repr=False)  # it may hold a password
    pooler: str | None = None
    timeout: float = 10.0
    keep_succeeded: Keep = KEEP_SUCCEEDED
    keep_failed: Keep = KEEP_FAILED


class Claimant(NamedTuple):
    """Who claims: a process (its name has a nonce, so that it never comes back) and the number of its fetch."""

    process: str
    number: int


class Stored(StrEnum):
    """What became of one enqueued job."""

    STORED = "stored"
    KNOWN = "known"
    """the id is there, or was there within `REMEMBER_IDS`: nothing changed"""
    DUPLICATE = "duplicate"
    """another job holds the key: nothing changed"""
    REPLACED = "replaced"
    """another job holds the key and got this one's payload, options and due time"""
    REFUSED = "refused"
    """the server does not take it; `Answer.error` says why"""


class Answer(NamedTuple):
    """The answer to one enqueued job.

    Attributes:
        state: where the job is now (of a known id: None if only the id is remembered).
        id: of a duplicate or replaced job: the id that holds the key.
    """

    kind: Stored
    state: State | None = None
    id: UUID | None = None
    error: str | None = None


class Verdict(StrEnum):
    """The answer to one settled token."""

    DONE = "done"
    """settled, now or by an earlier sending of the same"""
    LOST = "lost"
    """the token is not the job's present one: nothing changed"""
    REFUSED = "refused"
    """the server would not store it; the job was settled as failed with reason `invalid_result`"""


class Ended(NamedTuple):
    """A job that the store itself has ended as failed (`expired`, `crashed`); told once, by the call that did it."""

    queue: str
    id: UUID
    task: str
    reason: str


class Fetched(NamedTuple):
    """What a fetch brings.

    Attributes:
        claims: claimed jobs.
        verdicts: one for each outcome handed along.
        ended: jobs that have failed by it: expired ones, which it did not claim, and of the outcomes last deaths.
    """

    claims: Sequence[Claim]
    verdicts: Sequence[Verdict]
    ended: Sequence[Ended] = ()


class Pulse(NamedTuple):
    """The answer to a heartbeat: tokens that hold no lease any more, and those whose cancellation was requested."""

    lost: Sequence[Token]
    cancels: Sequence[Token]


class Held(NamedTuple):
    """A lease that a process holds, and the number of the claim that took it."""

    token: Token
    number: int


class Report(NamedTuple):
    """Progress (JSON text; None: unchanged) and new log lines of a running job."""

    token: Token
    progress: str | None
    logs: Sequence[str]


class Upkeep(NamedTuple):
    """What one `maintain` did.

    Attributes:
        rescued: jobs whose lease lapsed.
        renewed: leases given anew because nobody had ticked for a while (an outage).
        pruned: records removed; not those that a backend drops by the table, which nobody counts.
        ended: jobs that have failed by it: expired ones, and of the rescued those whose lease lapsed too often.
    """

    promoted: int = 0
    rescued: Sequence[JobRef] = ()
    renewed: int = 0
    pruned: int = 0
    ended: Sequence[Ended] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One process as it registers itself; gone `ttl` microseconds after its last call."""

    process: str
    host: str
    pid: int
    version: str
    queues: Sequence[str]
    concurrency: int = 0
    protocol: int = PROTOCOL
    backends: Sequence[str] = ()
    ttl: Micros = 60_000_000


class Backend(Protocol):
    """What producing and running need."""

    def __init__(self, url: str, settings: BackendSettings) -> None:
        """Check the URL and remember it; no I/O. Raises `ConfigurationError`."""

    @property
    def inspector(self) -> "Inspector":
        """The same store, for people's eyes and hands."""
        ...

    async def open(self) -> None:
        """Connect, and make or check the schema.

        Raises `BackendUnavailable` (server down), `ConfigurationError` (wrong schema version, wrong server).
        """

    async def close(self) -> None:
        """Give back every connection. May be called twice, and before `open`."""

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> list[Answer]:
        """Store jobs; one answer each, in order.

        State: waiting if it is queued behind the running job that holds its key (`replace`, `debounce`), scheduled if
        due later, else ready. A known id changes nothing. Unless `job.fresh`, the remembered ids are asked, too. Key
        policies, when another unfinished (or, by `key_until`, still protected) job holds the key: ``reject`` and
        ``throttle`` answer `DUPLICATE`; ``replace`` and ``debounce`` give a scheduled or ready holder the new payload,
        options and due time (counted anew, a new place in line) and answer `REPLACED`; a running holder is left alone
        and the new job becomes its successor, `waiting` until the holder finishes. While a successor waits it is the
        one that gets new payloads (`REPLACED`, with its id), whatever state its predecessor is in: the newest must run
        last.
        Two jobs of one key in a batch behave as if sent one after the other. A `key_until` in microseconds frees the
        key at that moment, even if its job is still unfinished, and not before, even if its job is gone,
        unless its successor takes it over.

        The id of a replacement is remembered: sent again (not `fresh`) it answers `REPLACED` as long as what it has
        replaced has its payload, then `KNOWN`.

        With `atomic`, a batch with a refused element stores nothing: raises `BackendRefused` naming its index. Where
        one transaction can't span the batch's queues: `InvalidOption`. `connection` is the caller's own, with a
        transaction open on it: the jobs are there if and only if it commits, and its errors come through. Backends
        without transactions of a caller raise `InvalidOption`.

        Rings sleepers (see `wait`) of the queues that got a ready or scheduled job.
        """
        ...

    async def fetch(
        self,
        queues: Sequence[str],
        limit: int,
        claimant: Claimant,
        *,
        lease: Micros,
        suspects: int = 0,
        settle: Sequence[Ack | Return] = (),
    ) -> Fetched:
        """Claim up to `limit` ready jobs, and settle outcomes on the way.

        Most urgent first within a queue (priority, then the order of becoming ready); queues are served in turn, so
        that none starves. Due scheduled jobs count as ready. A job that has not begun yet and whose `expires` has
        passed is failed (`expired`) instead of claimed; once it was retried, or run again by a person, it has begun.
        Paused queues give nothing. Of jobs with `SUSPECT_AFTER` or more lapses at most `suspects`
        are claimed (within the limit, before others of their queue), of those with `SOLITARY_AFTER` or more only one
        a queue may be out at any time.

        A claim sets attempt + 1, delivery = max(previous + 1, the server's clock in ms), starts the lease (the
        job's own, else `lease`), notes the claimant, and frees a key held until ``started``. `limit` 0 only settles.
        """
        ...

    async def ack(self, acks: Sequence[Ack]) -> list[Verdict]:
        """End running jobs.

        In one step a job leaves running, its record is kept (the longest that applies: `KEEP_FOR_WAITERS` if somebody
        waits; else the job's own, the ack's, the backend's), its key and its successor are freed, waiters are told.
        """
        ...

    async def retry(self, returns: Sequence[Return]) -> list[Verdict]:
        """Put running jobs back.

        retry: scheduled, or ready at once if `delay` is 0; error kept; attempt stays. snooze: the same, attempt - 1.
        release: ready in its old place, attempt - 1. death: ready, attempt - 1, crashes + 1, or failed `crashed` at
        `max_crashes`. If a cancel was requested, a job that would be ready or scheduled ends as cancelled instead.
        """
        ...

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases by their own length from now; the owner counts as heard (see `maintain`)."""
        ...

    async def leases(self, process: str) -> list[Held]:
        """All leases that a process holds, with the number of the claim: what it never received, it gives back."""
        ...

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines (the last `LOGS_KEPT`) of running jobs; stale tokens change nothing."""

    async def results(self, jobs: Collection[JobRef], wait_for: float) -> dict[JobRef, JobRecord]:
        """Records of those that have finished; waits up to `wait_for` seconds for the first one.

        A waiter that registered before the end gets the record even if the job's retention is 0.
        Raises `JobNotFound` if one of them is neither stored nor recorded.
        """
        ...

    async def present(self, presence: Presence) -> None:
        """Register a process, or say that it is still there; wakes and pauses need nothing else."""

    async def absent(self, process: str) -> None:
        """The process leaves."""

    async def wait(self, queues: Sequence[str], wait_for: float, process: str) -> None:
        """Return as soon as one of the queues may have work: a ready job, a scheduled one come due, a doorbell.

        Registers `process` as a sleeper (with an expiry), looks again so that no enqueue slips through, and returns
        after `wait_for` seconds at the latest. May return too early, never too late by more than 100 ms.
        """

    async def wake(self, process: str) -> None:
        """End that process's `wait`, on whatever machine it sleeps."""

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on: promote due jobs, rescue lapsed leases, fail what has expired, prune what is past retention.

        Any number of processes may call it at once; each call does a bounded amount of work. Rescue is one
        conditional step on (state, delivery, lease). A lapse: ready in its old place, attempt - 1, lapses + 1, noted
        in its history; cancelled if that was requested; failed `crashed` at `max_lapses`. From `SOLITARY_AFTER` on it
        hands out one such job a queue.

        The server remembers the last tick. If the gap since then is longer than a third of a job's lease, that job
        gets a fresh lease, once until its owner is heard again (heartbeat, or a new claim): nobody could renew
        during an outage.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs; all given conditions hold.

    Args:
        since: enqueued at or after: an aware datetime, or microseconds. Backends get microseconds.
        error: a part of the text of its last error.

    Raises:
        InvalidOption: `since` is no moment.
    """

    queues: Sequence[str] = ()
    tasks: Sequence[str] = ()
    states: Sequence[State] = ()
    tags: Sequence[str] = ()
    since: datetime | Micros | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        since = self.since
        if isinstance(since, int):
            moment_in_micros(since, "since")
        elif since is not None:
            object.__setattr__(self, "since", moment(since, "since"))


class Refusal(StrEnum):
    """Why a job was not changed."""

    GONE = "gone"
    """there is no such job"""
    STATE = "state"
    """the event is not allowed in the state that was found (see `queuekit.lifecycle.ALLOWED`)"""
    KEY_HELD = "key held"
    """another job holds its key"""


class Change(NamedTuple):
    """What became of one job, told by the step of the store that did it.

    Attributes:
        ref: which job.
        found: the state in which it was found; None: there is no such job.
        now: the state that it has come to, whether its record is kept or not; None: it was removed. It is `found` if
            nothing was done, and if a running job was only asked to stop.
        generation: how often people have run it again.
        refused: why nothing was changed; None: it was done.
        holder: the id of the job that holds its key, if that refused it.
    """

    ref: JobRef
    found: State | None
    now: State | None
    generation: int = 0
    refused: Refusal | None = None
    holder: UUID | None = None

    @property
    def done(self) -> bool:
        """Whether it was not refused."""
        return self.refused is None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """One queue: whether it is paused, and how many jobs it holds by state (without zeros)."""

    name: str
    paused: bool = False
    counts: Mapping[State, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One registered process. `seen_at`: its last call (microseconds, the server's clock)."""

    presence: Presence
    seen_at: Micros


@runtime_checkable
class Inspector(Protocol):
    """What people need."""

    async def get(self, refs: Sequence[JobRef]) -> list[JobRecord | None]:
        """Records, live or finished, in this order."""
        ...

    async def locate(self, ids: Sequence[UUID]) -> list[JobRef | None]:
        """Where jobs of these ids are; where an id is in several queues, the one enqueued last is meant."""
        ...

    async def find(
        self, where: JobFilter, *, limit: int = 50, after: JobRef | None = None
    ) -> list[JobRecord]:
        """A page of jobs, the greatest ids first; UUIDv7 begin with a time, so these are the newest.

        Args:
            where: which ones.
            limit: at most so many; if fewer come, these are the last.
            after: the last one of the page before, whether it is still there or not.
        """
        ...

    def refs(self, where: JobFilter) -> AsyncIterator[Sequence[JobRef]]:
        """All jobs that a filter fits, in portions and in no order; what is changed meanwhile may be missed."""
        ...

    async def queues(self) -> list[QueueInfo]:
        """All queues that hold a job or a record, or are paused."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """All processes that are present."""
        ...

    async def steer(self, event: Event, refs: Sequence[JobRef]) -> list[Change]:
        """Carry out one of `STEERING` on jobs; one answer each, in order.

        cancel: an unstarted job ends as cancelled, a running one is asked to stop (and its process is woken). drain:
        the same for scheduled and ready ones alone. rerun: a failed or cancelled job becomes ready, with generation
        + 1, attempt, lapses and crashes 0, and its errors; refused if another job holds its key now; one that held its
        key until it had ``finished`` takes it again. promote: a scheduled job becomes ready. delete: it goes, unless
        it is running, and its id stays remembered. clean: the same for finished ones alone.
        """
        ...

    async def pause(self, queues: Sequence[str], *, paused: bool) -> None:
        """Whether claims of these queues give nothing; sleepers are woken when they give jobs again."""


STEERING: Final = (
    Event.CANCEL,
    Event.DRAIN,
    Event.RERUN,
    Event.PROMOTE,
    Event.DELETE,
    Event.CLEAN,
)
"""What people may do to jobs."""


@runtime_checkable
class HasSchema(Protocol):
    """A backend with a schema that people may want to see or apply by hand."""

    async def schema_apply(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations that ran."""
        ...

    def schema_show(self) -> str:
        """The whole schema as a script."""
        ...
