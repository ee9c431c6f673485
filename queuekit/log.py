"""What queuekit logs, and where: as the program has configured structlog or logging, with the running job's fields."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from inspect import iscoroutinefunction
from time import monotonic
from typing import Any, Final

from queuekit.context import current_run

NAME: Final = "queuekit"
_level: str | None = None


class Log:
    """Logs an event with fields: by structlog where the program has configured that, else by `logging`.

    So nothing comes out where nobody asked for it, but for warnings and errors on stderr, as is usual in Python.
    structlog without a configuration would print to stdout, which is the program's own.
    """

    def debug(self, event: str, **fields: Any) -> None:
        """What only developers of queuekit want to know."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """What goes as it should."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What somebody should know of, and goes on by itself."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """What somebody should look after."""
        self._log("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        """What ends the process."""
        self._log("critical", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error, with the exception that is being handled."""
        self._log("error", event, {"exc_info": True, **fields})

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        try:
            structlog = sys.modules.get(
                "structlog"
            )  # nobody has configured what nobody has imported
            if structlog is not None and structlog.is_configured():
                getattr(_by_structlog(structlog, level), level)(event, **fields)
            else:
                _by_logging(logging.getLevelNamesMapping()[level.upper()], event, fields)
        except Exception:  # noqa: BLE001  # a processor or handler of the program's own that fails must end no worker
            with suppress(Exception):  # nor one whose stderr is gone
                traceback.print_exc()


def _by_structlog(structlog: Any, level: str) -> Any:
    config = structlog.get_config()
    if not iscoroutinefunction(getattr(config["wrapper_class"], level, None)):
        return structlog.get_logger(NAME)
    # as of AsyncBoundLogger: nobody could await the line, and in a thread there is no such logger
    return structlog.wrap_logger(
        config["logger_factory"](NAME), wrapper_class=structlog.stdlib.BoundLogger
    )


def _by_logging(level: int, event: str, fields: dict[str, Any]) -> None:
    logger = logging.getLogger(NAME)
    if logger.isEnabledFor(level):
        raised = fields.pop("exc_info", None)
        logger.log(level, "%s", _text(event, fields), exc_info=raised, extra={NAME: fields})


class Repeated:
    """An error that may repeat endlessly: logged when it comes, then counted, and told again once a minute.

    Args:
        event: what the log says.
    """

    EVERY: Final = 60.0

    def __init__(self, event: str) -> None:
        self._event = event
        self._error = ""
        self._count = 0
        self._told_at = 0.0

    def happened(self, error: Exception) -> None:
        """It happened."""
        text, now = str(error), monotonic()
        if text != self._error:
            self._error, self._count = text, 0
        self._count += 1
        if self._count == 1 or now - self._told_at >= self.EVERY:
            self._told_at = now
            times = {} if self._count == 1 else {"times": self._count}
            log.error(self._event, error=text, **times)

    def over(self) -> None:
        """All is well again."""
        self._error = ""


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
    """Set up logging for a process of queuekit's own, to stderr: coloured for people, JSON lines for programs.

    Nothing changes where the program that was loaded has configured structlog or `logging` itself.
    """
    global _level  # noqa: PLW0603  # a fact about this process
    import structlog

    _level = level
    if structlog.is_configured() or logging.getLogger().handlers:
        return
    people = sys.stderr.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    )
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        job_fields,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*common, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=number, handlers=[handler])


def level() -> str | None:
    """The level for which `configure` was called, so that child processes can do likewise; None: it was not."""
    return _level


def _text(event: str, fields: dict[str, Any]) -> str:
    trace = fields.get("exception")
    words = [f"{name}={value!r}" for name, value in fields.items() if name != "exception"]
    line = " ".join([event, *words])
    return f"{line}\n{trace}" if trace else line


log: Final = Log()
