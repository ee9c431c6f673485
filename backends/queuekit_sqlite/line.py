"""The order in line: where a job comes into it, and when."""

from collections.abc import Callable

from queuekit import codes
from queuekit.job import State
from queuekit.record import JobRecord
from queuekit_sqlite import rows
from queuekit_sqlite.connection import Transaction
from queuekit_sqlite.rows import Stored


def put(
    tx: Transaction,
    stored: Stored,
    after: JobRecord,
    *,
    old: bool = False,
    ready: Callable[[int], int] = codes.ready,
) -> None:
    """A job comes into line: to its end, or (with `old`) to where it stood."""
    code = ready(after.life.lapses) if after.state is State.READY else rows.code_of(after)
    rows.write(tx, stored, after, code)
    if not old:
        tx.run("move", stored.seq, *new_seqs(tx, 1))
    ring(tx, after)


def ring(tx: Transaction, record: JobRecord) -> None:
    """Ring who sleeps until there is work, if this is or will be some."""
    if record.state in {State.READY, State.SCHEDULED}:
        tx.got_work.add(record.ref.queue)


def promote(tx: Transaction, queues: str, limit: int) -> int:
    """Due jobs of some queues (a JSON array) become ready; how many."""
    due = tx.all("find_due", queues, tx.now, limit)
    if due:
        seqs = new_seqs(tx, len(due))
        moves = [
            (seq, new, codes.ready(lapses)) for (seq, _, lapses), new in zip(due, seqs, strict=True)
        ]
        tx.run_many("promote", moves)
        tx.got_work.update(queue for _, queue, _ in due)
    return len(due)


def new_seqs(tx: Transaction, count: int) -> range:
    """Of new jobs at the end of the line: behind jobs that are there, so it is not empty."""
    ((last,),) = tx.all("find_last_seq")
    return range(last + 1, last + 1 + count)


def paused(tx: Transaction) -> set[str]:
    """The queues that give nothing now."""
    return {queue for (queue,) in tx.all("find_paused")}
