"""A tick looks after the queues that it is told, and leaves others alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from queuekit.backend import Backend
from queuekit.job import SOLITARY_AFTER, Keep, State, new_id
from queuekit.record import JobRecord, Life, Times
from queuekit.testing.conformance._make import (
    SECOND,
    Settling,
    ack,
    claim_one,
    claims_nothing,
    eventually,
    failed,
    job,
    put,
    running,
    succeeded,
)

LEFT_AND_RIGHT = ("left", "right")


def column(file: Path, query: str) -> set[str]:
    with closing(sqlite3.connect(file)) as other:
        return {value for (value,) in other.execute(query)}


@pytest.mark.parametrize("end", [succeeded, failed])
async def test_records_of_other_queues_are_not_pruned(
    backend: Backend, file: Path, end: Settling
) -> None:
    for queue in LEFT_AND_RIGHT:
        await ack(backend, end(await running(backend, queue=queue, keep=Keep(1))))

    async def pruned() -> bool:
        await backend.maintain(["left"])
        return column(file, "SELECT queue FROM jobs") == {"right"}

    await eventually(pruned)


async def test_solitary_jobs_of_other_queues_are_not_handed_out(backend: Backend) -> None:
    life = Life(State.READY, lapses=SOLITARY_AFTER)
    jobs = [job(id=new_id(), queue=queue) for queue in LEFT_AND_RIGHT]
    await backend.transfer.store([JobRecord(job=one, life=life, times=Times(1)) for one in jobs])
    await backend.maintain(["left"])
    await claim_one(backend, queue="left", suspects=1)
    await claims_nothing(backend, "right", suspects=1)


async def test_a_tick_is_forgotten_where_nothing_runs(backend: Backend, file: Path) -> None:
    await running(backend, queue="left")
    await ack(backend, failed(await running(backend, queue="right")))
    await put(backend, job(queue="right"))
    await backend.maintain([*LEFT_AND_RIGHT, "empty"])
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(f"UPDATE ticks SET last = last - {7200 * SECOND}")
    await backend.maintain(["default"])
    assert column(file, "SELECT queue FROM ticks") == {"default", "left"}
    assert (await backend.maintain(["left"])).renewed == 1
