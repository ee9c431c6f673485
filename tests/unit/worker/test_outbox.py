"""Outcomes on their way to the store, and what it answers."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit.backend import Ask, Changes, Refusal
from queuekit.job import Ack, Claimant, Keep, Reason, Return, ReturnKind, State
from queuekit.lifecycle import Failed, Outcome, Released, Snoozed, Succeeded
from queuekit.testing.conformance._make import DONE, answers_of
from queuekit.worker.run import Run
from tests.unit.worker.conftest import Bench

HOUR = Keep(3_600_000_000)
ERROR = '{"attempt":1,"type":"ValueError","message":"bad","traceback":""}'


async def exchanged(bench: Bench) -> Changes:
    """Take all to the store, and tell its answer, as the fetcher does."""
    fetched = await bench.backend.fetch(
        Ask((), 0, Claimant("me", 1), 1), settle=bench.outbox.take()
    )
    bench.outbox.settled(fetched.settled)
    return fetched.settled


@pytest.mark.parametrize(
    ("outcome", "fields"),
    [
        (Succeeded("1"), {"state": State.SUCCEEDED, "result": "1", "keep": HOUR}),
        (Failed(ERROR), {"kind": ReturnKind.RETRY, "error": ERROR}),
        (
            Failed(ERROR, Reason.GAVE_UP),
            {"state": State.FAILED, "reason": Reason.GAVE_UP, "keep": HOUR},
        ),
        (Snoozed(5), {"kind": ReturnKind.SNOOZE, "delay": 5}),
        (Released(), {"kind": ReturnKind.RELEASE}),
    ],
)
async def test_an_outcome_becomes_what_the_life_of_a_job_says(
    bench: Bench, outcome: Outcome, fields: dict[str, Any]
) -> None:
    run = await bench.run()
    bench.outbox.settle(run, outcome)
    (settled,) = bench.outbox.waiting
    assert settled.token == run.claim.token
    assert {name: getattr(settled, name) for name in fields} == fields


async def test_of_an_unknown_task_nothing_is_asked_but_the_end(bench: Bench) -> None:
    run = await bench.run()
    run.claim = run.claim._replace(task="unknown")
    bench.outbox.settle(run, Failed(None, Reason.EXPIRED))
    (settled,) = bench.outbox.waiting
    assert isinstance(settled, Ack)
    assert settled.keep is None


async def test_what_went_wrong_is_logged_and_nothing_else(bench: Bench) -> None:
    run = await bench.run()
    with capture_logs() as lines:
        for outcome in (Succeeded("1"), Snoozed(5), Released(), Failed(ERROR)):
            bench.outbox.settle(run, outcome)
    assert [(line["event"], line["error"]) for line in lines] == [
        ("attempt failed", "ValueError: bad")
    ]


async def test_outcomes_leave_in_one_call_and_in_their_order(bench: Bench) -> None:
    outbox, board = bench.outbox, bench.board
    runs = [await bench.run() for _ in range(3)]
    assert outbox.settled_all.is_set()
    for run in runs:
        board.changed.clear()
        outbox.settle(run, Succeeded("1"))
        assert board.changed.is_set(), "the fetcher is told"
    assert not outbox.settled_all.is_set()
    assert repr(outbox) == "<Outbox: 3 waiting, 0 sent>"
    assert answers_of(await exchanged(bench)) == [DONE] * 3
    assert outbox.settled_all.is_set()
    assert [(await bench.record(run.claim.token)).state for run in runs] == [State.SUCCEEDED] * 3


async def test_what_comes_meanwhile_waits_for_the_next_call(bench: Bench) -> None:
    outbox = bench.outbox
    first, second = await bench.run(), await bench.run()
    outbox.settle(first, Succeeded("1"))
    (taken,) = outbox.take()
    outbox.settle(second, Succeeded("2"))
    assert repr(outbox) == "<Outbox: 1 waiting, 1 sent>"
    assert list(outbox.tokens()) == [first.claim.token, second.claim.token]
    outbox.settled(Changes([taken]))
    assert not outbox.settled_all.is_set()
    assert list(outbox.tokens()) == [second.claim.token]
    assert taken.token == first.claim.token


async def test_what_was_not_delivered_goes_before_what_came_later(bench: Bench) -> None:
    outbox = bench.outbox
    runs = [await bench.run() for _ in range(3)]
    for run in runs[:2]:
        outbox.settle(run, Succeeded("1"))
    outbox.take()
    outbox.settle(runs[2], Succeeded("1"))
    outbox.put_back()
    assert not outbox.settled_all.is_set()
    assert repr(outbox) == "<Outbox: 3 waiting, 0 sent>"
    assert [one.token for one in outbox.take()] == [run.claim.token for run in runs]


async def lost(bench: Bench) -> Run:
    """A run whose job was claimed once more meanwhile."""
    run = await bench.run()
    await bench.backend.retry([Return(run.claim.token, ReturnKind.RETRY)])
    await bench.claim(process="other")
    return run


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Succeeded("1"), [("warning", "the lease was lost before the job was settled")]),
        (Snoozed(5), [("warning", "the lease was lost before the job was settled")]),
        (Released(), []),
    ],
)
async def test_a_lost_lease_is_a_warning_unless_the_job_was_to_be_given_back(
    bench: Bench, outcome: Outcome, says: list[tuple[str, str]]
) -> None:
    run = await lost(bench)
    bench.outbox.settle(run, outcome)
    with capture_logs() as lines:
        assert answers_of(await exchanged(bench)) == [Refusal.LOST]
    assert [(line["log_level"], line["event"].partition(";")[0]) for line in lines] == says
    assert [line["job_id"] for line in lines] == [str(run.claim.token.id)] * len(says)
    assert bench.outbox.settled_all.is_set()


async def test_a_result_that_the_server_refuses_is_an_error(bench: Bench) -> None:
    good, bad = await bench.run(), await bench.run()
    bench.outbox.settle(good, Succeeded("1"))
    bench.outbox.settle(bad, Succeeded('"\ud800"'))
    with capture_logs() as lines:
        assert answers_of(await exchanged(bench)) == [DONE, Refusal.UNSTORABLE]
    (line,) = lines
    assert line["log_level"] == "error"
    assert line["job_id"] == str(bad.claim.token.id)
