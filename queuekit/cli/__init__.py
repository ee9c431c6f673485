"""The command line: ``queuekit``, or ``python -m queuekit``."""

from importlib.metadata import version
from typing import Annotated

import typer

from queuekit.cli import demo, enqueue, jobs, queues, schedules, schema, worker
from queuekit.cli.errors import Verbs

app = typer.Typer(
    name="queuekit",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help needs no rich, so that it is there at once.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("queuekit"))
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """A typed task queue whose storage (Redis, Postgres, SQLite) is a setting.

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage.
    """


app.command("worker")(worker.worker)
app.command("enqueue")(enqueue.enqueue)
app.add_typer(jobs.verbs, name="jobs")
app.add_typer(queues.verbs, name="queues")
app.add_typer(schedules.verbs, name="schedules")
app.add_typer(schema.verbs, name="schema")
app.command("demo")(demo.demo)


def main() -> None:
    """Run the command line of this process."""
    app()


__all__ = ["app", "main"]
