"""Whether what the ledger saw and what the queue recorded fit together."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from uuid import UUID

from queuekit.job import JobRecord, Reason, State
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.store import Store

UNCOUNTED = ("lapse", "death", "snooze", "release")


async def assert_balanced(
    store: Store,
    ledger: Ledger,
    *fleets: Fleet,
    jobs: Collection[UUID],
    poisons: Collection[UUID] = (),
) -> None:
    """Every job has succeeded (a poison job: failed as crashed), and every run of it is accounted for.

    Args:
        fleets: whose killed members may have forfeited leases.
        jobs: all that there are, poison jobs included.
    """
    records = await store.records(jobs)
    starts: dict[UUID, list[Entry]] = {job: [] for job in jobs}
    for entry in sorted(ledger.of("start"), key=lambda entry: entry.token):
        starts.setdefault(entry.job, []).append(entry)
    forfeited = set().union(*(fleet.forfeited for fleet in fleets))
    complaints = [
        f"job {job}: {complaint}"
        for job, runs in starts.items()
        for complaint in _complaints(runs, records.get(job), poisonous=job in poisons)
    ]
    complaints += [
        f"job {job}: its lease {token} lapsed, and nobody who held it was killed"
        for job, token in _lapses(records) - forfeited
    ]
    assert not complaints, "\n".join(complaints)
    listed = Counter(await store.ids())
    assert listed == Counter(jobs), f"listed {len(listed)} jobs instead of {len(jobs)}: {listed}"
    counts = await store.counts()
    ended = {State.SUCCEEDED: len(jobs) - len(poisons), State.FAILED: len(poisons)}
    assert counts == {state: count for state, count in ended.items() if count}, counts


def _complaints(
    runs: Sequence[Entry], record: JobRecord | None, *, poisonous: bool
) -> Iterator[str]:
    if record is None:
        yield "is unknown to the queue"
        return
    if not runs:
        yield f"never started, but is {record.state}"
        return
    tokens = [run.token for run in runs]
    if len(set(tokens)) < len(tokens):
        yield f"two starts have the same token: {tokens}"
    yield from _wrong_end(runs[-1], record, poisonous=poisonous)
    yield from _unexplained(runs if poisonous else runs[:-1], record)


def _wrong_end(last: Entry, record: JobRecord, *, poisonous: bool) -> Iterator[str]:
    wanted = (State.FAILED, Reason.CRASHED) if poisonous else (State.SUCCEEDED, None)
    if (record.state, record.reason) != wanted:
        yield f"ended as {record.state} ({record.reason}): {record.errors}"
    elif record.delivery != last.token:
        yield f"ended by the token {record.delivery}, but started last with {last.token}"
    elif not poisonous and record.result != str(last.token):
        yield f"the result is of another run ({record.result}) than the last ({last.token})"


def _unexplained(runs: Sequence[Entry], record: JobRecord) -> Iterator[str]:
    """Runs that came to an end which is not on record exactly once."""
    notes = [json.loads(text) for text in record.history]
    returned = Counter(note["delivery"] for note in notes if note["event"] in UNCOUNTED)
    failures = [json.loads(text) for text in record.errors]
    failed = Counter(one["attempt"] for one in failures if one["type"] != "ChildProcessError")
    for run in runs:
        reasons = returned[run.token] or failed.pop(run.attempt, 0)
        if reasons != 1:
            yield f"the run {run} has {reasons} recorded ends; history: {notes}"
    if failed:
        yield f"failures of runs that never were: {failed}"


def _lapses(records: dict[UUID, JobRecord | None]) -> set[tuple[UUID, int]]:
    notes = (
        (job, json.loads(text))
        for job, record in records.items()
        if record is not None
        for text in record.history
    )
    return {(job, note["delivery"]) for job, note in notes if note["event"] == "lapse"}
