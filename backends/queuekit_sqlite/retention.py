"""Records of finished jobs: how long they are kept, which go, and which ids stay remembered."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from queuekit import codes
from queuekit.backend import REMEMBER_IDS
from queuekit.job import Keep, Micros
from queuekit_sqlite.connection import Transaction, Values
from queuekit_sqlite.rows import Row

_PRUNED: Final = 10_000
"""Finished jobs that go in one call: they came by the batch, so they must go by the batch."""


def of_job(tx: Transaction, row: Row, code: int, asked: Keep | None) -> Keep:
    """How long the record of a job that ends is kept: as it says itself, else as its worker asks, else as usual."""
    if row.keep_age is not None:
        return Keep(row.keep_age, row.keep_count)
    if asked is not None:
        return asked
    settings = tx.settings
    return settings.keep_succeeded if code == codes.SUCCEEDED else settings.keep_failed


def note_growth(tx: Transaction, kinds: Mapping[tuple[str, str], Keep]) -> None:
    """Of some queues and tasks there are more succeeded jobs, that are kept for so long."""
    rows = [(*kind, keep.count, tx.now + keep.age) for kind, keep in kinds.items()]
    tx.run_many("note_growth", rows)


def drop(tx: Transaction, row: Row, code: int | None) -> None:
    """Remove a job; its id stays remembered, and how it ended and was settled (None: it was deleted)."""
    point = row.seq, row.id, row.delivery, row.state
    settled = (None, None) if code is None else (row.settled, row.settled_delivery)
    tx.run("remember_id", *point, code, tx.now + REMEMBER_IDS, *settled)
    tx.run("drop", *point)


def drop_plain(tx: Transaction, points: Sequence[Values]) -> int:
    """Remove jobs that succeed now and leave no record; how many did."""
    if not points:
        return 0
    # Passes by the door (life.leave): plain successes, in bulk.
    end, until = codes.SUCCEEDED, tx.now + REMEMBER_IDS
    tx.run_many("remember_id", [(*point, end, until, end, point[2]) for point in points])
    return tx.run_many("drop", points)


def forget(tx: Transaction, seqs: Sequence[int], since: Micros = 0) -> None:
    """Remove finished jobs, by their seq.

    Their ids stay remembered for their time, counted from the job's end or, if that is later, from `since`.
    """
    if seqs:
        array = json.dumps(seqs)
        tx.run("remember_finished", array, REMEMBER_IDS, since, tx.now)
        tx.run("drop_finished", array)


def prune(tx: Transaction) -> int:
    """Remove what is past its retention, up to a bound; how many records."""
    tx.run("forget_ids", tx.now, _PRUNED)
    outworn = [seq for (seq,) in tx.all("find_outworn", tx.now, _PRUNED)]
    forget(tx, outworn)
    pruned = len(outworn) + sum(_trim(tx, *kind) for kind in tx.all("find_kinds", tx.now))
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
