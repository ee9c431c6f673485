"""The order in line: where a job comes into it, and when."""

from collections.abc import Callable

from queuekit import codes
from queuekit.job import Micros
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Row


def put(
    tx: Transaction,
    row: Row,
    due: Micros | None,
    *,
    old: bool = False,
    ready: Callable[[int], int] = codes.ready,
) -> None:
    """A job is scheduled if it is due later, else ready at the end of the line (with `old`: in its old place)."""
    code = codes.SCHEDULED if due is not None and due > tx.now else ready(row.lapses)
    seq = row.seq if old else new_seqs(tx, 1)[0]
    tx.run("put_in_line", row.seq, seq, code, due, *row.traces)
    tx.got_work.add(row.queue)


def promote(tx: Transaction, limit: int) -> int:
    """Due jobs become ready; how many."""
    due = tx.all("find_due", tx.now, limit)
    if due:
        seqs = new_seqs(tx, len(due))
        rows = [
            (seq, new, codes.ready(lapses)) for (seq, _, lapses), new in zip(due, seqs, strict=True)
        ]
        tx.run_many("promote", rows)
        tx.got_work.update(queue for _, queue, _ in due)
    return len(due)


def new_seqs(tx: Transaction, count: int) -> range:
    """Of new jobs at the end of the line: behind jobs that are there, so it is not empty."""
    ((last,),) = tx.all("find_last_seq")
    return range(last + 1, last + 1 + count)


def paused(tx: Transaction) -> set[str]:
    """The queues that give nothing now."""
    return {queue for (queue,) in tx.all("find_paused")}
