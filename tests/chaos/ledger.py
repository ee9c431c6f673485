"""A ledger outside the servers: what really happened, whatever the queue believes.

Each process appends to a file of its own, one line an event, so that a kill can take nothing that was written.
"""

import functools
import json
import os
import time
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

FOLDER: Final = "CHAOS_LEDGER"
"""The environment variable that names the folder."""
WRITER: Final = "CHAOS_WRITER"
"""That names the worker or producer; its children inherit it."""


class Entry(NamedTuple):
    """One event of a job.

    Attributes:
        event: start, end, lost (the task learnt that its lease is lost) or acknowledged (to its producer).
        token: `Context.attempt_token` of the run.
        at: by the wall clock, in seconds.
    """

    event: str
    job: UUID
    token: int
    attempt: int
    writer: str
    pid: int
    at: float


def note(event: str, job: UUID, token: int = 0, attempt: int = 0) -> None:
    """Append an event."""
    pid = os.getpid()
    entry = Entry(event, job, token, attempt, os.environ[WRITER], pid, time.time())
    os.write(_file(pid), json.dumps(entry, default=str).encode() + b"\n")


@functools.cache
def _file(pid: int) -> int:
    path = Path(os.environ[FOLDER], f"{os.environ[WRITER]}-{pid}.jsonl")
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class Ledger:
    """Reads what was written so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, int] = {}
        self._entries: list[Entry] = []

    def of(self, event: str) -> list[Entry]:
        """All events of one kind."""
        self._read_on()
        return [entry for entry in self._entries if entry.event == event]

    def jobs(self, event: str) -> set[UUID]:
        """The jobs to which it happened."""
        return {entry.job for entry in self.of(event)}

    def _read_on(self) -> None:
        for path in self.folder.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines, newline, _ = file.read().rpartition(b"\n")
            self._read[path] = self._read.get(path, 0) + len(lines + newline)
            self._entries += map(_entry, lines.splitlines())


def _entry(line: bytes) -> Entry:
    event, job, *rest = json.loads(line)
    return Entry(event, UUID(job), *rest)
