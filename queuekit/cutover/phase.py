"""Which phase of a cutover a queue is in, by the gates of both sides. Pure."""

from enum import StrEnum
from typing import NamedTuple

from queuekit.backend import Gate, Mark, active_in


class Phase(StrEnum):
    """How far a queue has come."""

    NONE = "none"
    """no cutover was started"""
    STARTING = "starting"
    """one side has a gate, the other has none (yet, or any more)"""
    MIRROR = "mirror"
    """the first side serves, the other has mirrors"""
    FLIPPING = "flipping"
    """one side was raised to the next epoch, the other was not yet"""
    MOVED = "moved"
    """the second side serves; flip again to go back"""
    SEALING = "sealing"
    """the passive side is to be sealed as soon as it owns nothing"""
    SEALED = "sealed"
    """the passive side takes no new ids"""
    CLOSED = "closed"
    """one side is home, the other may be switched off"""


class View(NamedTuple):
    """What both sides tell of a queue; None: no gate, or not known."""

    first: Gate | None = None
    second: Gate | None = None

    @property
    def epoch(self) -> int:
        """The later of both epochs; 0: no cutover was started."""
        return max(gate.epoch if gate else 0 for gate in self)

    @property
    def begun(self) -> bool:
        """Whether a cutover was started."""
        return self.first is not None or self.second is not None

    @property
    def active(self) -> int:
        """Which side serves."""
        return active_in(self.epoch) if self.begun else 0

    @property
    def passive(self) -> int:
        """Which side does not."""
        return 1 - self.active

    @property
    def agreed(self) -> bool:
        """Whether both sides are in the same epoch."""
        return self.begun and all(gate and gate.epoch == self.epoch for gate in self)

    @property
    def mirrored(self) -> bool:
        """Whether the passive side takes mirrors."""
        gate = self[self.passive]
        return gate is not None and not gate.shut

    @property
    def home(self) -> bool:
        """Whether the cutover is over, and only one side counts."""
        return any(gate and gate.mark in {Mark.HOME, Mark.CLOSED} for gate in self)

    @property
    def intended(self) -> bool:
        """Whether the passive side is to be sealed, in this epoch."""
        gate = self[self.active]
        return gate is not None and (gate.mark, gate.marked_at) == (Mark.INTENT, self.epoch)

    @property
    def phase(self) -> Phase:
        """How far the queue has come."""
        passive = self[self.passive]
        if not self.begun:
            return Phase.NONE
        if self.home:
            return Phase.CLOSED
        if None in self:
            return Phase.STARTING
        if not self.agreed:
            return Phase.FLIPPING
        if passive is not None and passive.mark is Mark.SEALED:
            return Phase.SEALED
        if self.intended:
            return Phase.SEALING
        return Phase.MIRROR if self.active == 0 else Phase.MOVED
