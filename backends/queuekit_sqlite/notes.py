"""What is noted of a job that runs: its progress and its last log lines."""

import json
from collections.abc import Sequence

from queuekit.backend import LOGS_KEPT
from queuekit_sqlite.connection import Transaction


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
