"""Keeping leases, and reporting under them."""

import contextlib
import json
from collections.abc import Sequence
from uuid import UUID

from queuekit.backend import LOGS_KEPT, Held, Pulse, Report
from queuekit.job import Token
from queuekit_sqlite.enqueue import UNSTORABLE
from queuekit_sqlite.transaction import Transaction


def extend(tx: Transaction, tokens: Sequence[Token]) -> Pulse:
    """Extend leases, by their own length from now; their owner counts as heard."""
    points = [(token.id.bytes, token.queue, token.delivery) for token in tokens]
    lost: list[Token] = []
    if tx.run_many("extend_lease", [(*point, tx.now) for point in points]) != len(tokens):
        lost = [
            token
            for token, point in zip(tokens, points, strict=True)
            if tx.one("find_running", *point) is None
        ]
    asked = set(tx.all("find_cancelling"))
    cancels = [
        token for token, point in zip(tokens, points, strict=True) if asked and point in asked
    ]
    return Pulse(lost, cancels)


def held(tx: Transaction, process: str) -> list[Held]:
    """The leases of a process."""
    return [
        Held(Token(queue, UUID(bytes=id_), delivery, -seq if rare else seq), number)
        for queue, id_, delivery, seq, rare, number in tx.all("find_leases", process)
    ]


def report(tx: Transaction, reports: Sequence[Report]) -> None:
    """Keep progress and log lines; stale tokens change nothing, and what can't be stored is left out."""
    for token, progress, lines in reports:
        running = tx.one("find_running", token.id.bytes, token.queue, token.delivery)
        if running is None:
            continue
        ((old_progress, old_logs),) = tx.all("read_report", *running)
        logs = [*(json.loads(old_logs) if old_logs else ()), *lines][-LOGS_KEPT:]
        with contextlib.suppress(*UNSTORABLE):
            tx.run(
                "write_report",
                *running,
                old_progress if progress is None else progress,
                json.dumps(logs) if logs else None,
            )
