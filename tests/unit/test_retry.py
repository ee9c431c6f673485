"""Delay curves and exception types."""

import pytest
from hypothesis import given, strategies as st

from queuekit import InvalidOption, exponential, fixed
from queuekit.retry import matches, type_name


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
    "arguments", [{"base": -1}, {"base": 1, "factor": 0.5}, {"base": 1, "jitter": 2}]
)
def test_impossible_curves_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(InvalidOption, match="must be >= 0"):
        exponential(**arguments)
    with pytest.raises(InvalidOption, match="can't be negative"):
        fixed(-1)


def test_a_subclass_matches_its_ancestors_name() -> None:
    assert matches(ConnectionResetError(), [type_name(OSError)])
    assert not matches(ValueError(), [type_name(OSError)])
