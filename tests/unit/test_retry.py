"""Delay curves and exception types."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from queuekit import InvalidOption, exponential, fixed
from queuekit.retry import STEEPEST, delay_of, matches, type_name
from queuekit.times import LONGEST


def test_exponential_grows_by_its_factor_up_to_its_cap() -> None:
    backoff = exponential(2, cap=20, jitter=0)

    assert [backoff(attempt) for attempt in range(1, 6)] == [2, 4, 8, 16, 20]


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_jitter_stays_within_its_share_and_the_cap(attempt: int, jitter: float) -> None:
    delay = exponential(1, cap=100, jitter=jitter)(attempt)
    plain = exponential(1, cap=100, jitter=0)(attempt)

    assert plain * (1 - jitter) - 1e-9 <= delay <= min(100, plain * (1 + jitter) + 1e-9)


def test_fixed_is_always_the_same() -> None:
    assert [fixed(3)(attempt) for attempt in (1, 9)] == [3, 3]


@pytest.mark.parametrize(
    "arguments",
    [
        {"base": -1},
        {"base": float("nan")},
        {"base": "1"},
        {"base": 1, "cap": float("inf")},
        {"base": 1, "cap": None},
        {"base": 1, "factor": 0.5},
        {"base": 1, "factor": 1_001},
        {"base": 1, "factor": float("nan")},
        {"base": 1, "jitter": 2},
        {"base": 1, "jitter": "0.1"},
    ],
)
def test_impossible_curves_are_refused_and_the_number_is_named(arguments: dict[str, Any]) -> None:
    wrong = list(arguments)[-1]
    with pytest.raises(InvalidOption, match=f"^exponential: {wrong}: pass "):
        exponential(**arguments)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "3", None, True, 10**400])
def test_an_impossible_fixed_delay_is_refused(seconds: Any) -> None:
    with pytest.raises(
        InvalidOption, match=r"^fixed: seconds: pass seconds or a timedelta, at least 0 and"
    ):
        fixed(seconds)


def test_curves_take_timedeltas() -> None:
    assert fixed(timedelta(minutes=1)) == fixed(60)
    assert exponential(timedelta(seconds=1), cap=timedelta(hours=1)) == exponential(1)


def test_the_steepest_curve_never_overflows() -> None:
    backoff = exponential(timedelta(days=3_660), STEEPEST, cap=timedelta(days=3_660), jitter=1)

    assert 0 <= delay_of(backoff, 100_000, ValueError()) <= LONGEST


@pytest.mark.parametrize(
    ("given_back", "delay"),
    [(0, 0), (1.5, 1_500_000), (timedelta(minutes=2), 120_000_000), (timedelta(3_660), LONGEST)],
)
def test_a_backoff_function_gives_seconds_or_a_timedelta(given_back: Any, delay: int) -> None:
    assert delay_of(lambda attempt, error: given_back, 1, ValueError()) == delay


@pytest.mark.parametrize(
    ("given_back", "message"),
    [
        (None, "not NoneType"),
        ("5", "not str"),
        (float("nan"), "not nan"),
        (-0.5, "not -0.5"),
        (timedelta(-1), r"not datetime.timedelta\(days=-1\)"),
        (1_700_000_000_000, "not 1700000000000; were milliseconds or a moment meant"),
    ],
)
def test_a_backoff_function_that_gives_no_delay_is_told(given_back: Any, message: str) -> None:
    with pytest.raises(
        InvalidOption, match=f"the backoff after attempt 3 gave no delay: .*{message}"
    ):
        delay_of(lambda attempt, error: given_back, 3, ValueError())


def test_a_subclass_matches_its_ancestors_name() -> None:
    assert matches(ConnectionResetError(), [type_name(OSError)])
    assert not matches(ValueError(), [type_name(OSError)])
