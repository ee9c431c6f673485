"""Whole jobs in portions: what one statement must find out about its own elements."""

from dataclasses import replace
from typing import Any

import pytest

from queuekit.backend import Change, Refusal
from queuekit.job import FINISHED, SOLITARY_AFTER, State
from queuekit.record import JobRecord, Life
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    answers_of,
    claim_one,
    claims_nothing,
    job,
    put,
)
from queuekit.testing.conformance.transfer import KEY, a_job, in_state, now
from queuekit_postgres import PostgresBackend, transfer


async def test_a_portion_is_one_statement(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0
    fetch = backend._lanes.fetch

    async def counted(statement: str, *args: Any) -> Any:
        nonlocal sent
        sent += 1
        return await fetch(statement, *args)

    monkeypatch.setattr(backend._lanes, "fetch", counted)
    monkeypatch.setattr(transfer, "PORTION", 50)
    records = [in_state(state) for state in (State.READY, State.RUNNING, State.FAILED)]
    records += [in_state(State.SUCCEEDED) for _ in range(147)]
    assert set(answers_of(await backend.transfer.store(records))) == {"stored"}
    assert sent == 3


async def test_who_comes_first_takes_the_key_and_is_followed(backend: PostgresBackend) -> None:
    first, second = (in_state(State.RUNNING, job=a_job(KEY)) for _ in range(2))
    after = [in_state(State.WAITING, job=a_job(KEY), follows=one.job.id) for one in (first, second)]
    held, gone = (one.ref for one in (second, after[1]))
    assert await backend.transfer.store([first, second, *after]) == [
        Change(first.ref, None, State.RUNNING, 2),
        Change(held, None, None, refused=Refusal.KEY_HELD, holder=first.job.id),
        Change(after[0].ref, None, State.WAITING, 2),
        Change(gone, None, None, refused=Refusal.GONE, holder=second.job.id),
    ]


async def test_a_key_whose_time_is_over_is_not_asked_for(backend: PostgresBackend) -> None:
    await put(backend, job(key=KEY))
    over = [in_state(state, job=a_job(KEY, key_until=BRIEF)) for state in sorted(FINISHED)]
    assert answers_of(await backend.transfer.store(over)) == ["stored"] * len(over)


async def test_a_key_is_taken_over_from_a_job_whose_time_is_over(backend: PostgresBackend) -> None:
    one, late = (in_state(State.READY, job=a_job(KEY, key_until=LONG)) for _ in range(2))
    past = one.times._replace(enqueued_at=now() - 2 * LONG)
    changes = await backend.transfer.store([replace(one, times=past), late])
    assert answers_of(changes) == ["stored", "stored"]
    (change,) = await backend.enqueue([job(key=KEY)])
    assert change.holder == late.job.id


async def test_a_solitary_job_is_handed_out_by_a_tick(backend: PostgresBackend) -> None:
    life = Life(State.READY, lapses=SOLITARY_AFTER)
    times = in_state(State.READY).times
    await backend.transfer.store([JobRecord(job=a_job(), life=life, times=times)])
    await claims_nothing(backend)
    await backend.maintain(["default"])
    assert (await claim_one(backend, suspects=1)).lapses == SOLITARY_AFTER
