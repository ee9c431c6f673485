"""What verbs print: tables for people, JSON for programs, progress and questions on stderr."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import typer

from queuekit.errors import QueuekitError
from queuekit.failure import repr_of

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_SHOWN: Final = 10_000
"""Characters of one value of a task's own type."""
LEVELS: Final = 3
"""A job's fields, a list of errors, a field of one."""
WIDE: Final = 250
"""Columns where no terminal sets a limit: enough for a table not to be cut."""


class NotConfirmed(QueuekitError):
    """Somebody was asked and did not agree."""


def emit(value: Any) -> None:
    """One JSON document, on a line of its own."""
    typer.echo(_json(_fit(value)).decode())


def _json(value: Any) -> bytes:
    from pydantic_core import to_json

    return to_json(value, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=True)


def _fit(value: Any, levels: int = LEVELS) -> Any:
    """The value with a text for each part that JSON can't hold, if that is not too far inside."""
    try:
        # As deep as it will be, because depth is bounded, too.
        _json([[[[value]]]])
    except Exception:  # noqa: BLE001  # a value of a task's own type may raise anything
        return _taken_apart(value, levels)
    return value


def _taken_apart(value: Any, levels: int) -> Any:
    match value:
        case dict() if levels:
            return {printable(str(name)): _fit(part, levels - 1) for name, part in value.items()}
        case list() | tuple() if levels:
            return [_fit(part, levels - 1) for part in value]
        case _ if levels and is_dataclass(value):
            return {one.name: _fit(getattr(value, one.name), levels - 1) for one in fields(value)}
        case _:
            return repr_of(value, LONGEST_SHOWN)


def say(text: str) -> None:
    """A line for people."""
    typer.echo(printable(text))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for people; columns of numbers are set to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        numeric = all(isinstance(value, int) or value is None for value in values)
        made.add_column(column, justify="right" if numeric else "left", no_wrap=column == "id")
    for row in rows:
        made.add_row(*(Text(text(value)) for value in row))
    console().print(made)


def text(value: object) -> str:
    """A value as people read it."""
    match value:
        case None:
            return ""
        case datetime():
            return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
        case list() | tuple():
            return ", ".join(text(item) for item in value)
        case _:
            return printable(str(value))


def printable(string: str) -> str:
    """Without characters that a terminal would obey: what jobs say is not to be trusted."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in string)


def confirm(act: str, word: str, *, yes: bool) -> None:
    """Ask before something that can't be undone.

    Args:
        act: what would be done, such as ``delete 12 jobs``.
        word: to be typed in agreement.
        yes: the answer is known.

    Raises:
        NotConfirmed: the answer is no, or nobody is there to give it.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"This would {act}. Add --yes if that is meant.")
    typer.echo(f"This will {printable(act)}. Type {word!r} to go on: ", nl=False, err=True)
    if sys.stdin.readline().strip() != word:
        raise NotConfirmed("Nothing was changed.")


@contextmanager
def progress(what: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, if somebody sees it; call what it gives with the size of each step."""
    from rich.progress import Progress

    hidden = quiet or not sys.stderr.isatty()
    with Progress(console=console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def console(*, stderr: bool = False) -> "Console":
    """Where people look, as the streams are now."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False)
