"""`Queuekit.schedules`: recurring work, seen and steered; the command line's verbs in Python."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from typing_extensions import TypedDict, Unpack

from queuekit import times
from queuekit.backend import Backend
from queuekit.errors import InvalidOption
from queuekit.handle import Handle
from queuekit.job import Job, JobRef, State, new_id
from queuekit.log import log
from queuekit.options import NAME
from queuekit.plan import Declared, Misfire, Overlap, Plan, Rule, difference, upcoming
from queuekit.recurrence import Cron, Every, When, cron
from queuekit.schedule import Fired, Schedule, ScheduleRef
from queuekit.store import Store
from queuekit.task import Task
from queuekit.tasks import Tasks
from queuekit.times import Seconds, datetime_of

MISFIRES: Final = ("skip", "latest", "all")
OVERLAPS: Final = ("allow", "skip")


class ScheduleKeywords(TypedDict, total=False):
    """How a schedule ticks and goes on.

    Attributes:
        timezone: the name of a zone of the IANA database; of cron expressions that are given as text. Default: UTC.
        start, end: aware datetimes before and after which it does not tick.
        count: it ticks so often.
        jitter: seconds or a timedelta; a tick's job is due up to so long after it.
        misfire: what becomes of ticks that were missed while nothing ran. ``"latest"`` (the default): the last of them
            fires; ``"all"``: the last 100; ``"skip"``: none that is more than a minute late.
        overlap: ``"skip"``: a tick makes no job while that of an earlier one is unfinished. Default: ``"allow"``.
    """

    timezone: str
    start: datetime | None
    end: datetime | None
    count: int | None
    jitter: Seconds
    misfire: Misfire
    overlap: Overlap


@dataclass(frozen=True, slots=True)
class LastTick:
    """A tick of a schedule that has fired.

    Attributes:
        tick: its nominal time, and ``#2`` behind it if clocks showed that for the second time.
        job: the id of the job that it made; None: it made none, as that of an earlier tick was unfinished
            (``overlap="skip"``), or as the store did not take it (which is in the worker's log).
        state: of that job; None: it is gone, or there was none.
    """

    tick: str
    job: UUID | None
    state: State | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleInfo:
    """All that is known of a schedule.

    Attributes:
        when: the cron expression, or ``every 60 s``.
        next_at: of its next tick (UTC); None: it is finished.
        last: the last tick that has fired; None: none has.
    """

    name: str
    when: str
    timezone: str
    task: str
    queue: str
    next_at: datetime | None
    paused: bool
    last: LastTick | None

    @property
    def ref(self) -> ScheduleRef:
        """Which schedule it is."""
        return ScheduleRef(self.queue, self.name)


class Schedules:
    """The schedules of one app's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def upsert(
        self,
        name: str,
        when: str | When,
        job: Job[Any],
        **options: Unpack[ScheduleKeywords],
    ) -> None:
        """Store a schedule, or another rule and job of one that is there.

        That stays paused if it is. With another rule a tick that is due already fires all the same.

        Args:
            name: 1 to 128 of letters, digits, ``_ . : / -``.
            when: a cron expression, `cron`, or `every`.
            job: made by `Task.job`; each tick makes one like it.
            options: see `ScheduleKeywords`.

        Raises:
            InvalidOption: one is misspelt or impossible.
        """
        declared = declare(f"schedule {name!r}", name, when, job, options)
        schedules = (await self._store.backend()).schedules
        now = (await schedules.due([declared.ref.queue], 0)).now
        await schedules.schedule([declared.first(now)])
        moved = [one.ref for one in await self._named(name) if one.ref != declared.ref]
        await schedules.unschedule(moved)

    async def get(self, name: str) -> ScheduleInfo:
        """All that is known of a schedule. Raises `InvalidOption`: there is none of that name."""
        (found, *_) = await self._found(name)
        (info,) = await self._infos([found])
        return info

    async def list(self, queues: Sequence[str] | None = None) -> Sequence[ScheduleInfo]:
        """All schedules whose jobs go to some queues, or to any; by queue and name."""
        return await self._infos(await (await self._store.backend()).schedules.find(queues))

    async def upcoming(self, name: str, count: int = 5) -> Sequence[datetime]:
        """The next ticks of a schedule, aware, in its time zone. Raises `InvalidOption`: there is none of that name."""
        (found, *_) = await self._found(name)
        return upcoming(found, count)

    async def ticks(self, name: str) -> Sequence[LastTick]:
        """The last ticks that have fired, the newest first. Raises `InvalidOption`: there is none of that name."""
        (found, *_) = await self._found(name)
        states = await self._states(
            JobRef(found.ref.queue, one.id) for one in found.fired if one.id
        )
        return [_last(found.ref, one, states) for one in reversed(found.fired)]

    async def difference(self, name: str) -> str:
        """What to do if the next tick is at another instant by the time-zone data here; empty if it is not.

        Raises:
            InvalidOption: there is no schedule of that name.
        """
        (found, *_) = await self._found(name)
        return difference(found)

    async def pause(self, *names: str) -> None:
        """Let no tick of these fire until they are resumed. Raises `InvalidOption`: one is not there."""
        await (await self._store.backend()).schedules.pause(await self._refs(names), paused=True)

    async def resume(self, *names: str) -> None:
        """Let their ticks fire again; those that were missed as `misfire` says. Raises `InvalidOption`."""
        await (await self._store.backend()).schedules.pause(await self._refs(names), paused=False)

    async def delete(self, *names: str) -> None:
        """Remove schedules; jobs of them stay. Raises `InvalidOption`: one is not there."""
        await (await self._store.backend()).schedules.unschedule(await self._refs(names))

    async def run(self, name: str) -> Handle[Any]:
        """Enqueue a job as a tick makes it, now; the schedule goes on as before. Raises `InvalidOption`."""
        (found, *_) = await self._found(name)
        job = Plan.of(found.job).job._replace(id=new_id(), fresh=True)
        return await self._store.enqueue(job)

    async def _refs(self, names: Sequence[str]) -> Sequence[ScheduleRef]:
        return [one.ref for name in names for one in await self._found(name)]

    async def _found(self, name: str) -> Sequence[Schedule]:
        found = await self._named(name)
        if not found:
            known = {one.ref.name for one in await (await self._store.backend()).schedules.find()}
            raise InvalidOption(
                f"No schedule {name!r}. Known schedules: {', '.join(sorted(known)[:50]) or 'none'}"
            )
        return found

    async def _named(self, name: str) -> Sequence[Schedule]:
        return await (await self._store.backend()).schedules.named(name)

    async def _infos(self, schedules: Sequence[Schedule]) -> Sequence[ScheduleInfo]:
        last = [(one.ref.queue, one.fired[-1].id) for one in schedules if one.fired]
        states = await self._states(JobRef(queue, id_) for queue, id_ in last if id_)
        return [_info(one, states) for one in schedules]

    async def _states(self, jobs: Iterable[JobRef]) -> Mapping[JobRef, State]:
        refs = list(jobs)
        records = await (await self._store.inspector()).get(refs) if refs else []
        return {record.ref: record.state for record in records if record}


def declare(
    where: str,
    name: str,
    when: str | When,
    job: Job[Any],
    options: ScheduleKeywords,
    *,
    in_code: bool = False,
) -> Declared:
    """A schedule, checked; `where` it is defined goes into messages.

    Raises:
        InvalidOption: something of it is misspelt or impossible.
    """
    known = ScheduleKeywords.__annotations__
    if odd := sorted(options.keys() - known.keys()):
        raise InvalidOption(f"{where}: {', '.join(odd)}: no option; known are {', '.join(known)}")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidOption(
            f"{where}: 1 to 128 letters, digits or one of _ . : / - are allowed in a name"
        )
    if type(job) is not Job:
        raise InvalidOption(f"{where}: pass a job; make it with task.job(...)")
    if not job.fresh or job.options.due is not None:
        raise InvalidOption(f"{where}: its jobs can't have an id= or at= of their own")
    misfire, overlap = options.get("misfire", "latest"), options.get("overlap", "allow")
    for value, allowed in ((misfire, MISFIRES), (overlap, OVERLAPS)):
        if value not in allowed:
            raise InvalidOption(f"{where}: {value!r}: pass one of {', '.join(allowed)}")
    if overlap == "skip" and job.key is not None:
        raise InvalidOption(f"{where}: overlap='skip' is a key of its own; leave out key=")
    jitter = times.micros(options.get("jitter", 0), f"{where}: jitter")
    rule = _rule(where, when, options)
    try:
        rule.after(datetime_of(0), name)
    except InvalidOption as error:
        raise InvalidOption(f"{where}: {error}") from None
    ref = ScheduleRef(job.options.queue, name)
    return Declared(ref, rule, Plan(job, misfire, overlap, jitter, in_code))


def _rule(where: str, when: str | When, options: ScheduleKeywords) -> Rule:
    if isinstance(when, str):
        try:
            when = cron(when, timezone=options.get("timezone", "UTC"))
        except InvalidOption as error:
            raise InvalidOption(f"{where}: {error}") from None
    elif not isinstance(when, Cron | Every):
        raise InvalidOption(
            f"{where}: pass a cron expression, cron(...) or every(...), not {type(when).__name__}"
        )
    elif "timezone" in options:
        raise InvalidOption(f"{where}: timezone= belongs to the expression; pass it to cron(...)")
    count = options.get("count")
    if count is not None and (type(count) is not int or not 1 <= count <= 1_000_000_000):
        raise InvalidOption(f"{where}: count is a number from 1 to 1,000,000,000, or None")
    start, end = (
        None if moment is None else times.moment(moment, f"{where}: {name}")
        for name, moment in (("start", options.get("start")), ("end", options.get("end")))
    )
    if start is not None and end is not None and end < start:
        raise InvalidOption(f"{where}: it ends before it starts")
    return Rule(when, start, end, count)


def of_task(
    tasks: Tasks,
    task: object,
    when: str | When,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str | None,
    options: ScheduleKeywords,
) -> None:
    """Define a schedule of a task in code; what `Queuekit.schedule` does.

    Raises:
        InvalidOption: something of it is impossible, or its name is taken.
        InvalidPayload: the arguments don't fit the task.
    """
    if not isinstance(task, Task):
        raise InvalidOption("@qk.schedule stands above @qk.task, as it takes a task")
    name = task.name if name is None else name
    where = f"schedule {name!r} of task {task.name!r}"
    if name in tasks.schedules:
        raise InvalidOption(f"{where}: there is one of that name already; pass another name=")
    job = task.job(*args, **kwargs)
    tasks.schedules[name] = declare(where, name, when, job, options, in_code=True)


async def store_declared(backend: Backend, tasks: Tasks) -> None:
    """Store the schedules of the code in place of others of their names; tell of those that are in the code no more."""
    schedules = backend.schedules
    stored = {one.ref: one for one in await schedules.find()}
    declared = {one.ref: one for one in tasks.schedules.values()}
    new = [
        one
        for ref, one in declared.items()
        if ref not in stored
        or (stored[ref].rule, stored[ref].job) != (one.rule.text, one.plan.text)
    ]
    if new:
        now = (await schedules.due([new[0].ref.queue], 0)).now
        await schedules.schedule([one.first(now) for one in new])
    gone = [one for ref, one in stored.items() if ref not in declared and _was_ours(one, tasks)]
    moved = [one.ref for one in gone if one.ref.name in tasks.schedules]
    await schedules.unschedule(moved)
    for one in gone:
        if one.ref not in moved:
            log.warning(
                "a schedule is in the code no more and goes on; to remove it: "
                f"queuekit schedules delete {one.ref.name}",
                schedule=one.ref.name,
                queue=one.ref.queue,
            )


def _was_ours(one: Schedule, tasks: Tasks) -> bool:
    plan = Plan.of(one.job)
    return plan.in_code and plan.job.task in tasks


def _info(one: Schedule, states: Mapping[JobRef, State]) -> ScheduleInfo:
    rule, plan = Rule.of(one.rule), Plan.of(one.job)
    when = rule.when
    return ScheduleInfo(
        name=one.ref.name,
        when=when.expression if isinstance(when, Cron) else f"every {when.period / 1e6:g} s",
        timezone=when.timezone if isinstance(when, Cron) else "UTC",
        task=plan.job.task,
        queue=one.ref.queue,
        next_at=None if one.due_at is None else datetime_of(one.due_at),
        paused=one.paused,
        last=_last(one.ref, one.fired[-1], states) if one.fired else None,
    )


def _last(ref: ScheduleRef, one: Fired, states: Mapping[JobRef, State]) -> LastTick:
    return LastTick(one.tick, one.id, states.get(JobRef(ref.queue, one.id)) if one.id else None)


__all__ = ["LastTick", "ScheduleInfo", "ScheduleKeywords", "Schedules"]
