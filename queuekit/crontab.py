"""Cron expressions. croniter reads them; what it reads otherwise than people mean is refused here.

The fields are those of crontab(5), with a field of seconds before them if there are six, and one of years behind them
if there are seven. Times are naive here: what clocks show; see `recurrence` for what becomes of that when they are set.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple

from croniter import CroniterBadDateError, CroniterError, croniter

from queuekit.errors import InvalidOption
from queuekit.failure import repr_of

SECOND: Final = timedelta(seconds=1)
PRESETS: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BEGINNING: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # what clocks show
_YEARS: Final = 130
"""For so many years the next time is looked for: all that croniter knows."""
_ANY: Final = frozenset({"*", "?"})


class Field(NamedTuple):
    """What stands at one place of an expression.

    Attributes:
        name: for messages.
        within: what begins anew when its values are over.
        size: how many values there are.
        values: which, for messages.
        unit: seconds between two values; 0 if that differs.
    """

    name: str
    within: str
    size: int
    values: str
    unit: int = 0


FIELDS: Final = (
    Field("second", "minute", 60, "0 to 59", 1),
    Field("minute", "hour", 60, "0 to 59", 60),
    Field("hour", "day", 24, "0 to 23", 3_600),
    Field("day of month", "month", 31, "1 to 31, L (the last), 15W (the working day next to it)"),
    Field("month", "year", 12, "1 to 12 or jan to dec"),
    Field("weekday", "week", 7, "0 to 7 or sun to sat, mon#2 (the second), L5 (the last Friday)"),
    Field("year", "century", _YEARS, "1970 to 2099"),
)
_HOUR, _MONTH_DAY, _MONTH, _WEEKDAY = FIELDS[2:6]
_NAMES: Final = {
    _WEEKDAY: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    _MONTH: [
        "",
        *["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    ],
}


class Crontab:
    """An expression that was checked.

    Args:
        expression: 5 to 7 fields, or a preset.
        name: by which ``H`` spreads, the same at every look.

    Attributes:
        is_interval: whether its times are meant to be equally far apart, as the hour has a star or a step; else they
            are times of the day.

    Raises:
        InvalidOption: it can't be read, never comes, or would be read otherwise than it is meant.
    """

    def __init__(self, expression: str, name: str) -> None:
        self._expression = expression
        fields = _checked(expression)
        self.is_interval: Final = any(mark in fields[_HOUR] for mark in "*/")
        self._next = croniter(
            " ".join(fields.values()),
            hash_id=name.encode(),
            second_at_beginning=True,
            max_years_between_matches=_YEARS,
        ).get_next
        self._lock = Lock()
        if self.after(_BEGINNING - SECOND) is None:
            raise InvalidOption(
                f"the schedule {repr_of(expression, 80)} never comes: "
                "no month that it names has such a day; check day of month and month"
            )

    def __repr__(self) -> str:
        return f"<Crontab {self._expression}>"

    def after(self, local: datetime) -> datetime | None:
        """The first time later than another one, both as clocks show them; None if its years are over."""
        with self._lock:
            try:
                found: datetime = self._next(datetime, start_time=local)
            except CroniterBadDateError:
                return None
        return found


def crontab(expression: str, name: str) -> Crontab:
    """The same one for the same expression, and for the same name if it makes a difference."""
    return _cached(expression, name if "h" in expression.lower() else "")


_cached: Final = lru_cache(maxsize=1_000)(Crontab)


@lru_cache(maxsize=1_000)
def _checked(expression: str) -> Mapping[Field, str]:
    fields = _fields(expression)
    for problem in _problems(fields):
        raise InvalidOption(f"the schedule {repr_of(expression, 80)}: {problem}")
    return fields


def _fields(expression: str) -> dict[Field, str]:
    texts = _written_out(expression).split()
    first = {5: 1, 6: 0, 7: 0}.get(len(texts))
    if first is None:
        raise InvalidOption(
            f"the schedule {repr_of(expression, 80)} has {len(texts)} fields. Pass 5 (minute, hour, day of month, "
            "month, weekday), 6 with seconds before them, or 7 with years behind them, too"
        )
    return dict(zip(FIELDS, ["0"] * first + texts, strict=False))


def _written_out(expression: str) -> str:
    if not expression.startswith("@"):
        return expression
    found = PRESETS.get(expression.lower())
    if found is None:
        meant = get_close_matches(expression.lower(), PRESETS, 1) or ["every(seconds)"]
        raise InvalidOption(
            f"no preset is called {repr_of(expression, 40)}; is {meant[0]} meant? There are "
            + ", ".join(PRESETS)
        )
    return found


def _problems(fields: Mapping[Field, str]) -> Iterator[str]:
    """What can't be taken, most helpful first."""
    for field, text in fields.items():
        for item in text.lower().split(","):
            yield from _misread(field, item)
    for field, text in fields.items():
        yield from _unreadable(field, text)
    yield from _lost(fields)
    yield from _unreadable_together(fields)


def _misread(field: Field, item: str) -> Iterator[str]:
    """What croniter reads without a word, but otherwise than people do."""
    span, _, step = item.partition("/")
    low, _, high = span.partition("-")
    first, last = _number(field, low), _number(field, high)
    if re.match(r"r(\W|$)", item):
        yield (
            f"'R' in the field of the {field.name} gives another time at every look; "
            "use 'H', which spreads schedules by their names"
        )
    if high and (low == high or first == last) and span != "0-7":
        yield f"'{item}' would be every {field.name}; write '{low}'"
    if step and first is not None and last is not None and last < first:
        yield (
            f"'{item}' goes beyond the last {field.name}, from where its step is not counted on; "
            "write all its values, with commas between them"
        )
    if step.isdecimal() and int(step) >= field.size:
        period = int(step) * field.unit
        other = f"use every({period}), or write" if period else "write"
        yield (
            f"'{item}' begins anew with every {field.within}, so its step of {step} is never taken; "
            f"{other} the {field.name} itself"
        )


def _number(field: Field, text: str) -> int | None:
    """A value as people read it; None if it is none."""
    if text.isdecimal():
        return int(text) % 7 if field is _WEEKDAY and text == "7" else int(text)
    names = _NAMES.get(field, [])
    return names.index(text) if text and text in names else None


def _unreadable(field: Field, text: str) -> Iterator[str]:
    """What croniter does not take in one field."""
    alone = ["*"] * 7
    alone[FIELDS.index(field)] = text
    try:
        croniter.expand(" ".join(alone), second_at_beginning=True, hash_id=b"")
    except CroniterError:
        yield f"{repr_of(text, 40)} is no {field.name}; there are {field.values}"


def _lost(fields: Mapping[Field, str]) -> Iterator[str]:
    """Of a day of month and a weekday in one expression either counts, but croniter drops one if it is of this kind."""
    day, weekday = fields[_MONTH_DAY].lower(), fields[_WEEKDAY].lower()
    if day in _ANY or weekday in _ANY:
        return
    if "w" in day or "#" in weekday or re.search(r"(^|,)l", weekday):
        one, other = _text({**fields, _WEEKDAY: "*"}), _text({**fields, _MONTH_DAY: "*"})
        yield (
            "a day of month and a weekday can't be read together if one is 15W, mon#2 or L5; "
            f"make two schedules of it: '{one}' and '{other}'"
        )


def _text(fields: Mapping[Field, str]) -> str:
    texts = list(fields.values())
    return " ".join(texts[1:] if len(texts) == 6 and texts[0] == "0" else texts)


def _unreadable_together(fields: Mapping[Field, str]) -> Iterator[str]:
    try:
        croniter.expand(" ".join(fields.values()), second_at_beginning=True, hash_id=b"")
    except CroniterError as error:
        yield f"it can't be read: {error}"
