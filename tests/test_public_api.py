"""The public names are pinned: taking one away, or adding one unawares, is seen here."""

import queuekit

PUBLIC = {
    "Queuekit", "Task", "cron", "every", "exponential", "fixed", "Job", "Handle", "Context", "current",
    "Snooze", "Retry", "GiveUp", "Cancel", "State", "JobRef", "JobInfo", "JobFilter",
    "Failure",
    "QueuekitError", "InvalidOption", "ConfigurationError", "InvalidPayload", "PayloadTooLarge", "UnknownTask",
    "BackendUnavailable", "BackendRefused", "OutcomeUnknown", "QueueMoved", "JobNotFound", "JobFailed",
    "JobCancelled", "InvalidTransition", "LeaseLost",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(queuekit.__all__) == PUBLIC
    assert len(queuekit.__all__) == len(PUBLIC)


def test_every_public_name_exists_and_is_documented() -> None:
    for name in queuekit.__all__:
        assert getattr(queuekit, name).__doc__, name


def test_every_error_is_a_queuekit_error() -> None:
    errors = {name for name in PUBLIC if isinstance(getattr(queuekit, name), type)}
    errors = {name for name in errors if issubclass(getattr(queuekit, name), Exception)}
    assert all(issubclass(getattr(queuekit, name), queuekit.QueuekitError) for name in errors)
