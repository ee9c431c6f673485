"""``queuekit queues``: look at queues and steer them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from queuekit.app import Queuekit
from queuekit.backend import JobFilter
from queuekit.cli import options
from queuekit.cli.jobs import steer_all
from queuekit.cli.output import confirm, emit, say, table, text
from queuekit.cli.store import open_store, run
from queuekit.job import JobRef, State
from queuekit.lifecycle import Event

verbs = typer.Typer(no_args_is_help=True, help="Look at queues and steer them.")


@verbs.command("list")
def list_queues(
    app: options.AppOption = None, url: options.Url = None, as_json: options.Json = False
) -> None:
    """List queues, with the number of their jobs by state."""
    qk = open_store(app, url)
    found = run(qk, qk.inspect.queues())
    if as_json:
        for queue in found:
            emit(queue)
    elif found:
        states = [state for state in State if any(state in queue.counts for queue in found)]
        rows = [
            (
                queue.name,
                "paused" if queue.paused else "",
                *(queue.counts.get(state, 0) for state in states),
            )
            for queue in found
        ]
        table(["queue", "", *states], rows)
    else:
        say("no queues yet; a queue is made by its first job")


@verbs.command()
def pause(
    queues: options.QueueNames,
    create: Annotated[
        bool, typer.Option("--create", help="Also queues that have no job yet.")
    ] = False,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Let no job of these queues start until `resume`; those that run go on."""
    qk = open_store(app, url)
    run(qk, qk.inspect.pause(*queues, create=create))
    _say_done("paused", queues, as_json=as_json)


@verbs.command()
def resume(
    queues: options.QueueNames,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Let their jobs start again."""
    qk = open_store(app, url)
    run(qk, qk.inspect.resume(*queues))
    _say_done("resumed", queues, as_json=as_json)


@verbs.command()
def drain(
    queues: options.QueueNames,
    app: options.AppOption = None,
    url: options.Url = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Cancel all scheduled and ready jobs of queues."""
    qk = open_store(app, url)
    refs = run(qk, _drainable(qk, queues))
    confirm(f"cancel {len(refs):,} jobs of {', '.join(queues)}", "drain", yes=yes)
    steered = run(qk, steer_all(qk, Event.DRAIN, refs, quiet=as_json))
    _say_count("cancelled", steered.done, as_json=as_json)


@verbs.command()
def clean(
    queue: options.Queues = None,
    task: options.Tasks = None,
    state: options.States = None,
    tag: options.Tags = None,
    since: options.Since = None,
    error: options.ErrorText = None,
    app: options.AppOption = None,
    url: options.Url = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Remove the records of finished jobs."""
    where = options.job_filter(queue, task, state, tag, since, error)
    if where == JobFilter():
        raise typer.BadParameter("which records? Give filters (say --state succeeded)")
    qk = open_store(app, url)
    confirm(f"remove the records of these finished jobs: {_words(where)}", "clean", yes=yes)
    refs = run(qk, _cleanable(qk, where))
    steered = run(qk, steer_all(qk, Event.CLEAN, refs, quiet=as_json))
    _say_count("removed", steered.done, as_json=as_json)


async def _drainable(qk: Queuekit, queues: Sequence[str]) -> Sequence[JobRef]:
    await qk.inspect.refuse_unknown_queues(queues)
    return await qk.inspect.matching(Event.DRAIN, JobFilter(queues=queues))


async def _cleanable(qk: Queuekit, where: JobFilter) -> Sequence[JobRef]:
    found = await qk.inspect.matching(Event.CLEAN, where)
    if not found:
        await qk.inspect.refuse_unknown(where, without_tasks=options.NAME_THE_APP)
    return found


def _words(where: JobFilter) -> str:
    given = {name: getattr(where, name) for name in ("queues", "tasks", "states", "tags", "error")}
    return ", ".join(f"{name} {text(value)}" for name, value in given.items() if value)


def _say_done(done: str, queues: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        emit({done: queues})
    else:
        say(f"{done}: {', '.join(queues)}")


def _say_count(what: str, count: int, *, as_json: bool) -> None:
    if as_json:
        emit({"done": count})
    else:
        say(f"{count:,} jobs {what}")
