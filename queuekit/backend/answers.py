"""What goes to a store besides jobs and outcomes, and what comes back besides changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from queuekit.backend.changes import Change, Changes
from queuekit.backend.settings import PROTOCOL
from queuekit.job import Claim, Claimant, Micros, State, Token
from queuekit.times import moment, moment_in_micros


class Ask(NamedTuple):
    """What a fetch is asked for.

    Attributes:
        queues: from which, in no order.
        limit: at most so many jobs; 0: none.
        claimant: for whom.
        lease: of jobs that have none of their own.
        suspects: how many of them may be suspects.
    """

    queues: Sequence[str]
    limit: int
    claimant: Claimant
    lease: Micros
    suspects: int = 0


class Fetched(NamedTuple):
    """What a fetch brings.

    Attributes:
        claims: claimed jobs.
        settled: what became of each outcome handed along.
        expired: jobs that were not claimed, as they had expired.
    """

    claims: Sequence[Claim]
    settled: Changes
    expired: Sequence[Change] = ()


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
        rescued: jobs whose lease has lapsed, and what became of them.
        expired: jobs that had not begun in time, and have failed.
        promoted: how many due jobs became ready.
        renewed: leases given anew because nobody had ticked for a while (an outage).
        pruned: records removed; not those that a backend drops by the table, which nobody counts.
        due_in: microseconds until a schedule of these queues is due; None: none is known to be.
        again_in: microseconds until one of their leases runs out, or one of their jobs expires; None: none is known to.
    """

    rescued: Sequence[Change] = ()
    expired: Sequence[Change] = ()
    promoted: int = 0
    renewed: int = 0
    pruned: int = 0
    due_in: Micros | None = None
    again_in: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One process as it registers itself; gone `ttl` microseconds after its last call.

    Attributes:
        zone_data: the version of the time-zone data that it goes by; empty: it can't say.
    """

    process: str
    host: str
    pid: int
    version: str
    queues: Sequence[str]
    concurrency: int = 0
    protocol: int = PROTOCOL
    backends: Sequence[str] = ()
    ttl: Micros = 60_000_000
    zone_data: str = ""


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
