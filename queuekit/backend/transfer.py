"""Whole jobs that move from one store to another: `Inspector.get` reads them, `Transfer.store` stores them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from queuekit.backend.changes import Change
from queuekit.record import JobRecord


@runtime_checkable
class Transfer(Protocol):
    """What moving jobs needs of the store that gets them."""

    async def store(self, records: Sequence[JobRecord]) -> Sequence[Change]:
        """Store jobs as their records say; one answer each, in order. `Inspector.get` gives the same records then.

        A known or remembered id changes nothing (`KNOWN`). An unfinished job, and one whose key is protected for a
        time that is not over, takes its key, unless that was freed when it ``started``; if another job holds it:
        `KEY_HELD`, with its id. A waiting job follows the job that its record names, which must be there, and running
        (it may stand before it in the same call), else `GONE`, with that id. What the server does not take is
        `UNSTORABLE`.

        Ready jobs come to the end of the line, in the order of the call; those with lapses as suspects, or alone.
        A running job keeps its token, claimant and lease, so whoever runs it can settle it here. A finished one is a
        record until `kept_until` (also if that is over: then its id is remembered, but it can't be read).
        Rings sleepers of the queues that got a ready or scheduled job.
        """
        ...
