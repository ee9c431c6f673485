"""How fast jobs begin, as it is estimated."""

import pytest

from queuekit.worker.pace import Pace


def begun(number: int, *, since: float = 0.0) -> Pace:
    """That many of the claimed jobs have begun since there were some."""
    pace = Pace()
    pace.filled(since)
    for _ in range(number):
        pace.begun()
    return pace


def test_at_first_nothing_is_known() -> None:
    pace = Pace()
    assert pace.per_second(1.0, 0) is None
    pace.filled(1.0)
    assert pace.per_second(2.0, 100) is None


def test_while_claimed_jobs_wait_it_is_how_fast_they_begin() -> None:
    pace = begun(10)
    assert pace.per_second(2.0, 0) == 5
    pace.filled(1.0)  # more have come, while some were left
    assert pace.per_second(2.0, 0) == 5
    # What has ended says less than what has begun.
    assert pace.per_second(4.0, 1_000) == 2.5


def test_when_none_wait_any_more_it_is_what_it_was() -> None:
    pace = begun(10)
    pace.emptied(2.0)
    assert pace.per_second(1_000.0, 10) == 5
    pace.emptied(1_000.0)  # there were none
    assert pace.per_second(1_000.0, 10) == 5


def test_when_none_wait_it_is_at_least_as_fast_as_jobs_end() -> None:
    pace = begun(10)
    pace.emptied(2.0)
    pace.per_second(10.0, 0)
    assert pace.per_second(11.0, 100) == 100
    assert pace.per_second(13.0, 104) == 5


def test_how_fast_jobs_end_is_not_told_from_a_moment() -> None:
    pace = begun(10)
    pace.emptied(2.0)
    pace.per_second(10.0, 0)
    assert pace.per_second(10.009, 100) == 5
    assert pace.per_second(10.1, 100) == pytest.approx(1_000)


def test_a_new_batch_is_counted_anew() -> None:
    pace = begun(10)
    pace.emptied(2.0)
    pace.filled(3.0)
    assert pace.per_second(4.0, 0) == 5, "none has begun yet"
    pace.begun()
    assert pace.per_second(5.0, 0) == 0.5


def test_what_begins_at_once_is_fast_and_no_error() -> None:
    pace = begun(10, since=5.0)
    assert pace.per_second(5.0, 0) == 10 / 1e-6
    pace.emptied(5.0)
    assert pace.per_second(6.0, 0) == 10 / 1e-6
