"""The verbs of producing and running."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from queuekit.backend.answers import Ask, Fetched, Held, Presence, Pulse, Report, Upkeep
from queuekit.backend.changes import Changes
from queuekit.backend.inspector import Inspector
from queuekit.backend.schedules import Schedules
from queuekit.backend.settings import BackendSettings
from queuekit.backend.transfer import Transfer
from queuekit.job import Ack, Job, JobRef, Return, Token
from queuekit.record import JobRecord


class Backend(Protocol):
    """What producing and running need."""

    def __init__(self, url: str, settings: BackendSettings) -> None:
        """Check the URL and remember it; no I/O. Raises `ConfigurationError`."""

    @property
    def inspector(self) -> Inspector:
        """The same store, for people's eyes and hands."""
        ...

    @property
    def transfer(self) -> Transfer:
        """The same store, for whole jobs that come from another one."""
        ...

    @property
    def schedules(self) -> Schedules:
        """The same store, for recurring work."""
        ...

    async def open(self) -> None:
        """Connect, and make or check the schema.

        Raises `BackendUnavailable` (server down), `ConfigurationError` (wrong schema version, wrong server).
        """

    async def close(self) -> None:
        """Give back every connection. May be called twice, and before `open`."""

    async def enqueue(
        self, jobs: Sequence[Job[Any]], *, atomic: bool = False, connection: object | None = None
    ) -> Changes:
        """Store jobs; one answer each, in order.

        State: waiting if it is queued behind the running job that holds its key (`replace`, `debounce`), scheduled if
        due later, else ready. A known id changes nothing (`KNOWN`). Unless `job.fresh`, the remembered ids are asked,
        too. Key policies, when another unfinished (or, by `key_until`, still protected) job holds the key: ``reject``
        and ``throttle`` refuse (`KEY_HELD`, with its id); ``replace`` and ``debounce`` give a scheduled or ready holder
        the new payload, options and due time (counted anew, a new place in line), and the answer is the holder's
        change; a running holder is left alone and the new job becomes its successor, `waiting` until the holder
        finishes. While a successor waits it is the one that is replaced, whatever state its predecessor is in: the
        newest must run last.
        Two jobs of one key in a batch behave as if sent one after the other. A `key_until` in microseconds frees the
        key at that moment, even if its job is still unfinished, and not before, even if its job is gone,
        unless its successor takes it over.

        The id of a replacement is remembered: sent again (not `fresh`) it is answered by the state of what it has
        replaced, as long as that has its payload, then `KNOWN`. What the server does not take is `UNSTORABLE`.

        With `atomic`, a batch with a refused element stores nothing: raises `BackendRefused` naming its index. Where
        one transaction can't span the batch's queues: `InvalidOption`. `connection` is the caller's own, with a
        transaction open on it: the jobs are there if and only if it commits, and its errors come through. Backends
        without transactions of a caller raise `InvalidOption`.

        Rings sleepers (see `wait`) of the queues that got a ready or scheduled job.
        """
        ...

    async def fetch(self, ask: Ask, *, settle: Sequence[Ack | Return] = ()) -> Fetched:
        """Claim up to `ask.limit` ready jobs, and settle outcomes on the way.

        Most urgent first within a queue (priority, then the order of becoming ready); queues are served in turn, so
        that none starves. Due scheduled jobs count as ready. A job that has not begun yet and whose `expires` has
        passed is failed (`expired`) instead of claimed; once it was retried, or run again by a person, it has begun.
        Paused queues give nothing. Of jobs with `SUSPECT_AFTER` or more lapses at most `ask.suspects`
        are claimed (within the limit, before others of their queue), of those with `SOLITARY_AFTER` or more only one
        a queue may be out at any time.

        A claim sets attempt + 1, delivery = max(previous + 1, the server's clock in ms), starts the lease (the
        job's own, else `ask.lease`), notes the claimant, and frees a key held until ``started``. A limit of 0 only
        settles.
        """
        ...

    async def ack(self, acks: Sequence[Ack]) -> Changes:
        """End running jobs.

        In one step a job leaves running, its record is kept (the longest that applies: `KEEP_FOR_WAITERS` if somebody
        waits; else the job's own, the ack's, the backend's), its key and its successor are freed, waiters are told.
        """
        ...

    async def retry(self, returns: Sequence[Return]) -> Changes:
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

    async def unserved(self) -> Sequence[str]:
        """Queues that hold a job or a record and that no present process serves: somebody has to maintain them."""
        ...

    async def maintain(self, queues: Sequence[str]) -> Upkeep:
        """Move time on in these queues: promote due jobs, rescue lapsed leases, fail what has expired, prune.

        Any number of processes may call it at once; each call does a bounded amount of work. Rescue is one
        conditional step on (state, delivery, lease). A lapse: ready in its old place, attempt - 1, lapses + 1, noted
        in its history; cancelled if that was requested; failed `crashed` at `max_lapses`. From `SOLITARY_AFTER` on it
        hands out one such job a queue. What is past its time and belongs to no queue may be pruned, too.

        The server remembers the last tick of each queue. If the gap since then is longer than a third of a job's
        lease, nobody may have been able to renew it: it lasts for another half and `HEARD_WITHIN` from now on
        (see `model.spared_until`), once until its owner is heard again (heartbeat, or a new claim).
        """
        ...
