"""What a job's record says is the same on every backend, to the last field, whatever has happened to it, and whichever
backend it moves to. The one in memory, which goes by `queuekit.backend.model`, is the measure."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import pytest
from memory_backend import MemoryBackend

from queuekit.backend import Backend, BackendSettings, JobFilter, Report
from queuekit.job import JobRef, Keep, KeyPolicy, State
from queuekit.lifecycle import Event
from queuekit.record import JobRecord, Times
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
from queuekit.testing.conformance.transfer import same

Make = Callable[[str], Awaitable[Backend]]

TIMES: Final = Times._fields
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
    make_backend: Make,
    urls: Mapping[str, str],
    namespace: str,
    event: Event,
    state: State,
    delay: int,
) -> None:
    async def live(backend: Backend) -> JobRef:
        subject = await bring(backend, state, event)
        await happens(backend, event, subject, delay)
        return JobRef("default", subject.id)

    await _all_say_the_same(make_backend, urls, namespace, live)


@pytest.mark.parametrize("event", TO_READY)
async def test_after_a_cancel_that_was_requested(
    make_backend: Make, urls: Mapping[str, str], namespace: str, event: Event
) -> None:
    async def live(backend: Backend) -> JobRef:
        subject = await bring(backend, State.RUNNING, event)
        ref = JobRef("default", subject.id)
        await backend.inspector.steer(Event.CANCEL, [ref])
        await happens(backend, event, subject, LONG)
        return ref

    await _all_say_the_same(make_backend, urls, namespace, live)


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


async def waiting(backend: Backend) -> JobRef:
    await running(backend, key="k", key_until="finished")
    one = job("2", key="k", key_policy=KeyPolicy.REPLACE, tags=("a",))
    await put(backend, one)
    return one.ref


async def replaced_while_it_waited(backend: Backend) -> JobRef:
    ref = await waiting(backend)
    await backend.enqueue([job("3", key="k", key_policy=KeyPolicy.DEBOUNCE, delay=LONG)])
    return ref


async def retried_and_lapsed(backend: Backend) -> JobRef:
    await give_back(backend, retried(await running(backend)))
    one = await claim_one(backend, lease=BRIEF)
    await lapse(backend, one)
    return one.token.ref


async def retried_and_running(backend: Backend) -> JobRef:
    await give_back(backend, retried(await running(backend)))
    return (await claim_one(backend)).token.ref


async def asked_to_stop(backend: Backend) -> JobRef:
    one = await running(backend, lease=3 * LONG)
    await backend.inspector.steer(Event.CANCEL, [one.token.ref])
    await backend.report([Report(one.token, "0.5", ["one"])])
    return one.token.ref


async def run_again_and_running(backend: Backend) -> JobRef:
    await ack(backend, failed(await running(backend, key="k")))
    return await _run_again(backend)


async def _run_again(backend: Backend) -> JobRef:
    (found,) = await backend.inspector.find(JobFilter())
    await backend.inspector.steer(Event.RERUN, [found.ref])
    return (await claim_one(backend)).token.ref


async def protected_for_a_time(backend: Backend) -> JobRef:
    one = await running(backend, key="k", key_until=LONG)
    await ack(backend, failed(one, keep=Keep(2 * LONG)))
    return one.token.ref


async def with_options(backend: Backend) -> JobRef:
    one = job(
        key="k",
        key_until="started",
        priority=9,
        max_attempts=2,
        lease=LONG,
        max_crashes=1,
        max_lapses=2,
        keep=Keep(LONG, 3),
        tags=("ä", "b"),
        extra='{"meta":{}}',
    )
    await put(backend, one)
    return one.ref


async def awaited_without_retention(backend: Backend) -> JobRef:
    one = await running(backend, keep=Keep(0))
    results = asyncio.create_task(backend.results([one.token.ref], 30))
    await asyncio.sleep(0.1)
    await ack(backend, succeeded(one, "1"))
    await results
    return one.token.ref


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
    replaced_while_it_waited,
    waiting,
    followed,
    retried_and_lapsed,
    retried_and_running,
    asked_to_stop,
    run_again_and_running,
    protected_for_a_time,
    with_options,
    awaited_without_retention,
)


@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.__name__)
async def test_after_more_than_one_event(
    make_backend: Make,
    urls: Mapping[str, str],
    namespace: str,
    tale: Callable[[Backend], Awaitable[JobRef]],
) -> None:
    await _all_say_the_same(make_backend, urls, namespace, tale)


async def _all_say_the_same(
    make_backend: Make,
    urls: Mapping[str, str],
    namespace: str,
    live: Callable[[Backend], Awaitable[JobRef]],
) -> None:
    backends: dict[str, Backend] = {
        "memory": MemoryBackend("memory://", BackendSettings(namespace))
    }
    backends |= {name: await make_backend(url) for name, url in urls.items()}
    told: dict[str, JobRecord | None] = {}
    for name, backend in backends.items():
        (told[name],) = await backend.inspector.get([await live(backend)])
    fields = {name: _comparable(record) for name, record in told.items()}
    assert not {
        name: {backend: record.get(name) for backend, record in fields.items()}
        for name in set().union(*fields.values())
        if any(record.get(name) != fields["memory"].get(name) for record in fields.values())
    }
    for source, record in told.items():
        if record is not None:
            for target in backends.values():
                await _moves(record, backends[source], target, f"from.{source}")


async def _moves(record: JobRecord, source: Backend, target: Backend, queue: str) -> None:
    """What one store tells can be stored by another (here in another queue), and is told by it."""
    holder = [JobRef("default", record.follows)] if record.follows else []
    before = [_moved(found, queue) for found in await source.inspector.get(holder) if found]
    moved = _moved(record, queue)
    for change in await target.transfer.store([*before, moved]):
        assert (change.refused, change.found) == (None, None)
    (found,) = await target.inspector.get([moved.ref])
    assert found is not None
    assert same(found, moved)


def _moved(record: JobRecord, queue: str) -> JobRecord:
    options = replace(record.job.options, queue=queue)
    return replace(record, job=record.job._replace(options=options))


def _comparable(record: JobRecord | None) -> dict[str, Any]:
    """All that does not depend on the id and the moment."""
    if record is None:
        return {}
    times = {name: at for name, at in record.times._asdict().items() if at is not None}
    delivery, settled = record.life.delivery, record.settled
    started, finished, kept = (
        times.get(name) for name in ("started_at", "finished_at", "kept_until")
    )
    return {
        **record.job._asdict(),
        "id": None,
        **asdict(record.job.options),
        **record.life._replace(delivery=delivery > 0)._asdict(),
        **record.notes._asdict(),
        "errors": _notes(record.notes.errors),
        "history": _notes(record.notes.history),
        "logs": list(record.notes.logs),
        "moments": sorted(times, key=lambda name: (times[name], TIMES.index(name))),
        "starts": started is not None and abs(started // 1000 - delivery) < 1000,
        "kept for": kept is not None and finished is not None and kept - finished,
        "claimant": record.lease and record.lease.claimant.process,
        "length of lease": record.lease and record.lease.length,
        "settled": settled and (settled.how, settled.delivery == delivery),
        "follows": record.follows is not None,
        "origin": record.origin is not None,
    }


def _notes(texts: Sequence[str]) -> list[dict[str, Any]]:
    notes = [json.loads(text) for text in texts]
    return [
        {**note, "at": note["at"] > 0, "delivery": note.get("delivery", 0) > 0} for note in notes
    ]
