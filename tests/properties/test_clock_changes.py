"""Schedules where clocks are changed, against an oracle that looks at a clock once a minute.

The oracle shares nothing with queuekit: it has a reader of expressions of its own, and goes through real time. A time
of the day fires when the clock has come to it or past it for the first time; an interval whenever the clock shows one
of its times.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise, product
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings, strategies as st

from queuekit import cron

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = 7 * DAY

TEMPLATES: Final = [
    f"{minute} {hour} {day}"
    for (minute, hour), day in [
        *product(
            product(
                ["0", "30", "59", "0,15,45", "5-50/15", "*/20", "*"],
                ["{h}", "{n}", "{h},{n}", "{p}-{n}", "*", "*/2", "{h}/2"],
            ),
            ["* * *"],
        ),
        (("30", "{h}"), "{d} * *"),
        (("0", "{n}"), "{d} {m} *"),
        (("15", "{h}"), "* * {w}"),
        (("15", "*"), "* * {w}"),
        (("30", "{h}"), "{d} * {v}"),
        (("*/15", "{p},{n}"), "* {m} {w},{v}"),
        (("10", "*/3"), "{d},{e} * *"),
        (("0", "0"), "* * *"),
        (("30", "23"), "* * *"),
        (("30", "1,13"), "{e} * *"),
        (("45", "*"), "{e} {m} *"),
        (("0-10", "{h}"), "* * *"),
    ]
]
"""h: the hour at which clocks are changed, p and n: the ones beside it; d, e, m: the day, the next one and the month;
w, v: the weekdays of both."""

OLD: Final = [
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),
    ("Pacific/Kiritimati", date(1994, 12, 31)),
    ("Asia/Pyongyang", date(2015, 8, 15)),
    ("Asia/Pyongyang", date(2018, 5, 5)),
    ("America/Caracas", date(2016, 5, 1)),
    ("Asia/Kathmandu", date(1986, 1, 1)),
    ("Asia/Singapore", date(1982, 1, 1)),
    ("America/Sao_Paulo", date(2018, 2, 18)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Africa/Windhoek", date(1994, 9, 4)),
    ("Antarctica/Casey", date(2010, 3, 5)),
    ("Africa/Cairo", date(2014, 5, 15)),
]


class Change(NamedTuple):
    """Of clocks: when, and how far they were ahead of UTC before."""

    at: datetime
    zone: str
    before: timedelta
    after: timedelta

    @property
    def shape(self) -> tuple[object, ...]:
        """What cron expressions see of it, but for the date."""
        return (self.at + self.before).time(), self.before % HOUR, self.after - self.before


def offset(zone: ZoneInfo, at: datetime) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def changes(name: str, first: datetime, last: datetime) -> Iterator[Change]:
    """All of a zone, in order; no two are within a week."""
    zone = ZoneInfo(name)
    weeks = [first + n * WEEK for n in range((last - first) // WEEK + 2)]
    for (start, before), (_, after) in pairwise((week, offset(zone, week)) for week in weeks):
        if before != after:
            minutes = range(WEEK // MINUTE + 1)
            n = bisect_left(minutes, True, key=lambda n: offset(zone, start + n * MINUTE) == after)
            yield Change(start + n * MINUTE, name, before, after)


def values(text: str, first: int, last: int) -> set[int]:
    """Of one field."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        low, _, high = (f"{first}-{last}" if span == "*" else span).partition("-")
        ends = int(low), int(high or (last if step else low))
        numbers = list(range(ends[0], ends[1] + 1))
        if ends[1] < ends[0]:
            numbers = [*range(ends[0], last + 1), *range(first, ends[1] + 1)]
        found.update(numbers[:: int(step or 1)])
    return found


class Oracle:
    """An expression of five fields."""

    def __init__(self, expression: str) -> None:
        minutes, hours, days, months, weekdays = expression.split()
        self.minutes, self.hours = values(minutes, 0, 59), values(hours, 0, 23)
        self.days, self.months = values(days, 1, 31), values(months, 1, 12)
        self.weekdays = values(weekdays, 0, 6)
        self.either = days != "*" and weekdays != "*"
        self.is_interval = "*" in hours or "/" in hours

    def names(self, local: datetime) -> bool:
        if local.minute not in self.minutes or local.hour not in self.hours:
            return False
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        fits = day or weekday if self.either else day and weekday
        return fits and local.month in self.months

    def ticks(self, zone: ZoneInfo, first: datetime, last: datetime) -> list[tuple[datetime, str]]:
        """What fires, and as which time, while a clock goes from one moment to another."""
        found = []
        furthest = (first.astimezone(zone) - MINUTE).replace(tzinfo=None)
        for n in range((last - first) // MINUTE + 1):
            at = first + n * MINUTE
            shown = at.astimezone(zone)
            local = shown.replace(tzinfo=None, fold=0)
            if self.is_interval:
                if self.names(local):
                    found.append((at, local.isoformat() + "#2" * shown.fold))
            elif local > furthest:
                passed = (furthest + k * MINUTE for k in range(1, (local - furthest) // MINUTE + 1))
                if named := [one for one in passed if self.names(one)]:
                    found.append((at, named[0].isoformat()))
            furthest = max(furthest, local)
        return found


def written(template: str, change: Change) -> str:
    local = change.at + change.before
    day, next_day = local.date(), local.date() + DAY
    return template.format(
        h=local.hour,
        n=(local.hour + 1) % 24,
        p=(local.hour - 1) % 24,
        d=day.day,
        e=next_day.day,
        m=day.month,
        w=day.isoweekday() % 7,
        v=next_day.isoweekday() % 7,
    )


def assert_agrees(change: Change, template: str) -> None:
    """From some hours before the change to some hours behind all that it repeats."""
    expression, zone = written(template, change), ZoneInfo(change.zone)
    size = abs(change.after - change.before)
    first = change.at - min(size, DAY) - 2 * HOUR - 7 * MINUTE
    last = change.at + min(size, DAY) + 2 * HOUR
    should = Oracle(expression).ticks(zone, first, last)
    when = cron(expression, timezone=change.zone)
    starts = [first - timedelta(seconds=1), change.at - timedelta(seconds=1), change.at]
    starts += [change.at + size / 2, change.at + size, change.at + HOUR]
    for start in starts:
        wanted = [tick for tick in should if tick[0] > start][:6]
        found = when.ticks(start)
        seen = [(tick.at, tick.identity) for tick, _ in zip(found, wanted, strict=False)]
        assert seen == wanted, f"{expression} {change} from {start}"


PARTS: Final = 6


@cache
def all_changes() -> list[Change]:
    """Of all zones from 2024 to 2037; of those that have one together, of one of them."""
    first, last = datetime(2024, 1, 1, tzinfo=UTC), datetime(2037, 12, 31, tzinfo=UTC)
    zones = sorted(available_timezones())
    found = [change for name in zones for change in changes(name, first, last)]
    return list({(one.at, one.before, one.after): one for one in found}.values())


@pytest.mark.parametrize("part", range(PARTS))
def test_all_changes_until_2037(part: int) -> None:
    """Each with two expressions, in turn; each kind of change with all of them."""
    kinds = {change.shape: change for change in all_changes()}
    for number, change in enumerate(all_changes()):
        if number % PARTS == part:
            own = (TEMPLATES[n % len(TEMPLATES)] for n in (2 * number, 2 * number + 1))
            for template in TEMPLATES if change == kinds[change.shape] else own:
                assert_agrees(change, template)


def test_there_are_enough_of_them() -> None:
    assert len(set(TEMPLATES)) >= 60
    assert len(all_changes()) >= 800
    assert len({change.shape for change in all_changes()}) >= 20


@pytest.mark.parametrize(("zone", "day"), OLD)
def test_old_changes(zone: str, day: date) -> None:
    around = datetime(day.year, day.month, day.day, tzinfo=UTC)
    (change,) = changes(zone, around - 2 * DAY, around + 2 * DAY)
    for template in TEMPLATES:
        assert_agrees(change, template)


@settings(max_examples=200)
@given(
    template=st.sampled_from(TEMPLATES),
    zone=st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "UTC"]),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001  # of UTC
    ahead=st.floats(0, 1),
)
def test_the_answer_does_not_depend_on_where_one_starts_to_ask(
    template: str, zone: str, start: datetime, ahead: float
) -> None:
    around = Change(start.replace(tzinfo=UTC), zone, timedelta(), timedelta())
    when = cron(written(template, around), timezone=zone)
    tick = when.after(around.at)
    if tick is not None:
        later = around.at + (tick.at - around.at) * ahead * 0.999
        assert when.after(later) == tick
        following = when.after(tick.at)
        assert following is None or following.at > tick.at
