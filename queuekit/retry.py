"""When to try again: delay curves as values, and which exceptions are worth another attempt."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from queuekit import times
from queuekit.errors import InvalidOption
from queuekit.failure import repr_of
from queuekit.job import Micros
from queuekit.times import Seconds

STEEPEST: Final = 1_000
"""The greatest factor: with it no float overflows."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same delay every time, in seconds."""

    seconds: float

    def __call__(self, attempt: int, error: BaseException | None = None) -> float:  # noqa: ARG002  # a Backoff's signature
        """Seconds to wait after the given attempt failed."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Exponential:
    """``base * factor ** (attempt - 1)`` seconds, at most `cap`, give or take a share of `jitter`."""

    base: float
    factor: float = 2.0
    cap: float = 3600.0
    jitter: float = 0.1

    def __call__(self, attempt: int, error: BaseException | None = None) -> float:  # noqa: ARG002  # a Backoff's signature
        """Seconds to wait after the given attempt failed."""
        # The exponent is bounded, else a float would overflow.
        delay = min(self.cap, self.base * self.factor ** min(attempt - 1, 64))
        return min(self.cap, delay * (1 + random.uniform(-self.jitter, self.jitter)))


Backoff: TypeAlias = Fixed | Exponential | Callable[[int, BaseException], Seconds]
"""Seconds (or a timedelta) to wait, from the number of the attempt that failed and its error."""


def delay_of(backoff: Backoff, attempt: int, error: BaseException) -> Micros:
    """How long to wait after an attempt failed; what a backoff function raises comes through.

    Raises:
        InvalidOption: it gives no duration, or one out of the range.
    """
    return times.micros(
        backoff(attempt, error), f"the backoff after attempt {attempt} gave no delay"
    )


def fixed(seconds: Seconds) -> Fixed:
    """Wait so many seconds (or a timedelta) before every further attempt. Raises `InvalidOption`."""
    return Fixed(times.seconds(seconds, "fixed: seconds"))


def exponential(
    base: Seconds, factor: float = 2.0, *, cap: Seconds = 3600.0, jitter: float = 0.1
) -> Exponential:
    """Wait longer before every further attempt.

    Args:
        base: seconds (or a timedelta) before the second attempt.
        factor: by which each delay is longer than the one before, 1 to 1,000.
        cap: the longest delay, in seconds (or a timedelta).
        jitter: share of the delay by which it varies at random, 0 to 1, so that failures do not come back as a herd.

    Raises:
        InvalidOption: a number is out of its range.
    """
    return Exponential(
        times.seconds(base, "exponential: base"),
        _number(factor, "exponential: factor", 1, STEEPEST),
        times.seconds(cap, "exponential: cap"),
        _number(jitter, "exponential: jitter", 0, 1),
    )


def type_name(exception: type[BaseException]) -> str:
    """The name by which an exception type travels with a job."""
    return f"{exception.__module__}.{exception.__qualname__}"


def matches(error: BaseException, names: Iterable[str]) -> bool:
    """Whether an error is an instance of one of the named exception types."""
    wanted = frozenset(names)
    return any(type_name(ancestor) in wanted for ancestor in type(error).__mro__)


def _number(value: object, what: str, low: float, high: float) -> float:
    # In this form, as NaN is neither less nor greater.
    if isinstance(value, int | float) and low <= value <= high:
        return value
    raise InvalidOption(f"{what}: pass a number, {low:,} to {high:,}, not {repr_of(value, 40)}")
