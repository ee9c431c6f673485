"""Whole jobs that come from another store."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from queuekit.backend import Change, Refusal, model
from queuekit.job import JobRef, State
from queuekit.record import JobRecord
from queuekit_sqlite import keys, life, retention, rows
from queuekit_sqlite.connection import Store, Transaction
from queuekit_sqlite.errors import UNSTORABLE

_PORTION: Final = 1_000
"""Jobs of one transaction."""


class SqliteTransfer:
    """The transfer of an SQLite backend."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    async def store(self, records: Sequence[JobRecord]) -> Sequence[Change]:
        """Store jobs as their records say; one answer each, in order."""
        changes: list[Change] = []
        for start in range(0, len(records), _PORTION):
            portion = records[start : start + _PORTION]
            changes += await self._store().write(partial(_store_all, portion))
        return changes


def _store_all(records: Sequence[JobRecord], tx: Transaction) -> list[Change]:
    return [_store(tx, record) for record in records]


def _store(tx: Transaction, record: JobRecord) -> Change:
    try:
        return _refusal(tx, record) or stored(tx, record)
    except UNSTORABLE as error:
        return model.refused(record.ref, Refusal.UNSTORABLE, detail=str(error))


def _refusal(tx: Transaction, record: JobRecord) -> Change | None:
    """Why a record can't be stored, if it can't."""
    ref = record.ref
    if known := retention.known(tx, ref):
        return known
    if record.follows is not None:
        held = rows.find(tx, JobRef(ref.queue, record.follows))
        if held is None or held.record.state is not State.RUNNING:
            return model.refused(ref, Refusal.GONE, holder=record.follows)
        if waiting := keys.follower(tx, held.record.ref):
            return model.refused(ref, Refusal.KEY_HELD, holder=waiting.record.job.id)
    holder = keys.holder(tx, ref.queue, record.job.key)
    if holder and keys.takes(tx, record):
        return model.refused(ref, Refusal.KEY_HELD, holder=holder.id)
    return None


def stored(tx: Transaction, record: JobRecord, *, takes_key: bool = True) -> Change:
    """A whole job is there from now on, and holds its key unless another one does."""
    keep = model.kept(record, None, tx.settings, awaited=False)
    retention.note_success(tx, record, keep)
    return life.begin(tx, record, takes_key=takes_key)
