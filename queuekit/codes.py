"""The numbers by which stores write states and settlements, and how files of SQL and Lua get them.

Their order makes the conditions of indexes simple. A ready job has one of three codes, by its lapses: an ordinary one
is anybody's, a suspect is claimed only within a fetch's `suspects`, and a solitary one waits until `maintain` hands it
out as a suspect, one a queue at a time.

Files of SQL and Lua say the names that stand here in capitals, and those of the contract's constants; `rendered` puts
the numbers in when a file is loaded, so that each number is written once.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from typing import Final

from queuekit.backend import (
    FOR_EVER,
    HEARD_WITHIN,
    KEEP_FOR_WAITERS,
    LOGS_KEPT,
    NOTES_KEPT,
    REMEMBER_IDS,
)
from queuekit.job import (
    DEATHS_ALLOWED,
    LAPSES_ALLOWED,
    SOLITARY_AFTER,
    SUSPECT_AFTER,
    Ack,
    Return,
    ReturnKind,
    State,
)
from queuekit.schedule import TICKS_KEPT

READY: Final = 0
SUSPECT: Final = 1
SOLITARY: Final = 2
SCHEDULED: Final = 3
BLOCKED: Final = 4
WAITING: Final = 5
RUNNING: Final = 6
SUCCEEDED: Final = 7
FAILED: Final = 8
CANCELLED: Final = 9
RETRIED: Final = 11
SNOOZED: Final = 12
RELEASED: Final = 13
DIED: Final = 14

STATES: Final[Mapping[int | None, State]] = {
    READY: State.READY,
    SUSPECT: State.READY,
    SOLITARY: State.READY,
    SCHEDULED: State.SCHEDULED,
    BLOCKED: State.BLOCKED,
    WAITING: State.WAITING,
    RUNNING: State.RUNNING,
    SUCCEEDED: State.SUCCEEDED,
    FAILED: State.FAILED,
    CANCELLED: State.CANCELLED,
}

FINISHED: Final = frozenset({SUCCEEDED, FAILED, CANCELLED})

ENDS: Final[Mapping[State, int]] = {
    State.SUCCEEDED: SUCCEEDED,
    State.FAILED: FAILED,
    State.CANCELLED: CANCELLED,
}

RETURNS: Final[Mapping[ReturnKind, int]] = {
    ReturnKind.RETRY: RETRIED,
    ReturnKind.SNOOZE: SNOOZED,
    ReturnKind.RELEASE: RELEASED,
    ReturnKind.DEATH: DIED,
}

SETTLEMENTS: Final[Mapping[State | ReturnKind, int]] = dict([*ENDS.items(), *RETURNS.items()])

HOW: Final[Mapping[int, State | ReturnKind]] = {number: how for how, number in SETTLEMENTS.items()}
"""How a run was settled, by its number."""

NUMBERS: Final[Mapping[str, int]] = {
    "READY": READY,
    "SUSPECT": SUSPECT,
    "SOLITARY": SOLITARY,
    "SCHEDULED": SCHEDULED,
    "BLOCKED": BLOCKED,
    "WAITING": WAITING,
    "RUNNING": RUNNING,
    "SUCCEEDED": SUCCEEDED,
    "FAILED": FAILED,
    "CANCELLED": CANCELLED,
    "RETRIED": RETRIED,
    "SNOOZED": SNOOZED,
    "RELEASED": RELEASED,
    "DIED": DIED,
    "SUSPECT_AFTER": SUSPECT_AFTER,
    "SOLITARY_AFTER": SOLITARY_AFTER,
    "LAPSES_ALLOWED": LAPSES_ALLOWED,
    "DEATHS_ALLOWED": DEATHS_ALLOWED,
    "REMEMBER_IDS": REMEMBER_IDS,
    "KEEP_FOR_WAITERS": KEEP_FOR_WAITERS,
    "HEARD_WITHIN": HEARD_WITHIN,
    "NOTES_KEPT": NOTES_KEPT,
    "LOGS_KEPT": LOGS_KEPT,
    "TICKS_KEPT": TICKS_KEPT,
    "FOR_EVER": FOR_EVER,
}
"""The names that files of SQL and Lua may say."""
_SECTION: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_NAME: Final = re.compile(rf"\b(?:{'|'.join(NUMBERS)})\b")


def rendered(text: str) -> str:
    """A file of SQL or Lua with numbers for the names of `NUMBERS`."""
    return _NAME.sub(lambda name: str(NUMBERS[name[0]]), text)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """The statements of a file of SQL, by name: each stands below a line ``-- name: ...`` of its own."""
    _, *found = _SECTION.split(text)
    yield from zip(found[::2], found[1::2], strict=True)


def digest(script: str) -> str:
    """What tells a step of a schema from another one of its name."""
    return sha256(script.encode()).hexdigest()[:16]


def ready(lapses: int) -> int:
    """The code of a ready job."""
    if lapses < SUSPECT_AFTER:
        return READY
    return SUSPECT if lapses < SOLITARY_AFTER else SOLITARY


def ready_again(lapses: int) -> int:
    """The code of a job that ran and is ready: a solitary one stays the one that is out."""
    return min(ready(lapses), SUSPECT)


def settlement(outcome: Ack | Return) -> int:
    """The number that is remembered of how a run was settled: an end's code, or that of the way back."""
    return SETTLEMENTS[outcome.state if isinstance(outcome, Ack) else outcome.kind]


def codes_of(states: Collection[State]) -> list[int]:
    """All codes by which jobs of these states are stored."""
    return [code for code, state in STATES.items() if code is not None and state in states]
