"""The table of a job's life."""

import pytest
from hypothesis import given, strategies as st

from queuekit.job import Ack, Claim, Reason, Return, ReturnKind, State, Token, new_id
from queuekit.lifecycle import (
    ALLOWED,
    Cancelled,
    Died,
    Event,
    Failed,
    Outcome,
    Released,
    Snoozed,
    Succeeded,
    allowed,
    settle,
    step,
)
from queuekit.record import Life


def claim(attempt: int = 1, max_attempts: int = 3) -> Claim:
    return Claim(
        Token("q", new_id(), 7), "t", "{}", attempt, max_attempts, 0, 0, 30_000_000, None, ""
    )


def test_every_event_has_a_row() -> None:
    assert set(ALLOWED) == set(Event)


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_a_pair_is_allowed_or_refused_by_name(event: Event, state: State) -> None:
    life = Life(state, attempt=1, delivery=5)
    if allowed(event, state):
        assert step(life, event).delivery >= 5
    else:
        with pytest.raises(ValueError, match=f"{event} is refused in {state}"):
            step(life, event)


@given(st.lists(st.sampled_from(list(Event)), max_size=60), st.integers(0, 3))
def test_counters_keep_their_promises(events: list[Event], now_ms: int) -> None:
    life = Life(State.READY)
    for event in events:
        if not allowed(event, life.state):
            continue
        after = step(life, event, now_ms=now_ms)
        assert after.attempt >= 0
        assert after.delivery >= life.delivery
        assert (after.delivery > life.delivery) == (event is Event.CLAIM)
        assert after.generation >= life.generation
        assert after.lapses <= after.max_lapses
        assert after.crashes <= after.max_crashes
        life = after


def test_a_claim_takes_the_server_clock_if_it_is_ahead() -> None:
    assert step(Life(State.READY, delivery=5), Event.CLAIM, now_ms=100).delivery == 100
    assert step(Life(State.READY, delivery=500), Event.CLAIM, now_ms=100).delivery == 501


def test_a_lapse_spends_no_attempt_and_fails_only_at_the_limit() -> None:
    once = step(Life(State.RUNNING, attempt=2, lapses=18), Event.LAPSE)
    assert (once.state, once.attempt, once.lapses) == (State.READY, 1, 19)

    last = step(once._replace(state=State.RUNNING), Event.LAPSE)
    assert (last.state, last.reason) == (State.FAILED, Reason.CRASHED)


def test_the_third_death_fails() -> None:
    last = step(Life(State.RUNNING, attempt=1, crashes=2), Event.DEATH)

    assert (last.state, last.reason, last.attempt) == (State.FAILED, Reason.CRASHED, 0)


@pytest.mark.parametrize(
    "event", [Event.RETRY, Event.SNOOZE, Event.RELEASE, Event.LAPSE, Event.DEATH]
)
def test_what_was_cancelled_does_not_come_back(event: Event) -> None:
    asked = step(Life(State.RUNNING, attempt=1), Event.CANCEL)
    assert (asked.state, asked.cancel_requested) == (State.RUNNING, True)

    assert step(asked, event, delay=5).state is State.CANCELLED


def test_a_rerun_starts_over_and_keeps_its_limits() -> None:
    again = step(Life(State.FAILED, 5, 9, 2, 1, 0, reason="exhausted", max_crashes=7), Event.RERUN)

    assert again == Life(State.READY, delivery=9, generation=1, max_crashes=7)


@pytest.mark.parametrize(
    ("outcome", "written"),
    [
        (Succeeded("1"), (State.SUCCEEDED, None)),
        (Cancelled("why"), (State.CANCELLED, "why")),
        (Failed("{}", Reason.INVALID), (State.FAILED, "invalid")),
        (Failed("{}", Reason.GAVE_UP), (State.FAILED, "gave_up")),
        (Failed("{}", delay=9), (ReturnKind.RETRY, 9)),
        (Snoozed(4), (ReturnKind.SNOOZE, 4)),
        (Released(), (ReturnKind.RELEASE, 0)),
        (Died("{}"), (ReturnKind.DEATH, 0)),
    ],
)
def test_an_outcome_is_settled_as(outcome: Outcome, written: tuple[object, object]) -> None:
    match settle(claim(), outcome):
        case Ack() as ack:
            assert (ack.state, ack.reason) == written
        case Return() as back:
            assert (back.kind, back.delay) == written


@pytest.mark.parametrize(("timed_out", "reason"), [(False, "exhausted"), (True, "timeout")])
def test_the_last_attempt_names_the_reason(timed_out: bool, reason: str) -> None:
    ack = settle(claim(attempt=3), Failed("{}", timed_out=timed_out))

    assert isinstance(ack, Ack)
    assert (ack.state, ack.reason) == (State.FAILED, reason)
