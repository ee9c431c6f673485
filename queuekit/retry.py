"""When to try again: delay curves as values, and which exceptions are worth another attempt."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from queuekit.errors import InvalidOption


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
        # The exponent is bounded, as a float overflows near attempt 1,000.
        delay = min(self.cap, self.base * self.factor ** min(attempt - 1, 64))
        return min(self.cap, delay * (1 + random.uniform(-self.jitter, self.jitter)))


Backoff: TypeAlias = Fixed | Exponential | Callable[[int, BaseException], float]
"""Seconds to wait, from the number of the attempt that failed and its error."""


def fixed(seconds: float) -> Fixed:
    """Wait so many seconds before every further attempt."""
    if seconds < 0:
        raise InvalidOption(f"fixed({seconds}): a delay can't be negative; pass seconds >= 0")
    return Fixed(seconds)


def exponential(
    base: float, factor: float = 2.0, *, cap: float = 3600.0, jitter: float = 0.1
) -> Exponential:
    """Wait longer before every further attempt.

    Args:
        base: seconds before the second attempt.
        factor: by which each delay is longer than the one before, at least 1.
        cap: the longest delay, in seconds.
        jitter: share of the delay by which it varies at random, 0 to 1, so that failures do not come back as a herd.

    Raises:
        InvalidOption: a number is out of its range.
    """
    if base < 0 or factor < 1 or cap < 0 or not 0 <= jitter <= 1:
        raise InvalidOption(
            f"exponential({base}, {factor}, cap={cap}, jitter={jitter}): "
            "base and cap must be >= 0, factor >= 1 and jitter between 0 and 1"
        )
    return Exponential(base, factor, cap, jitter)


def type_name(exception: type[BaseException]) -> str:
    """The name by which an exception type travels with a job."""
    return f"{exception.__module__}.{exception.__qualname__}"


def matches(error: BaseException, names: Iterable[str]) -> bool:
    """Whether an error is an instance of one of the named exception types."""
    wanted = frozenset(names)
    return any(type_name(ancestor) in wanted for ancestor in type(error).__mro__)
