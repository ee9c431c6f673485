"""Books that don't balance are found out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from queuekit.job import Job, JobOptions, State, new_id
from queuekit.record import JobRecord, Life, Notes, Times
from tests.chaos.books import complaints
from tests.chaos.ledger import Entry

JOB = new_id()
SUCCEEDED = JobRecord(
    job=Job(JOB, "work", "{}", JobOptions()),
    life=Life(State.SUCCEEDED, attempt=1, delivery=2),
    times=Times(enqueued_at=1),
    notes=Notes(result="2"),
)
FAILURE = json.dumps({"attempt": 1, "type": "PlannedError"})
DEATH = json.dumps({"attempt": 1, "type": "ChildProcessError"})


def started(token: int, attempt: int = 1) -> Entry:
    return Entry("start", JOB, token, attempt, "worker-0", 1, 0.0)


def after(*events: str, token: int = 1, errors: Sequence[str] = ()) -> JobRecord:
    """One that has succeeded after these events of an earlier run."""
    history = [json.dumps({"event": event, "at": 0, "delivery": token}) for event in events]
    record = replace(SUCCEEDED, notes=Notes(result="2", errors=errors, history=history))
    return living(
        record,
        lapses=events.count("lapse"),
        crashes=events.count("death"),
        attempt=1 + errors.count(FAILURE),
    )


def living(record: JobRecord, **life: Any) -> JobRecord:
    """The same with another life."""
    return replace(record, life=record.life._replace(**life))


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
        (ONCE, living(SUCCEEDED, state=State.RUNNING), "ended as running"),
        (ONCE, replace(SUCCEEDED, notes=Notes(result="1")), "result is of another run"),
        (ONCE, after("lapse", token=2), "went back, too"),
        (ONCE, after(errors=[FAILURE]), "failures of runs that never were"),
        (TWICE, SUCCEEDED, "0 reasons"),
        (TWICE, after("lapse", "snooze"), "2 reasons"),
        (TWICE, after("release"), "had begun were given back"),
        (ONCE, after("release", token=2), "had begun were given back"),
        (TWICE, after(errors=[DEATH]), "0 reasons"),
        (TWICE, living(after("lapse"), delivery=1), "ended by the token 1"),
        (TWICE, living(after("lapse"), lapses=2), "counts 2 lapses"),
        (TWICE, living(after("lapse"), attempt=2), "counts 2 attempts"),
    ],
)
def test_unbalanced_books(runs: Sequence[Entry], record: JobRecord | None, complaint: str) -> None:
    assert complaint in "; ".join(complaints(runs, record))
