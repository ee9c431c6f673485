"""Books that don't balance are found out."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from queuekit.job import JobRecord, State, new_id
from tests.chaos.books import complaints
from tests.chaos.ledger import Entry

JOB = new_id()
SUCCEEDED = JobRecord(
    id=JOB,
    task="work",
    queue="default",
    state=State.SUCCEEDED,
    payload="{}",
    priority=0,
    attempt=1,
    max_attempts=5,
    delivery=2,
    result="2",
)
FAILURE = json.dumps({"attempt": 1, "type": "PlannedError"})
DEATH = json.dumps({"attempt": 1, "type": "ChildProcessError"})


def started(token: int, attempt: int = 1) -> Entry:
    return Entry("start", JOB, token, attempt, "worker-0", 1, 0.0)


def after(*events: str, token: int = 1, errors: Sequence[str] = ()) -> JobRecord:
    """One that has succeeded after these events of an earlier run."""
    return replace(
        SUCCEEDED,
        history=[json.dumps({"event": event, "at": 0, "delivery": token}) for event in events],
        lapses=events.count("lapse"),
        crashes=events.count("death"),
        errors=errors,
        attempt=1 + errors.count(FAILURE),
    )


ONCE = (started(2),)
TWICE = (started(1), started(2))
AGAIN = (started(1), started(2, attempt=2))


@pytest.mark.parametrize(
    ("runs", "record"),
    [
        (ONCE, SUCCEEDED),
        (ONCE, after("lapse")),
        (ONCE, after("release")),
        (TWICE, after("lapse")),
        (TWICE, after("death", errors=[DEATH])),
        (AGAIN, after(errors=[FAILURE])),
    ],
)
def test_balanced_books(runs: Sequence[Entry], record: JobRecord) -> None:
    assert not list(complaints(runs, record))


@pytest.mark.parametrize(
    ("runs", "record", "complaint"),
    [
        ((), SUCCEEDED, "never started"),
        (ONCE, None, "unknown to the queue"),
        (ONCE * 2, SUCCEEDED, "same token"),
        (ONCE, replace(SUCCEEDED, state=State.RUNNING), "ended as running"),
        (ONCE, replace(SUCCEEDED, result="1"), "result is of another run"),
        (ONCE, after("lapse", token=2), "went back, too"),
        (ONCE, after(errors=[FAILURE]), "failures of runs that never were"),
        (TWICE, SUCCEEDED, "0 reasons"),
        (TWICE, after("lapse", "snooze"), "2 reasons"),
        (TWICE, after("release"), "had begun were given back"),
        (ONCE, after("release", token=2), "had begun were given back"),
        (TWICE, after(errors=[DEATH]), "0 reasons"),
        (TWICE, replace(after("lapse"), delivery=1), "ended by the token 1"),
        (TWICE, replace(after("lapse"), lapses=2), "counts 2 lapses"),
        (TWICE, replace(after("lapse"), attempt=2), "counts 2 attempts"),
    ],
)
def test_unbalanced_books(runs: Sequence[Entry], record: JobRecord | None, complaint: str) -> None:
    assert complaint in "; ".join(complaints(runs, record))
