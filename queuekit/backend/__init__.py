"""The contract between queuekit and a store of jobs.

A backend is found by its URL's scheme (entry-point group ``queuekit.backends``) and made as
``BackendClass(url, settings)``. It lives on one event loop. `queuekit.testing.conformance` says in code what is said
here in prose; a backend that passes it is a backend.

What every implementation owes, whatever the verb:

* **Batch first.** A call takes and gives sequences, in the same order. One bad element never fails its companions:
  what the server refuses as a whole is halved until the guilty element stands alone.
* **A lost reply loses nothing.** Every verb may be repeated: with the same ids (enqueue) or tokens (ack, retry,
  heartbeat, report) it does what was not done yet and answers as if it had been the first time.
* **Server clocks only.** Due times, leases, expiry and retention go by the server's clock.
* **Every call has a deadline** (`BackendSettings.timeout`), after which it raises `ReplyLost`; a server that can't be
  reached raises `BackendUnavailable`, one that refuses `BackendRefused`, one that is gone for good `StoreGone`. No
  error of the driver comes through, and no message shows a password.
* **Calls may overlap.** Any number may be under way at once on one backend object; a call that is cancelled leaves the
  object usable.
* **Every transition out of running needs the token**: same id, same delivery.
"""

from queuekit.backend.answers import (
    Ask,
    Fetched,
    Held,
    JobFilter,
    Presence,
    Pulse,
    QueueInfo,
    Report,
    Upkeep,
    WorkerInfo,
)
from queuekit.backend.backend import Backend
from queuekit.backend.changes import Change, Changes, Refusal
from queuekit.backend.inspector import STEERING, Inspector
from queuekit.backend.schedules import Due, Schedules
from queuekit.backend.schema import HasSchema
from queuekit.backend.settings import (
    HEARD_WITHIN,
    KEEP_FAILED,
    KEEP_FOR_WAITERS,
    KEEP_SUCCEEDED,
    LOGS_KEPT,
    NOTES_KEPT,
    PROTOCOL,
    REMEMBER_IDS,
    UNKNOWN_TASK_PATIENCE,
    BackendSettings,
)
from queuekit.backend.sides import (
    ABSENT,
    FOR_EVER,
    Copy,
    Gate,
    Guard,
    HasSides,
    KeyHolder,
    KeysHeld,
    Kind,
    Mark,
    Page,
    Side,
    Stamp,
    Swap,
    Swapped,
    active_in,
)
from queuekit.backend.transfer import Transfer

__all__ = [
    "ABSENT",
    "FOR_EVER",
    "HEARD_WITHIN",
    "KEEP_FAILED",
    "KEEP_FOR_WAITERS",
    "KEEP_SUCCEEDED",
    "LOGS_KEPT",
    "NOTES_KEPT",
    "PROTOCOL",
    "REMEMBER_IDS",
    "STEERING",
    "UNKNOWN_TASK_PATIENCE",
    "Ask",
    "Backend",
    "BackendSettings",
    "Change",
    "Changes",
    "Copy",
    "Due",
    "Fetched",
    "Gate",
    "Guard",
    "HasSchema",
    "HasSides",
    "Held",
    "Inspector",
    "JobFilter",
    "KeyHolder",
    "KeysHeld",
    "Kind",
    "Mark",
    "Page",
    "Presence",
    "Pulse",
    "QueueInfo",
    "Refusal",
    "Report",
    "Schedules",
    "Side",
    "Stamp",
    "Swap",
    "Swapped",
    "Transfer",
    "Upkeep",
    "WorkerInfo",
    "active_in",
]
