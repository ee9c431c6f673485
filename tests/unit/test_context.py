"""What a task may raise: whatever it passes, the outcome can be stored."""

from datetime import timedelta
from typing import Any

import pytest

from queuekit import Cancel, GiveUp, InvalidOption, Retry, Snooze
from queuekit.context import delay_asked
from queuekit.failure import MESSAGE_CAP
from queuekit.times import LONGEST


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("raised", [Snooze, lambda delay: Retry(delay=delay)])
def test_a_delay_is_seconds_or_a_timedelta_within_the_range(raised: Any) -> None:
    assert delay_asked(raised(1.5)) == 1_500_000
    assert delay_asked(raised(timedelta(days=3_660))) == LONGEST
    for wrong in (-1, float("nan"), 1.7e12, 10**5_000, "30", None, Hostile()):
        with pytest.raises(
            InvalidOption, match=r"(Snooze|Retry): delay: pass seconds or a timedelta"
        ):
            raised(wrong)


def test_milliseconds_for_seconds_are_guessed() -> None:
    with pytest.raises(InvalidOption, match="were milliseconds or a moment meant as seconds"):
        Retry(delay=1_700_000_000_000)


@pytest.mark.parametrize("wrong", [30.0, timedelta(1), "30", None, -1, LONGEST + 1, True])
def test_a_delay_that_was_overwritten_is_checked_again(wrong: Any) -> None:
    asked = Snooze(1)
    asked.delay = wrong

    with pytest.raises(InvalidOption, match=r"Snooze\.delay: .* let Snooze call super"):
        delay_asked(asked)


def test_a_subclass_without_a_delay_is_told() -> None:
    class Later(Retry):
        def __init__(self) -> None: ...

    with pytest.raises(InvalidOption, match=r"Later\.delay"):
        delay_asked(Later())


@pytest.mark.parametrize("reason", [Hostile(), None, 5, "\0 \ud800", "x" * 10_000])
def test_reasons_take_any_object(reason: Any) -> None:
    for raised in (Cancel(reason), GiveUp(reason), Retry(reason=reason)):
        text = str(raised)
        assert text.encode().count(0) == 0
        assert len(text) <= MESSAGE_CAP
    assert Cancel("done").reason == "done"
