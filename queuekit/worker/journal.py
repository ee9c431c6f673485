"""What a worker logs of its jobs: a warning for each failed attempt, an error for each job that failed for good."""

import json
from collections.abc import Collection
from itertools import islice
from typing import Any, Final

from queuekit.backend import Change
from queuekit.job import Ack, Claim, Return, ReturnKind, State
from queuekit.lifecycle import Died, Failed, Outcome
from queuekit.log import log
from queuekit.worker.run import Run

NAMED: Final = 20
"""So many jobs are named in a line of the log."""


def tell(claim: Claim, outcome: Outcome, settled: Ack | Return) -> None:
    """Log what came of a run, unless it went well."""
    if not isinstance(outcome, (Failed, Died)):
        return
    error: dict[str, str] = json.loads(outcome.error) if outcome.error else {}
    fields = about(claim)
    if error:
        fields["error"] = f"{error['type']}: {error['message']}"
    if isinstance(settled, Ack):
        assert settled.state is State.FAILED
        if error:
            fields["exception"] = error["traceback"].rstrip()
        log.error("job failed", **fields, reason=str(settled.reason))
    elif settled.kind is ReturnKind.DEATH:
        log.warning("a job's process died; it does not count as an attempt", **fields)
    else:
        log.warning("attempt failed", **fields, again=_in(settled.delay))


def tell_end(change: Change) -> None:
    """Log a job that the store itself has ended as failed."""
    if change.now is State.FAILED and change.reason:
        ref = change.ref
        log.error(
            "job failed",
            task=change.task,
            job_id=str(ref.id),
            queue=ref.queue,
            reason=change.reason,
        )


def about(claim: Claim) -> dict[str, Any]:
    """The fields of a line about one run."""
    return {
        "task": claim.task,
        "job_id": str(claim.token.id),
        "queue": claim.token.queue,
        "attempt": f"{claim.attempt} of {claim.max_attempts}",
    }


def named(runs: Collection[Run]) -> list[str]:
    """The names of some runs, for a line about all of them."""
    names = [f"{run.claim.task} {run.claim.token.id}" for run in islice(runs, NAMED)]
    return names if len(runs) <= NAMED else [*names, f"and {len(runs) - NAMED} more"]


def _in(delay: int) -> str:
    return f"in {delay / 1_000_000:.3g} s" if delay else "at once"
