"""What people see of the demo: a picture on a terminal, lines elsewhere."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from queuekit.backend import QueueInfo
from queuekit.demo.view import Glance, view
from queuekit.job import Failure, JobInfo, State, new_id

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def job(state: State, **more: Any) -> JobInfo:
    fields: dict[str, Any] = {
        "task": "process", "queue": "charges", "priority": 0, "attempt": 1, "max_attempts": 4,
        "lapses": 0, "crashes": 0, "reason": None, "errors": (), "arguments": {}, "result": None, "enqueued_at": NOW,
        "scheduled_at": None, "started_at": None, "finished_at": None, "key": "evt_1", "tags": (),
        "meta": {}, "progress": None, "logs": (),
    }  # fmt: skip
    return JobInfo(id=new_id(), state=state, **{**fields, **more})


def glance(seconds: float, done: int, recent: tuple[JobInfo, ...] = ()) -> Glance:
    queues = [
        QueueInfo(name="webhooks", counts={State.SUCCEEDED: done, State.READY: 2}),
        QueueInfo(name="charges", counts={State.SUCCEEDED: done, State.FAILED: 1}),
    ]
    return Glance(seconds, 2 * done, 100, queues, recent)


def shown(*glances: Glance, terminal: bool) -> str:
    """All lines; of pictures the last one."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    with view(console) as look:
        for one in glances:
            look(one)
    return out.getvalue().rpartition("\x1b[2K")[2]


def test_counts_are_those_of_all_queues() -> None:
    seen = glance(1, done=10)
    assert dict(seen.counts) == {State.READY: 2, State.SUCCEEDED: 20, State.FAILED: 1}
    assert (seen.finished, seen.unfinished) == (21, 2)


def test_a_line_a_second_for_logs() -> None:
    lines = shown(*(glance(n / 4, done=n) for n in range(9)), terminal=False).splitlines()

    assert [line.split()[0] for line in lines] == ["0.0", "1.0", "2.0"]
    assert "8/100 received  2 ready, 8 succeeded, 1 failed" in lines[1]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_rate_is_that_of_late(terminal: bool) -> None:
    slow = [glance(t / 2, done=t) for t in range(7)]
    # From the third second on 25 more in each of two queues, twice a second.
    fast = [glance(3 + t / 2, done=6 + 25 * t) for t in range(1, 5)]

    assert " 4 jobs/s" in shown(*slow, terminal=terminal)
    assert "100 jobs/s" in shown(*slow, *fast, terminal=terminal)


def test_a_picture_for_people() -> None:
    failure = Failure(2, "TimeoutError", "the provider did not answer", "", NOW)
    recent = (
        job(State.SCHEDULED, attempt=2, errors=(failure,), tags=("charge.refunded",)),
        job(State.SUCCEEDED, key=None),
    )

    text = shown(glance(2.5, done=10, recent=recent), terminal=True)

    assert "20 of 100 webhooks received" in text
    assert "2.5 s" in text
    for row in ("webhooks", "charges"):
        (line,) = [line for line in text.splitlines() if line.strip().startswith(row)]
        assert "10" in line.split()
    (line,) = [line for line in text.splitlines() if "evt_1" in line]
    for part in (
        "charge.refunded",
        "scheduled",
        "2/4",
        "TimeoutError: the provider did not answer",
    ):
        assert part in line
