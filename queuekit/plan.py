"""What a schedule says, between its texts in a store and values; and what fires when it is due. Pure; no clock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from queuekit.job import Job, JobOptions, Keep, KeyPolicy, Micros
from queuekit.recurrence import Cron, Every, Tick, When
from queuekit.schedule import OF_ANOTHER_RULE, Firing, Schedule, ScheduleRef
from queuekit.times import datetime_of

Misfire: TypeAlias = Literal["skip", "latest", "all"]
Overlap: TypeAlias = Literal["allow", "skip"]

GRACE: Final = timedelta(seconds=60)
"""A tick that is later than this counts as missed."""
MOST_MISSED: Final = 100
"""Of a schedule that fires all its missed ticks, so many are made up for: the last ones."""
_MINUTE: Final = timedelta(minutes=1)
_LONG_AGO: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # nominal times have no zone
_USUAL: Final = JobOptions()


@dataclass(frozen=True, slots=True)
class Rule:
    """When a schedule ticks.

    Attributes:
        when: its ticks, without an end.
        start, end: it has none before and after these (microseconds); None: no bound.
        count: it has so many; None: no bound.
    """

    when: When
    start: Micros | None = None
    end: Micros | None = None
    count: int | None = None

    @staticmethod
    @lru_cache(maxsize=4_096)
    def of(text: str) -> "Rule":
        """Of its text in a store."""
        known: dict[str, Any] = json.loads(text)
        when = (
            Every(known["every"], known.get("phase"))
            if "every" in known
            else Cron(known["cron"], known["timezone"])
        )
        return Rule(when, known.get("start"), known.get("end"), known.get("count"))

    @property
    def text(self) -> str:
        """As it is stored: the same for equal rules."""
        when = self.when
        known: dict[str, Any] = (
            {"every": when.period, "phase": when.start}
            if isinstance(when, Every)
            else {"cron": when.expression, "timezone": when.timezone}
        )
        known |= {"start": self.start, "end": self.end, "count": self.count}
        return json.dumps({name: value for name, value in known.items() if value is not None})

    def after(self, moment: datetime, name: str) -> Tick | None:
        """The first tick later than a moment; None if there is none."""
        if self.start is not None:
            moment = max(moment, datetime_of(self.start) - timedelta(microseconds=1))
        tick = self.when.after(moment, name)
        if tick is None or (self.end is not None and tick.at > datetime_of(self.end)):
            return None
        return tick

    def missed(self, first: Tick, now: datetime, name: str, most: int) -> list[Tick]:
        """The last ticks from one on that is due up to now; how many at most."""
        span = _MINUTE
        while True:
            start = max(first.at, now - span)
            tick, found = self.after(start, name), []
            while tick is not None and tick.at <= now:
                found.append(tick)
                tick = self.after(tick.at, name)
            if start == first.at:
                return [first, *found][-most:]
            if len(found) >= most:
                return found[-most:]
            span *= 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule's jobs are, and how it goes on.

    Attributes:
        job: what each tick makes; its id is not used.
        misfire: what becomes of ticks that were missed.
        overlap: ``"skip"``: a tick makes no job while that of an earlier one is unfinished.
        jitter: a tick's job is due up to so long after it (microseconds), which tick how long is always the same.
        in_code: whether it was defined there, so that it should go when it is there no more.
    """

    job: Job[Any]
    misfire: Misfire = "latest"
    overlap: Overlap = "allow"
    jitter: Micros = 0
    in_code: bool = False

    @staticmethod
    @lru_cache(maxsize=4_096)
    def of(text: str) -> "Plan":
        """Of its text in a store."""
        known: dict[str, Any] = json.loads(text)
        options = _options_of(known["options"])
        job: Job[Any] = Job(UUID(int=0), known["task"], known["payload"], options, known["key"])
        return Plan(job, known["misfire"], known["overlap"], known["jitter"], known["in_code"])

    @property
    def text(self) -> str:
        """As it is stored."""
        job = self.job
        return json.dumps(
            {
                "task": job.task,
                "payload": job.payload,
                "key": job.key,
                "options": _known(job.options),
                "misfire": self.misfire,
                "overlap": self.overlap,
                "jitter": self.jitter,
                "in_code": self.in_code,
            }
        )

    def job_at(self, ref: ScheduleRef, rule: Rule, tick: Tick) -> Job[Any]:
        """The job of a tick, the same wherever it is made."""
        id_ = id_of_tick(ref, tick.identity)
        zone = rule.when.timezone if isinstance(rule.when, Cron) else "UTC"
        options = self.job.options
        extra: dict[str, Any] = json.loads(options.extra) if options.extra else {}
        extra |= {"tick": tick.identity, "zone": zone}
        options = replace(
            options,
            delay=options.delay + int(self.jitter * (id_.int % 2**32) / 2**32),
            extra=json.dumps(extra, separators=(",", ":")),
        )
        key = self.job.key
        if self.overlap == "skip":
            key = f"schedule:{ref.name}"
            options = replace(options, key_policy=KeyPolicy.REJECT, key_until="finished")
        return self.job._replace(id=id_, options=options, key=key, fresh=False)


class Declared(NamedTuple):
    """A schedule as code defines it."""

    ref: ScheduleRef
    rule: Rule
    plan: Plan

    def first(self, now: Micros) -> Schedule:
        """As it is stored, if it is not there yet."""
        tick = self.rule.after(datetime_of(now), self.ref.name)
        return Schedule(
            self.ref,
            self.rule.text,
            self.plan.text,
            tick and tick.identity,
            tick and micros_of(tick.at),
        )


def id_of_tick(ref: ScheduleRef, identity: str) -> UUID:
    """The id of a tick's job: a UUIDv8 (RFC 9562) of the schedule and the tick's identity.

    Like other ids it begins with 48 bits of time, the nominal one in milliseconds, so that ids of one hour are
    neighbours in every index.
    """
    seed = "\0".join(("queuekit schedule", *ref, identity)).encode()
    local = datetime.fromisoformat(identity.partition("#")[0])
    passed = (local - _LONG_AGO) // timedelta(milliseconds=1) % 2**48
    number = passed << 80 | int.from_bytes(sha256(seed).digest()[:10])
    number = number & ~(0xF << 76) | 8 << 76  # the version
    number = number & ~(0x3 << 62) | 2 << 62  # the variant
    return UUID(int=number)


def tick_of(schedule: Schedule, rule: Rule) -> Tick:
    """The next tick of a schedule that has one, at its instant by the time-zone data here.

    Whoever stored it may have had other data. What comes next goes by the nominal times, so it is reckoned from here.
    One of the rule before this one stays at its moment.
    """
    assert schedule.tick is not None
    assert schedule.due_at is not None
    text, _, second = schedule.tick.removesuffix(OF_ANOTHER_RULE).partition("#")
    local, occurrence = datetime.fromisoformat(text), 1 if second else 0
    if schedule.tick.endswith(OF_ANOTHER_RULE):
        at = datetime_of(schedule.due_at)
    elif isinstance(rule.when, Cron):
        at = rule.when.instant(local, occurrence)
    else:
        at = local.replace(tzinfo=UTC)
    return Tick(local, occurrence, at)


def decide(schedule: Schedule, now: Micros) -> Firing:
    """What fires of a schedule that is due, and how it goes on.

    Args:
        schedule: as it is stored.
        now: the server's clock.
    """
    rule, plan, name = Rule.of(schedule.rule), Plan.of(schedule.job), schedule.ref.name
    moment = datetime_of(now)
    most = MOST_MISSED if plan.misfire == "all" else 1
    due = rule.missed(tick_of(schedule, rule), moment, name, most)
    last = due[-1]
    if plan.misfire == "skip" and moment - last.at > GRACE:
        due = []
    left = None if rule.count is None else rule.count - schedule.count
    if left is not None:
        due = due[:left]
    following = None if left is not None and len(due) >= left else rule.after(last.at, name)
    return Firing(
        schedule.ref,
        schedule.rule,
        schedule.tick or "",
        [(tick.identity, plan.job_at(schedule.ref, rule, tick)) for tick in due],
        following and following.identity,
        following and micros_of(following.at),
    )


def upcoming(schedule: Schedule, count: int) -> list[datetime]:
    """The next ticks of a schedule, aware, in its time zone."""
    found: list[datetime] = []
    if schedule.tick is None:
        return found
    rule = Rule.of(schedule.rule)
    zone = rule.when.zone if isinstance(rule.when, Cron) else UTC
    most = count if rule.count is None else min(count, rule.count - schedule.count)
    following: Tick | None = tick_of(schedule, rule)
    while following is not None and len(found) < most:
        found.append(following.at.astimezone(zone))
        following = rule.after(following.at, schedule.ref.name)
    return found


def difference(schedule: Schedule) -> str:
    """What to do if the next tick is at another instant by the time-zone data here; empty if it is not."""
    rule = Rule.of(schedule.rule)
    if schedule.due_at is None:
        return ""
    there, here = datetime_of(schedule.due_at), tick_of(schedule, rule).at
    if here == there:
        return ""
    return (
        f"The tick {schedule.tick} is due at {there:%Y-%m-%d %H:%M:%S} UTC by the time-zone data of the process that "
        f"has stored it, but at {here:%Y-%m-%d %H:%M:%S} UTC by those here. Give all machines the same: install the "
        "newest tzdata, and set PYTHONTZPATH to an empty text where the system's are older."
    )


def micros_of(moment: datetime) -> Micros:
    """A moment as stores keep it."""
    return (moment - datetime_of(0)) // timedelta(microseconds=1)


def _known(options: JobOptions) -> dict[str, Any]:
    """Options that are not the usual ones, as JSON can hold them."""
    known = {one.name: getattr(options, one.name) for one in fields(options) if one.init}
    known = {name: value for name, value in known.items() if value != getattr(_USUAL, name)}
    if options.keep is not None:
        known["keep"] = [options.keep.age, options.keep.count]
    return known


def _options_of(known: Mapping[str, Any]) -> JobOptions:
    given = dict(known)
    if "keep" in given:
        given["keep"] = Keep(*given["keep"])
    if "tags" in given:
        given["tags"] = tuple(given["tags"])
    if "key_policy" in given:
        given["key_policy"] = KeyPolicy(given["key_policy"])
    return JobOptions(**given)
