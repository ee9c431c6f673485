"""Errors as people see them: one line on stderr and an exit code, never a traceback of ours."""

import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from queuekit.errors import QueuekitError

FAILED = 1
INTERRUPTED = 130


class Verbs(TyperGroup):
    """The root of all verbs: turns what they raise into a line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen verb."""
        try:
            return super().invoke(ctx)
        except QueuekitError as error:
            complain(error)
        except ExceptionGroup as group:
            ours, others = group.split(QueuekitError)
            if ours is None or others is not None:
                raise
            for leaf in _leaves(ours):
                complain(leaf)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        raise typer.Exit(FAILED)


def complain(error: Exception) -> None:
    """Say what went wrong, in one line."""
    sys.stdout.flush()
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)


def _leaves(group: ExceptionGroup[Any]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
