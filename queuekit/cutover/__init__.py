"""Two backends that are one while a live system moves from the first to the second, and back if need be.

Numbers of rules are those of ``docs/cutover-protocol.md``. `rules` says what a step does to one copy of a job, `pair`
what a process knows of both sides, `shim` is the backend that producers and workers use, `enqueue` stores through it,
`movers` and `repair` go on beside it in every worker, and `steer` turns the gates.
"""

from queuekit.cutover.phase import Phase
from queuekit.cutover.shim import CutoverBackend
from queuekit.cutover.steer import Blocked, Status, Steering

__all__ = ["Blocked", "CutoverBackend", "Phase", "Status", "Steering"]
