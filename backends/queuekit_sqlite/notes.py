"""What is noted of a job: its last errors and events, its progress and its last log lines."""

import json
from collections.abc import Sequence

from queuekit.backend import LOGS_KEPT, NOTES_KEPT
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Row


def with_event(tx: Transaction, row: Row, event: str) -> Row:
    """A job with one more event in its history."""
    note = json.dumps({"event": event, "at": tx.now, "delivery": row.delivery})
    return row._replace(history=_prepended(note, row.history))


def with_error(tx: Transaction, row: Row, error: str) -> Row:
    """A job with one more error."""
    note = json.dumps({**json.loads(error), "at": tx.now})
    return row._replace(errors=_prepended(note, row.errors))


def report(tx: Transaction, seq: int, progress: str | None, lines: Sequence[str]) -> None:
    """Keep progress (None: unchanged) and log lines of a job."""
    ((old_progress, old_logs),) = tx.all("read_report", seq)
    logs = [*(json.loads(old_logs) if old_logs else ()), *lines][-LOGS_KEPT:]
    tx.run(
        "write_report",
        seq,
        old_progress if progress is None else progress,
        json.dumps(logs) if logs else None,
    )


def _prepended(line: str, lines: str | None) -> str:
    return "\n".join([line, *lines.split("\n")][:NOTES_KEPT]) if lines else line
