"""Arguments and options that several verbs share, and what their texts mean."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias
from uuid import UUID

import typer

from queuekit import times
from queuekit.backend import JobFilter
from queuekit.job import State
from queuekit.options import NAME

UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
NAME_THE_APP: Final = "Only an app knows which tasks there are: name it, say --app app:qk"
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")


def duration(text: str) -> float:
    """Seconds of ``90``, ``1.5h`` or ``2d``."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no duration; write seconds, or say 90s, 15m, 2h, 3d")
    value = float(found[1]) * UNITS[found[2] or "s"]
    if value * 1_000_000 > times.LONGEST:
        raise typer.BadParameter(f"{text!r} is too long: {times.LONGEST_DAYS:,} days are the most")
    return value


def moment(text: str) -> datetime:
    """A moment, as ``2h`` (so long ago) or in ISO 8601 (local time unless it names a zone)."""
    if _DURATION.fullmatch(text.strip()):
        return datetime.now(UTC) - timedelta(seconds=duration(text))
    try:
        found = datetime.fromisoformat(text).astimezone(UTC)
        times.moment(found)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no moment of the years {times.FIRST_YEAR} to {times.LAST_YEAR}; "
            "write say 2h (ago) or 2026-01-31T12:00"
        ) from None
    return found


def name(text: str) -> str:
    """The name of a queue, checked."""
    if not NAME.fullmatch(text):
        raise typer.BadParameter("1 to 128 letters, digits or one of _ . : / - are allowed")
    return text


App: TypeAlias = Annotated[
    str | None,
    typer.Argument(metavar="MODULE:ATTRIBUTE", help="The app, say app:qk. Default: the settings'."),
]
AppOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--app", metavar="MODULE:ATTRIBUTE", help="The app. Default: the settings'."),
]
Url: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The store. Default: the app's or the settings'."),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]

Ids: TypeAlias = Annotated[
    list[UUID] | None, typer.Argument(metavar="ID", help="Jobs, by id.", show_default=False)
]
QueueNames: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="QUEUE", parser=name, help="Queues, by name.")
]
Queues: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--queue", metavar="NAME", parser=name, help="In this queue (repeatable)."),
]
Tasks: TypeAlias = Annotated[
    list[str] | None, typer.Option("--task", metavar="NAME", help="Of this task (repeatable).")
]
States: TypeAlias = Annotated[
    list[State] | None, typer.Option("--state", metavar="STATE", help="In this state (repeatable).")
]
Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="With this tag (repeatable: all).")
]
Since: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--since", metavar="WHEN", parser=moment, help="Enqueued since: 2h (ago), 2026-01-31T12:00."
    ),
]
ErrorText: TypeAlias = Annotated[
    str | None, typer.Option("--error", metavar="TEXT", help="Whose last error contains this.")
]


def job_filter(
    queues: list[str] | None,
    tasks: list[str] | None,
    states: list[State] | None,
    tags: list[str] | None,
    since: datetime | None,
    error: str | None,
) -> JobFilter:
    """What the filter options say."""
    return JobFilter(
        queues=queues or (),
        tasks=tasks or (),
        states=states or (),
        tags=tags or (),
        since=since,
        error=error,
    )
