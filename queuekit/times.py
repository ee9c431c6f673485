"""Durations and moments: how they are given, and the one range in which they must be.

A duration is at most `LONGEST_DAYS` days, a moment lies in the years `FIRST_YEAR` to `LAST_YEAR`. So all times that
come of them are exact in every store (a double holds microseconds until the year 2255), and can be shown.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from queuekit.errors import InvalidOption
from queuekit.failure import repr_of
from queuekit.job import Micros

Seconds: TypeAlias = float | timedelta

LONGEST_DAYS: Final = 3_660
"""Ten years, whichever they are."""
LONGEST: Final[Micros] = LONGEST_DAYS * 86_400_000_000
SHORTEST: Final = 0.000_001
"""Seconds of the shortest duration that is not 0."""
SHORTEST_LEASE: Final = 0.05
"""Seconds."""
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199

_EPOCH: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_END: Final[Micros] = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
# A day off the ends, so that local time is a datetime, too.
_FIRST_SHOWN: Final = datetime(1, 1, 2, tzinfo=UTC)
_LAST_SHOWN: Final = datetime(9999, 12, 30, tzinfo=UTC)


def seconds(duration: object, what: str = "", *, least: float = 0) -> float:
    """A duration as seconds.

    Args:
        duration: to be checked.
        what: it is, for the message.
        least: the shortest that is allowed.

    Raises:
        InvalidOption: it is no duration, or out of the range.
    """
    value = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOption(f"{_durations(what, least)}, not {type(duration).__name__}")
    # In this form, as NaN is neither less nor greater.
    if not least <= value <= LONGEST / 1_000_000:
        slip = "; were milliseconds or a moment meant as seconds?" if value > least else ""
        raise InvalidOption(f"{_durations(what, least)}, not {repr_of(duration, 40)}{slip}")
    return float(value)


def micros(duration: object, what: str = "", *, least: float = 0) -> Micros:
    """A duration in microseconds. Raises `InvalidOption` as `seconds` does."""
    return round(seconds(duration, what, least=least) * 1_000_000)


def within_range(duration: object) -> Micros:
    """A duration that is said to be in microseconds already. Raises `InvalidOption`."""
    if type(duration) is not int or not 0 <= duration <= LONGEST:
        raise InvalidOption(
            f"0 to {LONGEST_DAYS:,} days in whole microseconds are allowed, not {repr_of(duration, 40)}"
        )
    return duration


def moment(given: object, what: str = "") -> Micros:
    """An aware datetime as microseconds since 1970; `what` it is goes into messages.

    Raises:
        InvalidOption: it is none, or out of the range.
    """
    if not isinstance(given, datetime):
        raise InvalidOption(f"{_named(what)}pass an aware datetime, not {type(given).__name__}")
    if given.utcoffset() is None:
        raise InvalidOption(
            f"{_named(what)}a naive datetime is ambiguous; pass an aware one, such as datetime.now(UTC)"
        )
    return moment_in_micros((given - _EPOCH) // _MICROSECOND, what)


def moment_in_micros(given: Micros, what: str = "") -> Micros:
    """A moment that is in microseconds already. Raises `InvalidOption`: it is out of the range."""
    if not 0 <= given < _END:
        raise InvalidOption(
            f"{_named(what)}pass a moment of the years {FIRST_YEAR} to {LAST_YEAR}, "
            f"not {datetime_of(given):%Y-%m-%d}"
        )
    return given


def datetime_of(micros: Micros) -> datetime:
    """A stored moment; beyond what a datetime holds, the nearest."""
    try:
        found = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return _FIRST_SHOWN if micros < 0 else _LAST_SHOWN
    return min(max(found, _FIRST_SHOWN), _LAST_SHOWN)


def _durations(what: str, least: float) -> str:
    bottom = "more than 0" if least == SHORTEST else f"at least {least:g}"
    return f"{_named(what)}pass seconds or a timedelta, {bottom} and at most {LONGEST_DAYS:,} days"


def _named(what: str) -> str:
    return f"{what}: " if what else ""
