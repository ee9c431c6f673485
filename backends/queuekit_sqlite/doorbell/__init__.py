"""How a sleeping process is woken: decided in a transaction, and rung at its socket after the commit."""

from queuekit_sqlite.doorbell.rings import (
    find_awaited,
    is_awaited,
    ring_process,
    ring_sleepers,
    tell_waiters,
)
from queuekit_sqlite.doorbell.sockets import (
    LOOK_AGAIN,
    TICK,
    Bell,
    Doorbell,
    of_job,
    of_process,
    send,
)

__all__ = [
    "LOOK_AGAIN",
    "TICK",
    "Bell",
    "Doorbell",
    "find_awaited",
    "is_awaited",
    "of_job",
    "of_process",
    "ring_process",
    "ring_sleepers",
    "send",
    "tell_waiters",
]
