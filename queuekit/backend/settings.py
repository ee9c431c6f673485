"""What all backends go by: the numbers of the contract, and what each may be told besides its URL."""

from dataclasses import dataclass, field
from typing import Final

from queuekit.job import Keep, Micros

PROTOCOL: Final = 2
"""The number of this contract; registered by every process for rolling upgrades."""

KEEP_SUCCEEDED: Final = Keep(age=3_600_000_000, count=10_000)
KEEP_FAILED: Final = Keep(age=14 * 86_400_000_000)
REMEMBER_IDS: Final[Micros] = 120_000_000
"""How long at least the id of a finished job stays known, whatever its retention."""
KEEP_FOR_WAITERS: Final[Micros] = 60_000_000
"""How long at least a record stays when somebody waits for the job's end; no count cuts it before."""
HEARD_WITHIN: Final[Micros] = 1_500_000
"""After an outage an owner of jobs has so long, and half a lease, to be heard again."""
UNKNOWN_TASK_PATIENCE: Final[Micros] = 24 * 3_600_000_000
NOTES_KEPT: Final = 50
"""Errors of a job, and other events in its history: the last ones."""
LOGS_KEPT: Final = 100


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
