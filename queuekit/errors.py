"""Everything queuekit raises on purpose.

    QueuekitError
    ├── InvalidOption            an option is misspelt, impossible, or contradicts another
    ├── ConfigurationError       a setting, a URL or a server's schema is wrong
    ├── InvalidPayload           an argument does not fit the task's signature, or can't be stored
    │   └── PayloadTooLarge
    ├── UnknownTask              no task of that name is registered
    ├── BackendUnavailable       the server can't be reached; nothing was stored
    │   └── ReplyLost            the request went out and no answer came back
    ├── BackendRefused           the server answered with an error: full, read-only, no permission
    ├── OutcomeUnknown           an enqueue may or may not have been stored
    ├── QueueMoved               the queue has a new home
    ├── JobNotFound              no such job, or its record is gone
    ├── JobFailed                the awaited job failed for good
    ├── JobCancelled             the awaited job was cancelled
    ├── InvalidTransition        the job's state does not allow that
    └── LeaseLost                another worker may be running this job

Every message says what to do about it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from queuekit.job import Failure, State


class QueuekitError(Exception):
    """The root of all errors that queuekit raises on purpose."""


class InvalidOption(QueuekitError, ValueError):
    """An option is misspelt, impossible, or contradicts another one."""


class ConfigurationError(QueuekitError):
    """A setting, a URL or a server's schema is wrong."""


class InvalidPayload(QueuekitError, ValueError):
    """An argument does not fit the task's signature, or can't be stored as JSON."""


class PayloadTooLarge(InvalidPayload):
    """The payload is over the limit (`max_payload`, 1 MB by default)."""


class UnknownTask(QueuekitError, LookupError):
    """No task of that name is registered with this app."""


class BackendUnavailable(QueuekitError, ConnectionError):
    """The server can't be reached. The request was not sent, so nothing was stored."""


class ReplyLost(BackendUnavailable):
    """The request went out and no answer came back: it may have been carried out or not."""


class BackendRefused(QueuekitError):
    """The server answered with an error: it is full, read-only, or denies a permission."""


class StoreGone(BackendRefused):
    """What was opened is there no more, and never will be: a worker ends with it, as only a new start can help."""


class OutcomeUnknown(QueuekitError):
    """An enqueue may or may not have been stored.

    Attributes:
        job_id: the id that was sent; the same id may be sent again.
        resend_until: the last moment (UTC) for that; afterwards it could run a second time.
    """

    def __init__(self, job_id: UUID, resend_until: datetime) -> None:
        super().__init__(
            f"The server did not answer whether job {job_id} was stored. "
            f"Enqueue again with id={job_id} before {resend_until:%H:%M:%S} UTC to be sure of one run."
        )
        self.job_id = job_id
        self.resend_until = resend_until


class QueueMoved(QueuekitError):
    """The queue has a new home.

    Attributes:
        home: what is known of the new home (never a password).
    """

    def __init__(self, queue: str, home: str) -> None:
        super().__init__(
            f"Queue {queue!r} has moved to {home}. Set QUEUEKIT_URL to it and restart."
        )
        self.home = home


class JobNotFound(QueuekitError, LookupError):
    """There is no such job, or its record is past its retention."""

    @classmethod
    def named(cls, job: object) -> "JobNotFound":
        """That of a job, by its id or `JobRef`."""
        return cls(f"No job {job}: it never was, or its record is past its retention (option keep)")


class JobFailed(QueuekitError):
    """The awaited job failed for good.

    Attributes:
        reason: why, such as ``exhausted`` or ``crashed``.
        errors: one `Failure` per failed attempt, oldest first.
    """

    def __init__(self, job_id: UUID, reason: str, errors: "Sequence[Failure]") -> None:
        last = f": {errors[-1].type}: {errors[-1].message}" if errors else ""
        super().__init__(f"Job {job_id} failed ({reason}){last}")
        self.reason = reason
        self.errors = tuple(errors)


class JobCancelled(QueuekitError):
    """The awaited job was cancelled."""


class InvalidTransition(QueuekitError):
    """The job's state does not allow that.

    Attributes:
        state: the state that was found.
    """

    def __init__(self, job_id: UUID, verb: str, state: "State", hint: str = "") -> None:
        super().__init__(f"Can't {verb} job {job_id}: it is {state}.{' ' + hint if hint else ''}")
        self.state = state


class LeaseLost(QueuekitError):
    """This run's lease is over: another worker may be running the job, so it can report nothing."""
