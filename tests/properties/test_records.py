"""What a job's record says is the same on every backend, to the last field, whatever has happened to it."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from queuekit.backend import Backend, Report
from queuekit.job import JobRecord, JobRef, Keep, KeyPolicy, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    ack,
    claim_one,
    dead,
    failed,
    give_back,
    job,
    lapse,
    lapse_times,
    put,
    released,
    retried,
    running,
    snoozed,
    succeeded,
)
from queuekit.testing.conformance.lifecycle import ALLOWED, TO_READY, bring, happens

Make = Callable[[str], Awaitable[Backend]]

MOMENTS: Final = (
    "enqueued_at",
    "scheduled_at",
    "started_at",
    "finished_at",
    "expires_at",
    "leased_until",
)
"""Each store has a clock of its own, so these are compared by whether there is one, and by their order."""


@pytest.fixture
def urls(tmp_path: Path, redis_url: str, postgres_url: str) -> Mapping[str, str]:
    return {
        "sqlite": f"sqlite:///{tmp_path}/queue.db",
        "redis": redis_url,
        "postgres": postgres_url,
    }


@pytest.mark.parametrize(("event", "state", "delay"), ALLOWED)
async def test_after_every_row_of_the_life(
    make_backend: Make, urls: Mapping[str, str], event: Event, state: State, delay: int
) -> None:
    async def live(backend: Backend) -> JobRef:
        subject = await bring(backend, state, event)
        await happens(backend, event, subject, delay)
        return JobRef("default", subject.id)

    await _all_say_the_same(make_backend, urls, live)


@pytest.mark.parametrize("event", TO_READY)
async def test_after_a_cancel_that_was_requested(
    make_backend: Make, urls: Mapping[str, str], event: Event
) -> None:
    async def live(backend: Backend) -> JobRef:
        subject = await bring(backend, State.RUNNING, event)
        ref = JobRef("default", subject.id)
        await backend.inspector.steer(Event.CANCEL, [ref])
        await happens(backend, event, subject, LONG)
        return ref

    await _all_say_the_same(make_backend, urls, live)


async def delayed_and_retried_at_once(backend: Backend) -> JobRef:
    await put(backend, job(delay=1))
    await give_back(backend, retried(await claim_one(backend)))
    return (await claim_one(backend)).token.ref


async def delayed_and_retried_later(backend: Backend) -> JobRef:
    await put(backend, job(delay=1))
    one = await claim_one(backend)
    await give_back(backend, retried(one, LONG))
    return one.token.ref


async def retried_later_and_promoted(backend: Backend) -> JobRef:
    await put(backend, job(delay=1))
    one = await claim_one(backend)
    await give_back(backend, retried(one, LONG))
    await backend.inspector.steer(Event.PROMOTE, [one.token.ref])
    return (await claim_one(backend)).token.ref


async def delayed_expiring_and_run_again(backend: Backend) -> JobRef:
    await put(backend, job(delay=1, expires=LONG))
    one = await claim_one(backend)
    await ack(backend, failed(one))
    await backend.inspector.steer(Event.RERUN, [one.token.ref])
    return one.token.ref


async def expiring_and_snoozed(backend: Backend) -> JobRef:
    await put(backend, job(expires=LONG))
    one = await claim_one(backend)
    await give_back(backend, snoozed(one))
    assert (await claim_one(backend)).expires_in is not None, "no attempt has counted yet"
    return one.token.ref


async def expiring_and_retried(backend: Backend) -> JobRef:
    await put(backend, job(expires=LONG))
    one = await claim_one(backend)
    await give_back(backend, retried(one))
    return one.token.ref


async def expiring_and_released(backend: Backend) -> JobRef:
    await put(backend, job(expires=LONG))
    one = await claim_one(backend)
    await give_back(backend, released(one))
    return one.token.ref


async def expiring_and_lapsed(backend: Backend) -> JobRef:
    await put(backend, job(expires=LONG))
    one = await claim_one(backend, lease=BRIEF)
    await lapse(backend, one)
    return one.token.ref


async def expiring_and_done(backend: Backend) -> JobRef:
    await put(backend, job(expires=LONG))
    one = await claim_one(backend)
    await ack(backend, succeeded(one, "1"))
    return one.token.ref


async def reported_and_retried(backend: Backend) -> JobRef:
    one = await running(backend)
    await backend.report([Report(one.token, "0.5", ["one", "two"])])
    await give_back(backend, retried(one))
    return one.token.ref


async def reported_and_run_again(backend: Backend) -> JobRef:
    one = await running(backend, tags=("a", "b"), priority=-3, extra='{"timeout":1}')
    await backend.report([Report(one.token, "0.5", ["one", "two"])])
    await ack(backend, failed(one))
    await backend.inspector.steer(Event.RERUN, [one.token.ref])
    return one.token.ref


async def run_again_and_done(backend: Backend) -> JobRef:
    one = await running(backend, key="k", keep=Keep(LONG, 5))
    await ack(backend, failed(one))
    await backend.inspector.steer(Event.RERUN, [one.token.ref])
    await ack(backend, succeeded(await claim_one(backend), "1"))
    return one.token.ref


async def cancelled_before_it_ran(backend: Backend) -> JobRef:
    one = job(delay=LONG, expires=LONG, tags=("a",))
    await put(backend, one)
    await backend.inspector.steer(Event.CANCEL, [one.ref])
    return one.ref


async def died_too_often(backend: Backend) -> JobRef:
    one = job(max_crashes=2)
    await put(backend, one)
    for _ in range(2):
        await give_back(backend, dead(await claim_one(backend)))
    return one.ref


async def lapsed_too_often(backend: Backend) -> JobRef:
    one = job(max_lapses=2)
    await put(backend, one)
    await lapse_times(backend, 2, one)
    return one.ref


async def snoozed_and_promoted(backend: Backend) -> JobRef:
    one = await running(backend)
    await give_back(backend, snoozed(one, LONG))
    await backend.inspector.steer(Event.PROMOTE, [one.token.ref])
    return one.token.ref


async def replaced(backend: Backend) -> JobRef:
    one = job("1", key="k", delay=LONG, tags=("old",))
    await put(backend, one)
    newer = job("2", key="k", priority=4, tags=("new",), key_policy=KeyPolicy.REPLACE)
    await backend.enqueue([newer])
    return one.ref


async def followed(backend: Backend) -> JobRef:
    holder = await running(backend, key="k")
    one = job("2", key="k", delay=LONG, key_policy=KeyPolicy.REPLACE)
    await put(backend, one)
    await ack(backend, succeeded(holder))
    return one.ref


TALES: Final = (
    delayed_and_retried_at_once,
    delayed_and_retried_later,
    retried_later_and_promoted,
    delayed_expiring_and_run_again,
    expiring_and_snoozed,
    expiring_and_retried,
    expiring_and_released,
    expiring_and_lapsed,
    expiring_and_done,
    reported_and_retried,
    reported_and_run_again,
    run_again_and_done,
    cancelled_before_it_ran,
    died_too_often,
    lapsed_too_often,
    snoozed_and_promoted,
    replaced,
    followed,
)


@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.__name__)
async def test_after_more_than_one_event(
    make_backend: Make, urls: Mapping[str, str], tale: Callable[[Backend], Awaitable[JobRef]]
) -> None:
    await _all_say_the_same(make_backend, urls, tale)


async def _all_say_the_same(
    make_backend: Make, urls: Mapping[str, str], live: Callable[[Backend], Awaitable[JobRef]]
) -> None:
    told = {}
    for name, url in urls.items():
        backend = await make_backend(url)
        ref = await live(backend)
        (found,) = await backend.inspector.get([ref])
        told[name] = None if found is None else _comparable(found)
    fields = told["sqlite"] or {}
    assert not {
        name: {backend: record and record[name] for backend, record in told.items()}
        for name in fields
        if any(record is None or record[name] != fields[name] for record in told.values())
    }
    assert all((record is None) == (not fields) for record in told.values())


def _comparable(record: JobRecord) -> dict[str, Any]:
    """All that does not depend on the id and the moment."""
    fields = asdict(record)
    fields["id"] = None
    fields["delivery"] = record.delivery > 0
    fields["errors"], fields["history"] = map(_notes, (record.errors, record.history))
    known = [name for name in MOMENTS if fields[name] is not None]
    fields |= dict.fromkeys(MOMENTS)
    fields["moments"] = known
    fields["in order"] = sorted(
        known, key=lambda name: (getattr(record, name), MOMENTS.index(name))
    )
    for name in ("tags", "logs"):
        fields[name] = list(fields[name])
    return fields


def _notes(texts: Sequence[str]) -> list[dict[str, Any]]:
    notes = [json.loads(text) for text in texts]
    return [
        {**note, "at": note["at"] > 0, "delivery": note.get("delivery", 0) > 0} for note in notes
    ]
