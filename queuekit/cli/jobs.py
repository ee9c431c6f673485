"""``queuekit jobs``: look at jobs and steer them, one or thousands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from queuekit.app import Queuekit
from queuekit.backend import Change, JobFilter, Refusal
from queuekit.cli import options
from queuekit.cli.errors import FAILED
from queuekit.cli.output import LONGEST_SHOWN, confirm, emit, progress, say, table, text
from queuekit.cli.store import open_store, run
from queuekit.failure import repr_of
from queuekit.inspect import PORTION, Steered, verb_of
from queuekit.job import JobInfo, JobRef, State
from queuekit.lifecycle import Event

DESTRUCTIVE: Final = frozenset({Event.CANCEL, Event.DELETE})
DONE: Final = {
    Event.RERUN: "retried",
    Event.CANCEL: "cancelled",
    Event.DELETE: "deleted",
    Event.PROMOTE: "promoted",
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
        if ids and not _narrows_ids(where):
            raise typer.BadParameter(
                "give ids (and --queue, if another queue has a job of that id), or filters"
            )
        qk = open_store(app, url)
        found = run(qk, _find(qk, ids or (), where, limit))
        if as_json:
            for info in found:
                emit(info)
        else:
            show(found)

    look.__doc__ = summary
    return look


def _steering(event: Event, summary: str) -> Callable[..., None]:
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
        if not (_narrows_ids(where) if ids else where != JobFilter()):
            raise typer.BadParameter(
                "which jobs? Give ids (and --queue, if another queue has a job of that id), or filters "
                f"(say --state {_example(event)})"
            )
        qk = open_store(app, url)
        chosen, missing = run(qk, _chosen(qk, event, ids or (), where))
        if chosen and event in DESTRUCTIVE:
            verb = verb_of(event)
            confirm(f"{verb} {_jobs(len(chosen))}", verb, yes=yes)
        _report(
            event, run(qk, steer_all(qk, event, chosen, quiet=as_json)), missing, as_json=as_json
        )

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


verbs.command("list")(_looking(_list, "List jobs, the newest first."))
verbs.command("show")(_looking(_show, "Show all that is known of jobs."))
verbs.command("retry")(
    _steering(Event.RERUN, "Run failed and cancelled jobs again, with all attempts.")
)
verbs.command("cancel")(_steering(Event.CANCEL, "Cancel jobs; running ones are interrupted."))
verbs.command("delete")(
    _steering(Event.DELETE, "Remove jobs that are not running, and their records.")
)
verbs.command("promote")(_steering(Event.PROMOTE, "Make scheduled jobs ready now."))


def _narrows_ids(where: JobFilter) -> bool:
    """Whether a filter says no more than in which queue ids are meant."""
    return where == JobFilter(queues=where.queues) and len(where.queues) <= 1


async def _find(
    qk: Queuekit, ids: Sequence[UUID], where: JobFilter, limit: int
) -> Sequence[JobInfo]:
    if ids:
        found = [JobRef(queue, one) for queue in where.queues for one in ids] or ids
        return [await qk.inspect.show(one) for one in found]
    return await qk.inspect.list(where, limit=limit)


async def _chosen(
    qk: Queuekit, event: Event, ids: Sequence[UUID], where: JobFilter
) -> tuple[Sequence[JobRef], Sequence[UUID]]:
    """The jobs that are meant, and the ids of which there are none."""
    if not ids:
        found = await qk.inspect.matching(event, where)
        if not found:
            await qk.inspect.refuse_unknown(where, without_tasks=options.NAME_THE_APP)
        return found, ()
    ids = list(dict.fromkeys(ids))
    if where.queues:
        return [JobRef(queue, one) for queue in where.queues for one in ids], ()
    refs = await qk.inspect.locate(ids)
    missing = [one for one, ref in zip(ids, refs, strict=True) if ref is None]
    return [ref for ref in refs if ref is not None], missing


async def steer_all(qk: Queuekit, event: Event, refs: Sequence[JobRef], *, quiet: bool) -> Steered:
    """Steer jobs, and show how far that is."""
    done, refused = 0, dict[JobRef, Change]()
    with progress(verb_of(event), len(refs), quiet=quiet) as advance:
        for start in range(0, len(refs), PORTION):
            page = refs[start : start + PORTION]
            steered = await qk.inspect.steer(event, page)
            done += steered.done
            refused |= steered.refused
            advance(len(page))
    return Steered(done, refused)


def _report(event: Event, steered: Steered, missing: Sequence[UUID], *, as_json: bool) -> None:
    refusals: list[tuple[UUID, State | None, str]] = [(one, None, "no such job") for one in missing]
    refusals += [(ref.id, change.found, _why(change)) for ref, change in steered.refused.items()]
    if as_json:
        refused = [{"id": one, "state": state, "why": why} for one, state, why in refusals]
        emit({"done": steered.done, "refused": refused})
    else:
        say(
            f"{_jobs(steered.done)} {DONE[event]}"
            + (f", {len(refusals):,} refused" if refusals else "")
        )
        if refusals:
            table(["id", "state", "why not"], refusals[:REFUSALS_SHOWN])
    if refusals:
        raise typer.Exit(FAILED)


def _why(change: Change) -> str:
    match change.refused:
        case Refusal.GONE:
            return "no such job"
        case Refusal.KEY_HELD:
            return f"job {change.holder} holds its key now"
        case _:
            return f"it is {change.found}"


def _example(event: Event) -> str:
    return {Event.PROMOTE: "scheduled", Event.CANCEL: "ready"}.get(event, "failed")


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"
