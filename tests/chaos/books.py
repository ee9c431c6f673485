"""Whether what the ledger saw and what the queue recorded fit together."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from queuekit.job import Reason, State
from queuekit.record import JobRecord
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.store import Store

UNCOUNTED: Final = ("lapse", "death", "snooze")
DEATH: Final = "ChildProcessError"


async def assert_balanced(
    store: Store,
    ledger: Ledger,
    *fleets: Fleet,
    jobs: Collection[UUID],
    poisons: Collection[UUID] = (),
) -> None:
    """Every job has succeeded (a poison job: failed as crashed), and every run of it is accounted for.

    Args:
        fleets: all that there were; killed and stopped members may have forfeited leases.
        jobs: all that there are, poison jobs included.
    """
    records = await store.records(jobs)
    starts: dict[UUID, list[Entry]] = {job: [] for job in jobs}
    for entry in sorted(ledger.of("start"), key=lambda entry: entry.token):
        starts.setdefault(entry.job, []).append(entry)
    forfeited = set().union(*(fleet.forfeited for fleet in fleets))
    found = [
        f"job {job}: {complaint}"
        for job, runs in starts.items()
        for complaint in complaints(runs, records.get(job), poisonous=job in poisons)
    ]
    found += [
        f"job {job}: its lease {token} lapsed, and nobody who held it was killed; its runs: {starts[job]}"
        for job, token in lapses(records.values()).keys() - forfeited
    ]
    found += [text for fleet in fleets for text in fleet.tracebacks()]
    assert not found, "\n".join(found)
    listed = Counter(await store.ids())
    assert listed == Counter(jobs), f"listed {len(listed)} jobs instead of {len(jobs)}: {listed}"
    counts = await store.counts()
    ended = {State.SUCCEEDED: len(jobs) - len(poisons), State.FAILED: len(poisons)}
    assert counts == {state: count for state, count in ended.items() if count}, counts


def complaints(
    runs: Sequence[Entry], record: JobRecord | None, *, poisonous: bool = False
) -> Iterator[str]:
    """What is wrong with a job, its runs given in the order of their tokens."""
    if record is None:
        yield "is unknown to the queue"
        return
    if not runs:
        yield f"never started, but is {record.state}"
        return
    tokens = [run.token for run in runs]
    if len(set(tokens)) < len(tokens):
        yield f"two starts have the same token: {tokens}"
    # Nobody is told to shut down here; all else that is given back (unread, stale, claimed unawares) has not begun.
    given_back = {note["delivery"] for note in _notes(record) if note["event"] == "release"}
    if begun := given_back.intersection(tokens):
        yield f"runs that had begun were given back: {sorted(begun)}"
    yield from _wrong_end(runs[-1], record, poisonous=poisonous)
    yield from _wrong_returns(runs if poisonous else runs[:-1], record)


def _wrong_end(last: Entry, record: JobRecord, *, poisonous: bool) -> Iterator[str]:
    wanted = (State.FAILED, Reason.CRASHED) if poisonous else (State.SUCCEEDED, None)
    if (record.state, record.life.reason) != wanted:
        yield f"ended as {record.state} ({record.life.reason}): {record.notes.errors}"
    elif record.life.delivery != last.token:
        yield f"ended by the token {record.life.delivery}, but started last with {last.token}"
    elif not poisonous and record.notes.result != str(last.token):
        yield f"the result is of another run ({record.notes.result}) than the last ({last.token})"


def _wrong_returns(runs: Sequence[Entry], record: JobRecord) -> Iterator[str]:
    """Each of these runs must have gone back, and that must be on record exactly once."""
    notes = _notes(record)
    returned = Counter(note["delivery"] for note in notes if note["event"] in UNCOUNTED)
    errors = [json.loads(text) for text in record.notes.errors]
    failed = Counter(error["attempt"] for error in errors if error["type"] != DEATH)
    if record.life.attempt != 1 + failed.total() - (record.state is State.FAILED):
        yield f"counts {record.life.attempt} attempts with failures of {sorted(failed)}"
    for run in runs:
        reasons = returned[run.token] or failed.pop(run.attempt, 0)
        if reasons != 1:
            yield f"{reasons} reasons are on record for the end of {run}: {notes}, {errors}"
    if failed:
        yield f"failures of runs that never were: {sorted(failed)}"
    if record.state is State.SUCCEEDED and returned[record.life.delivery]:
        yield f"the run that succeeded went back, too: {notes}"
    events = Counter(note["event"] for note in notes)
    if (record.life.lapses, record.life.crashes) != (events["lapse"], events["death"]):
        yield f"counts {record.life.lapses} lapses and {record.life.crashes} deaths: {notes}"


def _notes(record: JobRecord) -> list[dict[str, Any]]:
    return [json.loads(text) for text in record.notes.history]


def lapses(records: Iterable[JobRecord | None]) -> dict[tuple[UUID, int], float]:
    """When which lease of which job lapsed, in seconds."""
    return {
        (record.job.id, note["delivery"]): note["at"] / 1_000_000
        for record in records
        if record is not None
        for note in _notes(record)
        if note["event"] == "lapse"
    }
