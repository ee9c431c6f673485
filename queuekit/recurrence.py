"""When a schedule ticks: cron expressions in a time zone whose clocks are changed, and intervals.

A cron expression names *nominal* local times. A tick is one of them, and which time it is that clocks show it; its
instant is what this process's time-zone data makes of that. The rules, where clocks are changed:

- A time of the day that exists once fires then; one that exists twice fires at the first of both.
- A time of the day that clocks leap over fires at the first moment after that. Several fire once.
- What runs at an interval (the hour has a star or a step) goes on in real time: it fires whenever clocks show one of
  its times, and not for those that they leap over.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError, available_timezones

from queuekit import times
from queuekit.crontab import SECOND, Crontab, crontab
from queuekit.errors import InvalidOption
from queuekit.failure import repr_of
from queuekit.job import Micros
from queuekit.times import Seconds

SHORTEST_PERIOD: Final = 1.0
"""Seconds."""
_DAY: Final = timedelta(days=1)
"""Clocks are not changed twice within it."""


class Tick(NamedTuple):
    """One time of a schedule.

    Attributes:
        local: the nominal time, as clocks in the schedule's zone show it; naive.
        occurrence: 1 if clocks show it for the second time, else 0.
        at: the instant, by this process's time-zone data; in UTC.
    """

    local: datetime
    occurrence: int
    at: datetime

    @property
    def identity(self) -> str:
        """The same wherever it is computed, whatever the time-zone data there: ``2026-10-25T02:30:00``.

        The second of both that clocks show has ``#2`` behind it.
        """
        return self.local.isoformat() + ("#2" if self.occurrence else "")


class Recurrence(ABC):
    """What has ticks."""

    @abstractmethod
    def after(self, moment: datetime, name: str = "") -> Tick | None:
        """The first tick later than a moment; None if there is none.

        Args:
            moment: aware.
            name: of the schedule, by which ``H`` in an expression spreads.
        """

    def ticks(self, after: datetime, name: str = "") -> Iterator[Tick]:
        """All ticks later than a moment, in order; see `after`."""
        tick = self.after(after, name)
        while tick is not None:
            yield tick
            tick = self.after(tick.at, name)

    def upcoming(self, after: datetime, count: int, *, name: str = "") -> list[datetime]:
        """The next ticks as aware UTC datetimes, computed here, without any server.

        Args:
            after: aware; a tick at this very moment is not among them.
            count: how many; fewer come if the schedule's years are over.
            name: of the schedule, by which ``H`` in an expression spreads.

        Raises:
            InvalidOption: `after` is naive.
        """
        times.moment(after, "after")
        return [tick.at for tick, _ in zip(self.ticks(after, name), range(count), strict=False)]


@dataclass(frozen=True)
class Cron(Recurrence):
    """A cron expression in a time zone; see `cron`."""

    expression: str
    timezone: str = "UTC"
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zone", _zone(self.timezone))
        crontab(self.expression, "")

    def after(self, moment: datetime, name: str = "") -> Tick | None:
        """See `Recurrence.after`."""
        table, moment = crontab(self.expression, name), _whole(moment)
        return (_interval if table.is_interval else _time_of_day)(table, self.zone, moment)

    def instant(self, local: datetime, occurrence: int) -> datetime:
        """When clocks show a time, by the time-zone data here; if they leap over it, when they do that."""
        return _instant(local.replace(fold=occurrence), self.zone)


@dataclass(frozen=True)
class Every(Recurrence):
    """A tick every so often; see `every`.

    Attributes:
        period: microseconds between two ticks.
        start: the first tick, in microseconds since 1970; None: at all multiples of the period since then.
    """

    period: Micros
    start: Micros | None = None

    def after(self, moment: datetime, name: str = "") -> Tick | None:  # noqa: ARG002  # a Recurrence's signature
        """See `Recurrence.after`."""
        first, now = self.start or 0, times.moment(moment)
        number = max(0, (now - first) // self.period + 1)
        at = times.datetime_of(first + number * self.period)
        return Tick(at.replace(tzinfo=None), 0, at)


When: TypeAlias = Cron | Every


def cron(expression: str, *, timezone: str = "UTC") -> Cron:
    """A cron expression in a time zone.

    Five fields (minute, hour, day of month, month, weekday), six with seconds before them, seven with years behind
    them, too; or a preset such as ``@daily``. If both a day of month and a weekday are given, either will do. ``H`` is
    a value that is made of the schedule's name, so that not all fire at once.

    Args:
        expression: for example ``"30 2 * * *"``.
        timezone: the name of a zone of the IANA database, in whose local time the fields are.

    Raises:
        InvalidOption: the expression can't be read, never comes, or would be read otherwise than it is meant; no zone
            has that name.
    """
    if not isinstance(expression, str):
        raise InvalidOption(
            f"pass a cron expression such as '30 2 * * *', or every(seconds), not {type(expression).__name__}"
        )
    return Cron(expression, timezone)


def every(seconds: Seconds, *, start: datetime | None = None) -> Every:
    """A tick every so many seconds of real time, whatever clocks show.

    Args:
        seconds: at least 1; or a timedelta.
        start: the first tick, an aware datetime; by default the ticks are at the multiples of `seconds` since 1970, so
            that those of an hour are at full hours of UTC.

    Raises:
        InvalidOption: one of them is out of its range.
    """
    period = times.micros(seconds, "every", least=SHORTEST_PERIOD)
    return Every(period, None if start is None else times.moment(start, "start"))


def zone_data() -> str:
    """The version of the time-zone data that this process goes by, such as ``2026f``; empty: it can't be told.

    `zoneinfo` takes a zone from the first folder that has it, else from the package tzdata.
    """
    for folder in map(Path, TZPATH):
        if (folder / "Europe" / "Berlin").exists():
            try:
                first = (folder / "tzdata.zi").read_text("utf-8").partition("\n")[0]
            except OSError:
                return ""
            return first.removeprefix("# version ").strip()
    try:
        return str(import_module("tzdata").IANA_VERSION)
    except ImportError:
        return ""


def _zone(name: object) -> ZoneInfo:
    text = name if isinstance(name, str) else ""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):  # the last of a folder of zones
        return ZoneInfo(text)
    known = {zone.lower(): zone for zone in available_timezones() if "/" in zone}
    places = {zone.rpartition("/")[2]: zone for zone in known}
    wanted = text.lower().replace(" ", "_")
    close = get_close_matches(wanted, known, 1) or get_close_matches(wanted, places, 1, cutoff=0.8)
    meant = [known[places.get(one, one)] for one in close]
    hint = f"is {meant[0]!r} meant?" if meant else "pass a name such as 'Europe/Berlin'"
    raise InvalidOption(f"no time zone is called {repr_of(name, 40)}; {hint}")


def _time_of_day(table: Crontab, zone: ZoneInfo, moment: datetime) -> Tick | None:
    here = moment.astimezone(zone)
    local: datetime | None = _naive(here)
    if here.fold:  # clocks show this for the second time: all of it has fired at the first
        ahead = _offset(here.replace(fold=0)) - _offset(here)
        change = _first(lambda at: _naive_offset(at, zone) == _offset(here), moment - ahead, moment)
        local = _naive((change - SECOND).astimezone(zone))
    while (local := local and table.after(local)) is not None:
        at = _instant(local, zone)
        if at > moment:
            return Tick(local, 0, at)
    return None


def _interval(table: Crontab, zone: ZoneInfo, moment: datetime) -> Tick | None:
    """The next time along the line of local times that clocks show now; behind their next change along another."""
    since, base, offset = moment, moment, _naive_offset(moment, zone)
    while (local := table.after(_naive(base + offset))) is not None:
        at = local.replace(tzinfo=UTC) - offset
        change = _change(since, at, zone, offset)
        if change is None:
            return Tick(local, at.astimezone(zone).fold, at)
        since, base, offset = change, change - SECOND, _naive_offset(change, zone)
    return None


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """When clocks show a time first; if they leap over it, when they do that."""
    at = local.replace(tzinfo=zone).astimezone(UTC)
    if _naive(at.astimezone(zone)) == local:
        return at
    earlier = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = _naive_offset(at, zone)
    return _first(lambda moment: _naive_offset(moment, zone) == offset, earlier, at)


def _change(since: datetime, until: datetime, zone: ZoneInfo, offset: timedelta) -> datetime | None:
    """The first moment of a span, both ends included, at which clocks have another offset."""
    before, at = since, since
    while True:
        if _naive_offset(at, zone) != offset:
            return _first(lambda moment: _naive_offset(moment, zone) != offset, before, at)
        if at >= until:
            return None
        before, at = at, min(at + _DAY, until)


def _first(holds: Callable[[datetime], bool], low: datetime, high: datetime) -> datetime:
    """The first whole second of a span from which on something holds, as it does at its end."""
    span = range(int((high - low).total_seconds()) + 1)
    return low + bisect_left(span, True, key=lambda n: holds(low + timedelta(seconds=n))) * SECOND


def _whole(moment: datetime) -> datetime:
    """In UTC, without its part of a second: all ticks are at whole ones."""
    return moment.astimezone(UTC).replace(microsecond=0)


def _naive(moment: datetime) -> datetime:
    """What a clock shows."""
    return moment.replace(tzinfo=None, fold=0)


def _naive_offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    """How far clocks in a zone are ahead of UTC."""
    return _offset(moment.astimezone(zone))


def _offset(moment: datetime) -> timedelta:
    offset = moment.utcoffset()
    assert offset is not None
    return offset
