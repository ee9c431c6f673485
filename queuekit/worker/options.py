"""Options of a worker, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from queuekit.config import Duration, Lease, Settings
from queuekit.errors import InvalidOption
from queuekit.failure import repr_of
from queuekit.options import NAME, Seconds

FROM_SETTINGS: Final = ("concurrency", "threads", "children", "lease", "grace")


def _named(queue: str) -> str:
    if not NAME.fullmatch(queue):
        raise ValueError("1 to 128 letters, digits or one of _ . : / - are allowed")
    return queue


_Queue = Annotated[str, AfterValidator(_named)]
_Count = Annotated[int, Field(ge=1, strict=True)]


class WorkerKeywords(TypedDict, total=False):
    """What `Queuekit.run_worker` and `Queuekit.worker` take besides queues; None: as the settings say.

    The attributes are those of `WorkerOptions`.
    """

    concurrency: int | None
    threads: int | None
    children: int | None
    lease: Seconds | None
    grace: Seconds | None
    burst: bool
    signals: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How to run a worker.

    Attributes:
        queues: to serve; None: those of the app's tasks.
        concurrency: jobs at once.
        threads: of those, how many in threads.
        children: child processes for ``executor="process"`` and suspects.
        lease: seconds (or a timedelta) after which a worker that was not heard of counts as dead.
        grace: seconds (or a timedelta) that running jobs get to finish when the worker stops.
        burst: stop when there is nothing to run.
        signals: stop by SIGTERM and SIGINT; a second one stops at once.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    queues: Sequence[_Queue] | None = None
    concurrency: _Count = 50
    threads: _Count = 16
    children: _Count = 2
    lease: Lease = 30.0
    grace: Duration = 30.0
    burst: bool = False
    signals: bool = True

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Self:
        """From settings, with options (None: as the settings say) laid over them. Raises `InvalidOption`."""
        given = {name: value for name, value in options.items() if value is not None}
        defaults = {name: getattr(settings, name) for name in FROM_SETTINGS}
        try:
            return TypeAdapter(cls).validate_python({**defaults, **given})
        except ValidationError as error:
            known = ", ".join(cls.__dataclass_fields__)
            lines = [
                f"{detail['loc'][0]}={repr_of(detail['input'])}: {detail['msg'].removeprefix('Value error, ')}"
                if detail["type"] != "unexpected_keyword_argument"
                else f"{detail['loc'][0]} is no option; known are {known}"
                for detail in error.errors(include_url=False, include_context=False)
            ]
            raise InvalidOption(f"worker: {'; '.join(dict.fromkeys(lines))}") from None
