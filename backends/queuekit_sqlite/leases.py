"""What a process says of itself and of its runs: presence, heartbeats, reports."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from queuekit.backend import Held, Presence, Pulse, Report
from queuekit.job import Token
from queuekit_sqlite import notes
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.errors import UNSTORABLE


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
        Held(Token(queue, UUID(bytes=id_), delivery, -seq if special else seq, generation), claim)
        for queue, id_, delivery, seq, special, generation, claim in tx.all("find_leases", process)
    ]


def report(tx: Transaction, reports: Sequence[Report]) -> None:
    """Keep progress and log lines; stale tokens change nothing, and what can't be stored is left out."""
    for token, progress, lines in reports:
        running = tx.one("find_running", token.id.bytes, token.queue, token.delivery)
        if running is not None:
            with contextlib.suppress(*UNSTORABLE):
                notes.report(tx, running[0], progress, lines)


def register(tx: Transaction, presence: Presence, address: str) -> None:
    """A process is there, with a doorbell at this address."""
    body, until = json.dumps(asdict(presence)), tx.now + presence.ttl
    tx.run("register_presence", presence.process, body, address, tx.now, until)


def unregister(tx: Transaction, process: str) -> None:
    """A process leaves."""
    tx.run("remove_presence", process)
