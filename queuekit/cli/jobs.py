"""``queuekit jobs``: look at jobs and steer them, one or thousands."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from queuekit.app import Queuekit
from queuekit.backend import Change, JobFilter
from queuekit.cli import options
from queuekit.cli.errors import FAILED
from queuekit.cli.output import LONGEST_SHOWN, confirm, emit, progress, say, table, text
from queuekit.cli.store import open_store, run
from queuekit.failure import repr_of
from queuekit.inspect import PAGE, Steered
from queuekit.job import JobInfo, State

DESTRUCTIVE: Final = frozenset({"cancel", "delete"})
DONE: Final = {
    "retry": "retried",
    "cancel": "cancelled",
    "delete": "deleted",
    "promote": "promoted",
}
REFUSALS_SHOWN: Final = 20

verbs = typer.Typer(no_args_is_help=True, help="Look at jobs and steer them.")


def _looking(show: Callable[[Sequence[JobInfo]], None], summary: str) -> Callable[..., None]:
    def look(
        ids: options.Ids = None,
        queue: options.Queues = None,
        task: options.Tasks = None,
        state: options.States = None,
        tag: options.Tags = None,
        since: options.Since = None,
        error: options.ErrorText = None,
        limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
        app: options.AppOption = None,
        url: options.Url = None,
        as_json: options.Json = False,
    ) -> None:
        where = options.job_filter(queue, task, state, tag, since, error)
        if ids and where != JobFilter():
            raise typer.BadParameter("give ids or filters, not both")
        qk = open_store(app, url)
        found = run(qk, _find(qk, ids or (), where, limit))
        if as_json:
            for info in found:
                emit(info)
        else:
            show(found)

    look.__doc__ = summary
    return look


def _steering(verb: str, summary: str) -> Callable[..., None]:
    def steer(
        ids: options.Ids = None,
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
        where = options.job_filter(queue, task, state, tag, since, error)
        if bool(ids) == (where != JobFilter()):
            raise typer.BadParameter(
                f"which jobs? Give ids, or filters (say --state {_example(verb)})"
            )
        qk = open_store(app, url)
        chosen = list(dict.fromkeys(ids or run(qk, _matching(qk, verb, where))))
        if chosen and verb in DESTRUCTIVE:
            confirm(f"{verb} {_jobs(len(chosen))}", verb, yes=yes)
        _report(verb, run(qk, _steer(qk, verb, chosen, quiet=as_json)), as_json=as_json)

    steer.__doc__ = summary
    return steer


def _list(found: Sequence[JobInfo]) -> None:
    columns = ["id", "task", "queue", "state", "attempt", "enqueued", "finished", "error"]
    rows = [
        (
            job.id,
            job.task,
            job.queue,
            _state(job),
            f"{job.attempt}/{job.max_attempts}",
            job.enqueued_at,
            job.finished_at,
            f"{job.errors[-1].type}: {job.errors[-1].message}"[:100] if job.errors else None,
        )
        for job in found
    ]
    if rows:
        table(columns, rows)
    else:
        say("no such jobs")


def _show(found: Sequence[JobInfo]) -> None:
    for job in found:
        for name, value in _fields(job).items():
            if value is not None and value != "":
                say(f"{name:10} {value}")
        for error in job.errors:
            say(
                f"{'error':10} attempt {error.attempt}, {text(error.at)}: {error.type}: {error.message}"
            )
        if job.errors:
            say(job.errors[-1].traceback.rstrip())
        for line in job.logs:
            say(f"{'log':10} {line}")
        say("")
    if not found:
        say("no such jobs")


def _fields(job: JobInfo) -> dict[str, Any]:
    return {
        "id": job.id,
        "task": job.task,
        "queue": job.queue,
        "arguments": _call(job.arguments),
        "state": _state(job),
        "attempt": f"{job.attempt} of {job.max_attempts}",
        "lapses": job.lapses or None,
        "crashes": job.crashes or None,
        "priority": job.priority or None,
        "key": job.key,
        "tags": text(job.tags),
        "meta": dict(job.meta) if job.meta else None,
        "enqueued": text(job.enqueued_at),
        "scheduled": text(job.scheduled_at),
        "started": text(job.started_at),
        "finished": text(job.finished_at),
        "progress": job.progress,
        "result": repr_of(job.result, LONGEST_SHOWN) if job.state is State.SUCCEEDED else None,
    }


def _call(arguments: Mapping[str, Any]) -> str:
    """As they are written in a call."""
    return ", ".join(_argument(*argument) for argument in arguments.items())


def _argument(name: str, value: Any) -> str:
    stars, shown = "*" * name.count("*"), repr_of(value, LONGEST_SHOWN)
    return f"{stars}{shown}" if stars else f"{name}={shown}"


def _state(job: JobInfo) -> str:
    return f"{job.state} ({job.reason})" if job.reason else job.state


verbs.command("list")(_looking(_list, "List jobs, the newest first within each queue."))
verbs.command("show")(_looking(_show, "Show all that is known of jobs."))
verbs.command("retry")(
    _steering("retry", "Run failed and cancelled jobs again, with all attempts.")
)
verbs.command("cancel")(_steering("cancel", "Cancel jobs; running ones are interrupted."))
verbs.command("delete")(_steering("delete", "Remove jobs that are not running, and their records."))
verbs.command("promote")(_steering("promote", "Make scheduled jobs ready now."))


async def _find(
    qk: Queuekit, ids: Sequence[UUID], where: JobFilter, limit: int
) -> Sequence[JobInfo]:
    if ids:
        return [await qk.inspect.show(one) for one in ids]
    return await qk.inspect.list(where, limit=limit)


async def _matching(qk: Queuekit, verb: str, where: JobFilter) -> list[UUID]:
    found = [job async for page in qk.inspect.pages(verb, where) for job in page]
    if not found:
        await qk.inspect.refuse_unknown(where, without_tasks=True)
    return found


async def _steer(qk: Queuekit, verb: str, ids: Sequence[UUID], *, quiet: bool) -> Steered:
    act: Callable[[Sequence[UUID]], Awaitable[Steered]] = getattr(qk.inspect, verb)
    done, refused = 0, dict[UUID, Change]()
    with progress(verb, len(ids), quiet=quiet) as advance:
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            steered = await act(page)
            done += steered.done
            refused |= steered.refused
            advance(len(page))
    return Steered(done, refused)


def _report(verb: str, steered: Steered, *, as_json: bool) -> None:
    refusals = [(one, *_why(change)) for one, change in steered.refused.items()]
    if as_json:
        refused = [{"id": one, "state": state, "why": why} for one, state, why in refusals]
        emit({"done": steered.done, "refused": refused})
    else:
        say(
            f"{_jobs(steered.done)} {DONE[verb]}"
            + (f", {len(refusals):,} refused" if refusals else "")
        )
        if refusals:
            table(["id", "state", "why not"], refusals[:REFUSALS_SHOWN])
    if refusals:
        raise typer.Exit(FAILED)


def _why(change: Change) -> tuple[State | None, str]:
    if change.state is None:
        return None, "no such job"
    return change.state, change.why or f"it is {change.state}"


def _example(verb: str) -> str:
    return {"promote": "scheduled", "cancel": "ready"}.get(verb, "failed")


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"
