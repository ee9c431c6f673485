"""``queuekit worker``: run jobs, in this process or in several under a supervisor."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from queuekit.cli import options
from queuekit.cli.store import open_app


class LogLevel(StrEnum):
    """From which level on lines are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def worker(
    app: options.App = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            metavar="NAME",
            parser=options.name,
            help="Serve this queue (repeatable). Default: those of the app's tasks.",
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once in a process.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of those, how many in threads.")
    ] = None,
    processes: Annotated[
        str, typer.Option(metavar="N|cpus", help="So many processes, under a supervisor.")
    ] = "1",
    burst: Annotated[bool, typer.Option("--burst", help="Run what there is and end.")] = False,
    grace: Annotated[
        float | None,
        typer.Option(
            parser=options.duration,
            metavar="DURATION",
            help="For running jobs when the worker stops.",
        ),
    ] = None,
    lease: Annotated[
        float | None,
        typer.Option(
            parser=options.duration,
            metavar="DURATION",
            help="After which a silent worker counts as dead.",
        ),
    ] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="Default: info.")] = None,
    url: options.Url = None,
    as_json: options.Json = False,
    supervised: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run jobs until SIGTERM or Ctrl-C; running ones then get their grace period, by a second signal none."""
    count = _count(processes)
    qk = open_app(app, url)
    # Not sooner, as what only workers need would slow down all verbs.
    from queuekit.app import worker_of
    from queuekit.cli.process import run, supervise
    from queuekit.log import configure
    from queuekit.worker.options import WorkerOptions

    chosen = WorkerOptions.of(
        qk.settings,
        queues=queue,
        concurrency=concurrency,
        threads=threads,
        burst=burst,
        grace=grace,
        lease=lease,
        signals=supervised is None,
    )
    made = worker_of(qk, chosen)
    configure(log_level or qk.settings.log_level)
    if count > 1:
        raise typer.Exit(supervise(qk, count, grace=chosen.grace, burst=burst))
    run(qk, made, control=supervised, announced=as_json)


def _count(text: str) -> int:
    if text == "cpus":
        usable = getattr(os, "sched_getaffinity", None)
        return len(usable(0)) if usable else os.cpu_count() or 1
    if not text.isdecimal() or not int(text):
        raise typer.BadParameter(f"--processes {text}: pass a number from 1 on, or cpus")
    return int(text)
