"""All ways out of running in one batch: the database gets arrays, and each job must find its own elements in them."""

from collections.abc import Callable

import pytest

from queuekit.backend import Ask, Change, Refusal
from queuekit.job import Ack, Claim, Reason, Return, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    LONG,
    ack,
    cancelled,
    claim,
    claimant,
    dead,
    failed,
    give_back,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    snoozed,
    succeeded,
)
from queuekit_postgres import PostgresBackend

Settle = Callable[[Claim], Ack | Return]

WAYS: dict[str, tuple[Settle, State, str | None, int, int]] = {
    "fails": (lambda c: failed(c, "gave_up", "one"), State.FAILED, "gave_up", 1, 1),
    "succeeds": (lambda c: succeeded(c, "42"), State.SUCCEEDED, None, 1, 0),
    "is retried": (lambda c: retried(c, 0, "two"), State.READY, None, 1, 1),
    "is retried later": (lambda c: retried(c, LONG, "three"), State.SCHEDULED, None, 1, 1),
    "snoozes": (lambda c: snoozed(c, LONG), State.SCHEDULED, None, 0, 0),
    "is released": (released, State.READY, None, 0, 0),
    "stops": (lambda c: cancelled(c, "enough"), State.CANCELLED, "enough", 1, 0),
    "dies": (dead, State.FAILED, Reason.CRASHED, 0, 1),
    "fails anew": (lambda c: failed(c, "timeout", "four"), State.FAILED, "timeout", 1, 1),
    "is cancelled": (lambda c: retried(c, LONG, "five"), State.CANCELLED, None, 1, 1),
}
"""How each is settled; then its state, reason, attempts and errors."""


async def test_each_run_of_a_batch_ends_in_its_own_way(backend: PostgresBackend) -> None:
    """Beside runs that are over."""
    await put(backend, *numbered(2 * len(WAYS), max_crashes=1))
    held, over = await claim(backend, len(WAYS)), await claim(backend, len(WAYS))
    await backend.inspector.steer(Event.CANCEL, [held[-1].token.ref])
    await give_back(backend, *map(released, over))
    outcomes = [
        settle(run)
        for (settle, *_), *runs in zip(WAYS.values(), held, over, strict=True)
        for run in runs
    ]

    fetched = await backend.fetch(Ask([], 0, claimant(), LONG), settle=outcomes)

    again = ["released" in way for way in WAYS]
    assert [change.done for change in fetched.settled[1::2]] == again
    assert {change.refused for change in fetched.settled[1::2]} == {None, Refusal.LOST}
    done = fetched.settled[::2]
    assert [change.now for change in done] == [state for _, state, *_ in WAYS.values()]
    dead_one = held[[*WAYS].index("dies")].token
    told = Change(dead_one.ref, State.RUNNING, State.FAILED, task="send", reason=Reason.CRASHED)
    assert told in done
    became = {}
    for way, run in zip(WAYS, held, strict=True):
        found = await record(backend, run.token.ref)
        became[way] = (found.state, found.life.reason, found.life.attempt, len(found.notes.errors))
    assert became == {way: tuple(expected) for way, (_, *expected) in WAYS.items()}
    untouched = [await record(backend, run.token.ref) for run in over]
    assert {(found.state, found.life.attempt) for found in untouched} == {(State.READY, 0)}


@pytest.mark.parametrize("settle", [succeeded, failed, retried])
async def test_runs_are_settled_together_that_people_have_run_again_and_others(
    backend: PostgresBackend, settle: Settle
) -> None:
    again = await running(backend)
    await ack(backend, failed(again))
    await backend.inspector.steer(Event.RERUN, [again.token.ref])
    await put(backend, *numbered(2))
    runs = await claim(backend, 3)
    assert [run.generation for run in runs] == [1, 0, 0]
    changes = (
        await backend.fetch(Ask([], 0, claimant(), LONG), settle=[*map(settle, runs)])
    ).settled
    assert [(change.done, change.generation) for change in changes] == [
        (True, 1),
        (True, 0),
        (True, 0),
    ]
