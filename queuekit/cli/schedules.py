"""``queuekit schedules``: look at recurring work and steer it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import typer

from queuekit.app import Queuekit
from queuekit.cli import options
from queuekit.cli.output import confirm, emit, say, table
from queuekit.cli.store import open_store, run
from queuekit.recurrence import zone_data
from queuekit.schedules import LastTick, ScheduleInfo

SHOWN: Final = 5
"""Ticks to come."""

Names: TypeAlias = Annotated[list[str], typer.Argument(metavar="NAME", help="Schedules, by name.")]
Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="A schedule, by name.")]

verbs = typer.Typer(no_args_is_help=True, help="Look at recurring work and steer it.")


@verbs.command("list")
def list_schedules(
    queue: options.Queues = None,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """List schedules, with their next and their last tick."""
    qk = open_store(app, url)
    found = run(qk, qk.schedules.list(queue))
    if as_json:
        for one in found:
            emit(one)
    elif found:
        columns = ["name", "when", "timezone", "task", "queue", "next", "", "last", "became"]
        table(columns, [_row(one) for one in found])
    else:
        say("no schedules; they are stored when a worker of their app starts")


@verbs.command()
def show(
    name: Name,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show a schedule: its next ticks, in its time zone and in UTC, and what became of the last ones."""
    qk = open_store(app, url)
    info, coming, ticks, differs = run(qk, _all_of(qk, name))
    if as_json:
        emit({"schedule": info, "upcoming": coming, "ticks": ticks, "differs": differs})
        return
    say(f"{info.name}: {info.when} ({info.timezone}), task {info.task}, queue {info.queue}")
    if info.paused:
        say("paused: no tick fires until it is resumed")
    if differs:
        say(f"{differs} Here they are {zone_data() or 'of an unknown version'}.")
    if coming:
        table([info.timezone, "UTC"], [(_shown(at), _shown(at.astimezone(UTC))) for at in coming])
    else:
        say("finished: it has no more ticks")
    if ticks:
        table(["last ticks", "job", "became"], [(one.tick, one.job, _state(one)) for one in ticks])


@verbs.command()
def pause(
    names: Names,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Let no tick of these fire until `resume`."""
    qk = open_store(app, url)
    run(qk, qk.schedules.pause(*names))
    _say_done("paused", names, as_json=as_json)


@verbs.command()
def resume(
    names: Names,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Let their ticks fire again."""
    qk = open_store(app, url)
    run(qk, qk.schedules.resume(*names))
    _say_done("resumed", names, as_json=as_json)


@verbs.command("run")
def run_now(
    name: Name,
    app: options.AppOption = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Enqueue a job as a tick makes it, now; the schedule goes on as before."""
    qk = open_store(app, url)
    handle = run(qk, qk.schedules.run(name))
    if as_json:
        emit({"id": handle.id})
    else:
        say(str(handle.id))


@verbs.command()
def delete(
    names: Names,
    app: options.AppOption = None,
    url: options.Url = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Remove schedules; the jobs of their ticks stay."""
    qk = open_store(app, url)
    run(qk, _all_there(qk, names))
    confirm(f"delete {len(names)} schedules: {', '.join(names)}", "delete", yes=yes)
    run(qk, qk.schedules.delete(*names))
    _say_done("deleted", names, as_json=as_json)


async def _all_of(
    qk: Queuekit, name: str
) -> tuple[ScheduleInfo, Sequence[datetime], Sequence[LastTick], str]:
    return (
        await qk.schedules.get(name),
        await qk.schedules.upcoming(name, SHOWN),
        await qk.schedules.ticks(name),
        await qk.schedules.difference(name),
    )


async def _all_there(qk: Queuekit, names: Sequence[str]) -> None:
    for name in names:
        await qk.schedules.get(name)


def _row(one: ScheduleInfo) -> Sequence[object]:
    last = one.last
    return (
        *(one.name, one.when, one.timezone, one.task, one.queue, one.next_at),
        "paused" if one.paused else "" if one.next_at else "finished",
        *((last.tick, _state(last)) if last else ("", "")),
    )


def _state(one: LastTick) -> str:
    return one.state or ("gone" if one.job else "left out")


def _shown(at: datetime) -> str:
    return f"{at:%a %Y-%m-%d %H:%M:%S%z}"


def _say_done(done: str, names: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        emit({done: names})
    else:
        say(f"{done}: {', '.join(names)}")
