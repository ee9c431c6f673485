"""Stores whose verbs fail as the contract says that they may, put in at the seam between worker and backend."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from queuekit.backend import Backend, Inspector, Schedules
from queuekit.errors import BackendRefused, BackendUnavailable, ReplyLost

Which: TypeAlias = Callable[[Mapping[str, Any], Any], bool]
"""Whether a call is meant, by its keyword arguments and (of lost replies) its answer."""


class Fault:
    """Makes a verb of one backend (or inspector) object fail.

    Args:
        error: a `ReplyLost` comes after the call was carried out, any other instead of that.
        times: so many calls fail.
        which: of those that are meant.

    Attributes:
        happened: how many calls have failed.
    """

    def __init__(
        self,
        backend: Backend | Inspector | Schedules,
        verb: str,
        error: type[BackendUnavailable | BackendRefused],
        *,
        times: float = math.inf,
        which: Which = lambda _asked, _answer: True,
    ) -> None:
        self._verb = verb
        self._carry_out = getattr(backend, verb)
        self._error = error
        self._left = times
        self._which = which
        self.happened = 0
        setattr(backend, verb, self)

    async def __call__(self, *args: Any, **asked: Any) -> Any:
        lost = self._error is ReplyLost
        if not lost:
            self._strike(asked, None)
        answer = await self._carry_out(*args, **asked)
        if lost:
            self._strike(asked, answer)
        return answer

    def over(self) -> None:
        """It works from now on."""
        self._left = 0

    def _strike(self, asked: Mapping[str, Any], answer: Any) -> None:
        if self._left and self._which(asked, answer):
            self._left -= 1
            self.happened += 1
            raise self._error(f"{self._verb} was made to fail")


WORKERS_VERBS = ("fetch", "heartbeat", "leases", "report", "present", "absent", "wait", "maintain")


class Unreachable:
    """The server can't be reached by a worker any more; whoever asks for records and results still can."""

    def __init__(self, backend: Backend) -> None:
        self._faults = {verb: Fault(backend, verb, BackendUnavailable) for verb in WORKERS_VERBS}

    def tried(self, verb: str) -> int:
        """How often it was tried in vain."""
        return self._faults[verb].happened

    def over(self) -> None:
        """The server is back."""
        for fault in self._faults.values():
            fault.over()
