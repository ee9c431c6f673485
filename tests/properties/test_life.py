"""One job's life in a real store against the pure table, event by event, in whatever order hypothesis tries."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from queuekit.backend import STEERING, Ask, BackendSettings, Change, Refusal
from queuekit.job import (
    FINISHED,
    Ack,
    Claim,
    Claimant,
    Job,
    JobOptions,
    Keep,
    Return,
    ReturnKind,
    State,
    Token,
    new_id,
)
from queuekit.lifecycle import Event, allowed, step
from queuekit.record import Life
from queuekit.registry import backend_class
from queuekit.testing.conformance._make import DONE, STORED, answer_of, answers_of

LEASE = 60_000_000
LATER = 3_600_000_000
ENDS = {
    Event.ACK_SUCCEEDED: State.SUCCEEDED,
    Event.ACK_FAILED: State.FAILED,
    Event.ACK_CANCELLED: State.CANCELLED,
}
RETURNS = {
    Event.RETRY: ReturnKind.RETRY,
    Event.SNOOZE: ReturnKind.SNOOZE,
    Event.RELEASE: ReturnKind.RELEASE,
    Event.DEATH: ReturnKind.DEATH,
}


class OneLife(RuleBasedStateMachine):
    """The store and the table see the same events; after each the store must say what the table says."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        name = f"test_{uuid4().hex[:12]}"
        url = self.url.replace("{name}", name)
        self.backend = backend_class(url)(url, BackendSettings(name))
        self.runner.run(self.backend.open())

    def teardown(self) -> None:
        self.runner.run(self.backend.close())
        self.runner.close()

    @initialize(delay=st.sampled_from([0, LATER]), keep=st.sampled_from([0, LATER]))
    def enqueue(self, delay: int, keep: int) -> None:
        options = JobOptions(delay=delay, max_attempts=100, keep=Keep(keep))
        self.job = Job(new_id(), "task", "{}", options)
        self.token = Token("default", self.job.id, 0)
        self.earlier: list[Token] = []
        self.settled: dict[int, Event] = {}
        self.life = Life(State.SCHEDULED if delay else State.READY)
        (answer,) = self.runner.run(self.backend.enqueue([self.job]))
        assert answer_of(answer) is STORED

    @rule()
    def enqueue_again(self) -> None:
        (answer,) = self.runner.run(self.backend.enqueue([self.job._replace(fresh=False)]))
        assert (answer_of(answer), answer.now) == (Refusal.KNOWN, self.life.state)

    @rule()
    def claim(self) -> None:
        claims = self.claims()
        if not allowed(Event.CLAIM, self.life.state):
            assert not claims
            return
        (claim,) = claims
        self.earlier.append(self.token)
        assert claim.token.delivery > self.life.delivery
        self.token = claim.token
        self.life = step(self.life, Event.CLAIM, now_ms=claim.token.delivery)
        assert claim.attempt == self.life.attempt

    @precondition(lambda self: self.life.state is State.RUNNING)
    @rule(event=st.sampled_from(sorted(ENDS)))
    def ack(self, event: Event) -> None:
        reason = "why" if event is not Event.ACK_SUCCEEDED else None
        ack = Ack(self.token, "task", ENDS[event], reason=reason)
        assert answers_of(self.runner.run(self.backend.ack([ack]))) == [DONE]
        self.live(event, reason=ack.reason)
        self.settled[self.token.delivery] = event
        assert answers_of(self.runner.run(self.backend.ack([ack]))) == [DONE]

    @precondition(lambda self: self.life.state is State.RUNNING)
    @rule(event=st.sampled_from(sorted(RETURNS)), delay=st.sampled_from([0, LATER]))
    def give_back(self, event: Event, delay: int) -> None:
        delay = delay if event in {Event.RETRY, Event.SNOOZE} else 0
        back = Return(self.token, RETURNS[event], delay, '{"attempt": 1}')
        assert answers_of(self.runner.run(self.backend.retry([back]))) == [DONE]
        self.live(event, delay=delay)
        self.settled[self.token.delivery] = event
        assert answers_of(self.runner.run(self.backend.retry([back]))) == [DONE]

    @precondition(lambda self: len(self.earlier) > 1)
    @rule(event=st.sampled_from([*sorted(ENDS), *sorted(RETURNS)]))
    def a_zombie_settles(self, event: Event) -> None:
        token = self.earlier[-1]
        if event in ENDS:
            (change,) = self.runner.run(self.backend.ack([Ack(token, "task", ENDS[event])]))
        else:
            (change,) = self.runner.run(self.backend.retry([Return(token, RETURNS[event])]))
        # Sent again as it was settled then, it may be recognised; nothing changes in any case.
        assert change.refused is Refusal.LOST or self.settled.get(token.delivery) is event

    @rule(event=st.sampled_from(sorted(STEERING)))
    def steer(self, event: Event) -> None:
        ref, before = self.job.ref, self.life
        if allowed(event, before.state):
            after = step(before, event)
            wanted = Change(ref, before.state, after.state, after.generation)
            self.live(event)
        elif before.state is None:
            wanted = Change(ref, None, None, refused=Refusal.GONE)
        else:
            wanted = Change(ref, before.state, before.state, before.generation, Refusal.STATE)
        assert self.runner.run(self.backend.inspector.steer(event, [ref])) == [wanted]

    @precondition(lambda self: self.life.delivery > 0)
    @rule()
    def heartbeat(self) -> None:
        tokens = [self.token, *self.earlier[1:]]
        pulse = self.runner.run(self.backend.heartbeat(tokens))
        holds = self.life.state is State.RUNNING
        assert list(pulse.lost) == (tokens[1:] if holds else tokens)
        assert list(pulse.cancels) == ([self.token] if holds and self.life.cancel_requested else [])

    @rule()
    def maintain(self) -> None:
        upkeep = self.runner.run(self.backend.maintain(["default"]))
        assert not upkeep.rescued

    @invariant()
    def the_store_says_what_the_table_says(self) -> None:
        if not hasattr(self, "life"):
            return
        (record,) = self.runner.run(self.backend.inspector.get([self.job.ref]))
        if self.life.state is None:
            assert record is None
            return
        assert record is not None
        assert (
            record.state,
            record.life.attempt,
            record.life.delivery,
            record.life.lapses,
            record.life.crashes,
            record.life.generation,
        ) == (
            self.life.state,
            self.life.attempt,
            self.life.delivery,
            self.life.lapses,
            self.life.crashes,
            self.life.generation,
        )
        if self.life.state is State.FAILED:
            assert record.life.reason == self.life.reason

    def live(self, event: Event, **details: Any) -> None:
        """The table's next state; what has ended and is not kept is gone."""
        self.life = step(self.life, event, **details)
        if self.life.state in FINISHED and self.job.options.keep == Keep(0):
            self.life = self.life._replace(state=None)

    def claims(self) -> list[Claim]:
        fetched = self.runner.run(
            self.backend.fetch(Ask(["default"], 5, Claimant("test", 1), LEASE, 1))
        )
        return list(fetched.claims)


@pytest.mark.parametrize(("backend", "examples"), [("sqlite", 40), ("redis", 25), ("postgres", 12)])
@pytest.mark.timeout(180)
def test_one_life(
    backend: str, examples: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = (
        f"sqlite:///{tmp_path}/{{name}}.db"
        if backend == "sqlite"
        else request.getfixturevalue(f"{backend}_url")
    )
    machine = type("Machine", (OneLife,), {"url": url})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
