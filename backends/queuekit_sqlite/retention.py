"""Records of finished jobs: how long they are kept, which go, and which ids stay remembered."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from queuekit import codes
from queuekit.backend import REMEMBER_IDS, Change, Refusal, model
from queuekit.job import JobRef, Keep, Micros, State
from queuekit.record import JobRecord
from queuekit_sqlite import rows
from queuekit_sqlite.connection import Transaction, Values
from queuekit_sqlite.rows import Stored

_PRUNED: Final = 10_000
"""Finished jobs that go in one call: they came by the batch, so they must go by the batch."""


def known(tx: Transaction, ref: JobRef) -> Change | None:
    """The refusal of an id that is there, or was."""
    found = tx.one("find_known", ref.id.bytes, ref.queue, tx.now)
    if found is None:
        return None
    seen = None if found[0] is None else rows.at(tx, found[0]).seen(tx.now)
    return model.refused(seen or ref, Refusal.KNOWN)


def note_growth(tx: Transaction, kinds: Mapping[tuple[str, str], Keep]) -> None:
    """Of some queues and tasks there are more succeeded jobs, that are kept for so long."""
    grown = [(*kind, keep.count, tx.now + keep.age) for kind, keep in kinds.items()]
    tx.run_many("note_growth", grown)


def note_success(tx: Transaction, record: JobRecord, keep: Keep) -> None:
    """There is one more record; if it is that of a success its kind has grown."""
    if record.state is State.SUCCEEDED:
        until = record.times.kept_until
        tx.run("note_growth", record.ref.queue, record.job.task, keep.count, until)


def drop(tx: Transaction, stored: Stored, after: JobRecord) -> None:
    """Remove a job; its id stays remembered, and how its last run was settled."""
    point = stored.seq, after.job.id.bytes, after.life.delivery, stored.code
    settled = after.settled
    how = (codes.SETTLEMENTS[settled.how], settled.delivery) if settled else (None, None)
    tx.run("remember_id", *point, tx.now + REMEMBER_IDS, *how)
    tx.run("drop", *point)


def take_out(tx: Transaction, stored: Stored) -> None:
    """Remove a job, and remember nothing of it: something else is to take its place."""
    record = stored.record
    tx.run("drop", stored.seq, record.job.id.bytes, record.life.delivery, stored.code)


def drop_plain(tx: Transaction, points: Sequence[Values]) -> int:
    """Remove jobs that succeed now and leave no record; how many did."""
    if not points:
        return 0
    # Does not go through the one door (life.leave): plain successes, in bulk.
    end, until = codes.SUCCEEDED, tx.now + REMEMBER_IDS
    tx.run_many("remember_id", [(*point, until, end, point[2]) for point in points])
    return tx.run_many("drop", points)


def forget(tx: Transaction, seqs: Sequence[int], since: Micros = 0) -> None:
    """Remove finished jobs, by their seq.

    Their ids stay remembered for their time, counted from the job's end or, if that is later, from `since`.
    """
    if seqs:
        array = json.dumps(seqs)
        tx.run("remember_finished", array, REMEMBER_IDS, since, tx.now)
        tx.run("drop_finished", array)


def prune(tx: Transaction, queues: str) -> int:
    """Remove what is past its retention in some queues (a JSON array), up to a bound; how many records."""
    tx.run("forget_ids", tx.now, _PRUNED)
    outworn = [seq for (seq,) in tx.all("find_outworn", queues, tx.now, _PRUNED)]
    forget(tx, outworn)
    pruned = len(outworn) + sum(_trim(tx, *kind) for kind in tx.all("find_kinds", queues, tx.now))
    tx.run("forget_kinds")
    return pruned


def _trim(tx: Transaction, queue: str, task: str, most: int) -> int:
    outworn = [seq for (seq,) in tx.all("find_outworn_of_kind", queue, task, tx.now, _PRUNED)]
    forget(tx, outworn)
    surplus = tx.all("find_surplus", queue, task, most, _PRUNED, tx.now) if most >= 0 else []
    cut = [seq for seq, may_go in surplus if may_go]
    forget(tx, cut)
    pruned = len(outworn) + len(cut)
    tx.run("note_trim", queue, task, pruned >= _PRUNED or len(cut) < len(surplus))
    return pruned
