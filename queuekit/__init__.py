"""A typed task queue whose storage (Redis, Postgres, SQLite) is a setting."""

from queuekit.app import Queuekit
from queuekit.backend import JobFilter
from queuekit.context import Cancel, Context, GiveUp, Retry, Snooze, current
from queuekit.errors import (
    BackendRefused,
    BackendUnavailable,
    ConfigurationError,
    InvalidOption,
    InvalidPayload,
    InvalidTransition,
    JobCancelled,
    JobFailed,
    JobNotFound,
    LeaseLost,
    OutcomeUnknown,
    PayloadTooLarge,
    QueuekitError,
    QueueMoved,
    UnknownTask,
)
from queuekit.handle import Handle
from queuekit.job import Failure, Job, JobInfo, JobRef, State
from queuekit.recurrence import cron, every
from queuekit.retry import exponential, fixed
from queuekit.task import Task

# Grouped as people meet them: defining, running, looking, errors.
__all__ = [  # noqa: RUF022
    "Queuekit",
    "Task",
    "cron",
    "every",
    "exponential",
    "fixed",
    "Job",
    "Handle",
    "Context",
    "current",
    "Snooze",
    "Retry",
    "GiveUp",
    "Cancel",
    "State",
    "JobRef",
    "JobInfo",
    "JobFilter",
    "Failure",
    "QueuekitError",
    "InvalidOption",
    "ConfigurationError",
    "InvalidPayload",
    "PayloadTooLarge",
    "UnknownTask",
    "BackendUnavailable",
    "BackendRefused",
    "OutcomeUnknown",
    "QueueMoved",
    "JobNotFound",
    "JobFailed",
    "JobCancelled",
    "InvalidTransition",
    "LeaseLost",
]
