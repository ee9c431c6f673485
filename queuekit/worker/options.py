"""How to run a worker: its options, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from queuekit.config import Settings
from queuekit.errors import InvalidOption
from queuekit.options import NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How to run a worker.

    Attributes:
        queues: to serve; None: those of the app's tasks.
        concurrency: jobs at once.
        threads: of those, how many in threads.
        children: child processes for ``executor="process"`` and suspects.
        lease: seconds after which a worker that was not heard of counts as dead.
        grace: seconds that running jobs get to finish when the worker stops.
        burst: stop when there is nothing to run.
        signals: stop by SIGTERM and SIGINT; a second one stops at once.
    """

    queues: Sequence[str] | None = None
    concurrency: int = 50
    threads: int = 16
    children: int = 2
    lease: float = 30.0
    grace: float = 30.0
    burst: bool = False
    signals: bool = True

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """From settings, with options (None: as the settings say) laid over them. Raises `InvalidOption`."""
        names = ("concurrency", "threads", "children", "lease", "grace")
        defaults = cls(**{name: getattr(settings, name) for name in names})
        try:
            made = replace(
                defaults, **{name: value for name, value in options.items() if value is not None}
            )
        except TypeError:
            known = ", ".join(cls.__dataclass_fields__)
            raise InvalidOption(
                f"A worker's options are {known}; got {', '.join(options)}"
            ) from None
        if (
            made.concurrency < 1
            or made.threads < 1
            or made.children < 1
            or made.lease < 0.05
            or made.grace < 0
        ):
            raise InvalidOption(
                "concurrency, threads and children must be >= 1, lease >= 0.05 s and grace >= 0 s"
            )
        for queue in made.queues or ():
            if not NAME.fullmatch(queue):
                raise InvalidOption(
                    f"queue {queue!r}: 1 to 128 letters, digits or one of _ . : / - are allowed"
                )
        return made
