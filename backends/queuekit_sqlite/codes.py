"""The numbers by which the tables name states and settlements; their order makes the conditions of indexes simple.

A ready job has one of three codes, by its lapses: an ordinary one is anybody's, a suspect is claimed only within a
fetch's `suspects`, and a solitary one waits until `maintain` hands it out as a suspect, one a queue at a time.
"""

from collections.abc import Mapping
from typing import Final

from queuekit.job import SOLITARY_AFTER, SUSPECT_AFTER, Ack, Return, ReturnKind, State

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

_RETURNS: Final[Mapping[ReturnKind, int]] = {
    ReturnKind.RETRY: 11,
    ReturnKind.SNOOZE: 12,
    ReturnKind.RELEASE: 13,
    ReturnKind.DEATH: 14,
}


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
    return ENDS[outcome.state] if isinstance(outcome, Ack) else _RETURNS[outcome.kind]
