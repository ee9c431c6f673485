"""A whole job as text: what a side keeps of a job that is not its to run."""

from dataclasses import replace
from typing import Final

from pydantic import TypeAdapter

from queuekit.job import State
from queuekit.record import JobRecord

_RECORD: Final = TypeAdapter(JobRecord)


def text_of(record: JobRecord) -> str:
    """One line of JSON.

    A running job is written as if it had been given back: a copy that comes to life again is nobody's run.
    """
    return _RECORD.dump_json(_at_rest(record)).decode()


def record_of(text: str) -> JobRecord:
    """Of what `text_of` has written. Raises `ValueError`: it is of another version, or no such text."""
    return _RECORD.validate_json(text)


def _at_rest(record: JobRecord) -> JobRecord:
    if record.state is not State.RUNNING:
        return record
    life = record.life._replace(
        state=State.READY, attempt=record.life.attempt - 1, cancel_requested=False
    )
    return replace(record, life=life, lease=None, times=record.times._replace(leased_until=None))
