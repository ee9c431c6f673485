"""What queuekit logs, and how: structlog, with the running job's fields on every line."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from queuekit.context import current_run

log: Any = structlog.get_logger("queuekit")


def job_fields(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: adds ``job_id``, ``task``, ``queue`` and ``attempt`` inside a running task."""
    run = current_run.get(None)
    if run is not None:
        claim = run.claim
        event.setdefault("job_id", str(claim.token.id))
        event.setdefault("task", claim.task)
        event.setdefault("queue", claim.token.queue)
        event.setdefault("attempt", claim.attempt)
    return event


def configure(level: str = "info") -> None:
    """Set up structlog for the command line: to stderr, coloured for people, JSON lines for programs."""
    people = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            job_fields,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
