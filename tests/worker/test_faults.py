"""The server fails at the worst moments: nothing is lost, nothing runs twice, and the worker goes on."""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit import Context, Handle, Queuekit, Snooze, State, current, fixed
from queuekit.backend import Ask
from queuekit.errors import BackendRefused, BackendUnavailable, LeaseLost, ReplyLost
from queuekit.job import Claimant
from tests.waiting import eventually
from tests.worker.faults import Fault, Unreachable
from tests.worker.records import events, record_of

HOLDING = ("heartbeat", "maintain")
"""By which a worker keeps its leases, and takes over those of others."""


def claims(_asked: Mapping[str, Any], fetched: Any) -> bool:
    return bool(fetched.claims)


def settles(asked: Mapping[str, Any], _fetched: Any) -> bool:
    return bool(asked["settle"])


def logged(lines: list[Any], level: str) -> list[str]:
    return [line["event"] for line in lines if line["log_level"] == level]


# Claims


async def test_a_claim_whose_reply_was_lost_is_given_back_and_runs_long_before_its_lease_ends(
    qk: Queuekit,
) -> None:
    runs = []

    @qk.task
    async def task() -> str:
        runs.append(current().attempt)
        return "done"

    async with qk:
        job = await task.enqueue()
        lost = Fault(await qk.backend(), "fetch", ReplyLost, times=1, which=claims)
        async with qk.worker():
            assert await job.result(timeout=50) == "done"
        record = await record_of(qk, job)
    assert lost.happened == 1
    assert (runs, record.life.attempt, record.life.lapses) == ([1], 1, 0)
    assert events(record) == ["release"]


async def test_a_claim_that_is_carried_out_after_an_outage_is_given_back(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None: ...

    @qk.task(queue="late")
    async def late() -> None: ...

    async with qk:
        backend = await qk.backend()
        Fault(backend, "wait", BackendUnavailable, times=1)
        async with qk.worker(["default"]) as worker:
            for _ in range(2):
                await (await task.enqueue()).result(timeout=50)
            job = await late.enqueue()
            # As if it had been on its way since before the outage.
            await backend.fetch(Ask(["late"], 1, Claimant(worker.process, 1), 10_000_000))
            assert await job.status() is State.RUNNING

            await eventually(lambda: is_ready(job))

        record = await record_of(qk, job)
    assert (record.life.attempt, record.life.lapses) == (0, 0)
    assert events(record) == ["release"]


async def is_ready(job: Handle[Any]) -> bool:
    return await job.status() is State.READY


async def test_a_claim_whose_answer_is_late_is_not_given_back(qk: Queuekit) -> None:
    runs = []

    @qk.task
    async def task() -> None:
        runs.append(current().attempt)

    async with qk:
        backend = await qk.backend()
        fetch, leases, recovered = backend.fetch, backend.leases, asyncio.Event()

        async def late(*args: Any, **asked: Any) -> Any:
            fetched = await fetch(*args, **asked)
            if fetched.claims and not recovered.is_set():
                # Meanwhile another call loses its connection, and all leases are looked through.
                Fault(backend, "maintain", BackendUnavailable, times=1)
                await recovered.wait()
            return fetched

        async def looked_through(process: str) -> Any:
            held = await leases(process)
            asyncio.get_running_loop().call_later(0.05, recovered.set)
            return held

        backend.fetch, backend.leases = late, looked_through  # type: ignore[method-assign]
        job = await task.enqueue()
        async with qk.worker():
            await job.result(timeout=50)
        record = await record_of(qk, job)
    assert (runs, events(record)) == ([1], [])


async def test_what_runs_and_what_waits_here_is_not_given_back(qk: Queuekit) -> None:
    go, runs = asyncio.Event(), []

    @qk.task
    async def task(n: int) -> int:
        runs.append(n)
        await go.wait()
        return n

    async with qk:
        backend = await qk.backend()
        jobs = await qk.enqueue_many([task.job(n) for n in range(3)])
        async with qk.worker(concurrency=1):
            await eventually(lambda: runs)
            outage = Unreachable(backend)
            await eventually(lambda: outage.tried("present"))
            outage.over()
            go.set()
            assert [await job.result(timeout=50) for job in jobs] == [0, 1, 2]
        first = await record_of(qk, jobs[0])
    assert sorted(runs) == [0, 1, 2]
    assert (first.life.attempt, events(first)) == (1, [])


# Outcomes


@pytest.mark.parametrize(
    ("error", "times"),
    [(ReplyLost, 1), (ReplyLost, 3), (BackendUnavailable, 4), (BackendRefused, 2)],
)
async def test_outcomes_are_sent_until_there_is_an_answer(
    qk: Queuekit,
    error: type[BackendUnavailable | BackendRefused],
    times: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("queuekit.worker.fetcher.REFUSED_PAUSE", 0.01)
    runs: list[str] = []

    @qk.task
    async def simple() -> str:
        runs.append("simple")
        return "done"

    @qk.task(backoff=fixed(0))
    async def flaky() -> str:
        runs.append("flaky")
        if current().attempt == 1:
            raise ValueError("once")
        return "better"

    @qk.task
    async def sleepy() -> str:
        runs.append("sleepy")
        if runs.count("sleepy") == 1:
            raise Snooze(0.01)
        return "awake"

    async with qk:
        fault = Fault(await qk.backend(), "fetch", error, times=times, which=settles)
        jobs = [await task.enqueue() for task in (simple, flaky, sleepy)]
        async with qk.worker():
            results = [await job.result(timeout=50) for job in jobs]
        records = [await record_of(qk, job) for job in jobs]
    assert fault.happened == times
    assert results == ["done", "better", "awake"]
    assert sorted(runs) == ["flaky", "flaky", "simple", "sleepy", "sleepy"]
    assert [record.life.attempt for record in records] == [1, 2, 1]
    assert [record.life.lapses for record in records] == [0, 0, 0]
    assert [len(record.notes.errors) for record in records] == [0, 1, 0]
    # A reply that brought claims along was lost with them: they are given back.
    happened = [[event for event in events(record) if event != "release"] for record in records]
    assert happened == [[], [], ["snooze"]]


async def test_an_outcome_that_comes_too_late_changes_nothing(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    go, runs = asyncio.Event(), []

    @qk.task
    async def task() -> int:
        runs.append(current().attempt_token)
        await go.wait()
        return len(runs)

    async with qk, another() as elsewhere:
        faults = [Fault(await qk.backend(), verb, BackendRefused) for verb in HOLDING]
        job = await task.enqueue()
        with capture_logs() as lines:
            async with qk.worker(lease=0.3):
                await eventually(lambda: runs)
                await elsewhere.inspect.pause("default")
                await rescued(elsewhere, job)
                go.set()
                await eventually(
                    lambda: any("lease was lost" in x for x in logged(lines, "warning"))
                )
        record = await record_of(qk, job)
        assert all(fault.happened for fault in faults)
        assert (record.state, record.notes.result, record.life.lapses) == (State.READY, None, 1)


async def test_an_outcome_that_waits_until_its_lease_is_lost_changes_nothing(
    qk: Queuekit, another: Callable[[], Queuekit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.fetcher.REFUSED_PAUSE", 0.01)

    @qk.task
    async def task() -> str:
        return "too late"

    async with qk, another() as elsewhere:
        backend = await qk.backend()
        faults = [Fault(backend, verb, BackendRefused) for verb in HOLDING]
        settling = Fault(backend, "fetch", BackendRefused, which=settles)
        job = await task.enqueue()
        async with qk.worker(lease=0.3):
            await eventually(lambda: settling.happened)
            await elsewhere.inspect.pause("default")
            await rescued(elsewhere, job)
            for fault in faults:
                fault.over()
            beat = Fault(backend, "heartbeat", ReplyLost, times=1)
            await eventually(lambda: beat.happened)
            settling.over()
        record = await record_of(qk, job)
    assert (record.state, record.notes.result, record.life.lapses) == (State.READY, None, 1)


async def rescued(elsewhere: Queuekit, *jobs: Handle[Any]) -> None:
    """Another process finds that nobody was heard of."""
    backend = await elsewhere.backend()

    async def lapsed() -> bool:
        await backend.maintain(["default"])
        return all([(await record_of(elsewhere, job)).life.lapses for job in jobs])

    await eventually(lapsed)


# Leases


async def test_a_task_learns_that_no_heartbeat_got_through_and_goes_on(qk: Queuekit) -> None:
    lost, go, runs = asyncio.Event(), asyncio.Event(), []

    @qk.task
    async def task(ctx: Context) -> str:
        runs.append(ctx.attempt_token)
        end = monotonic() + 0.75
        while not ctx.lease_lost or monotonic() < end:
            await asyncio.sleep(0.01)
        lost.set()
        await go.wait()
        return f"cancelled: {ctx.cancelled}"

    async with qk:
        job = await task.enqueue()
        async with qk.worker(lease=0.3):
            await eventually(lambda: runs)
            outage = Unreachable(await qk.backend())
            await asyncio.wait_for(lost.wait(), 20)
            outage.over()
            go.set()
            assert await job.result(timeout=50) == "cancelled: False"
        record = await record_of(qk, job)
    assert outage.tried("heartbeat") > 1
    assert (len(runs), record.life.attempt, record.life.lapses) == (1, 1, 0)


async def test_a_task_whose_job_was_given_to_others_is_interrupted(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    seen = []

    @qk.task
    async def task(ctx: Context) -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(f"lost: {ctx.lease_lost}")
            with pytest.raises(LeaseLost, match="is another worker's now"):
                ctx.progress(0.5)
            seen.append("told")
            raise

    async with qk, another() as elsewhere:
        faults = [Fault(await qk.backend(), verb, BackendRefused) for verb in HOLDING]
        job = await task.enqueue()
        async with qk.worker(lease=0.3):
            await eventually(lambda: seen)
            await elsewhere.inspect.pause("default")
            await rescued(elsewhere, job)
            for fault in faults:
                fault.over()
            await eventually(lambda: "told" in seen)
        record = await record_of(qk, job)
    assert seen == ["begun", "lost: True", "told"]
    assert (record.state, record.life.lapses, record.notes.errors) == (State.READY, 1, ())


# Refusals


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("fetch", "the server refuses to serve jobs; trying again"),
        ("wait", "the server refuses to wait for jobs; polling"),
        ("maintain", "the server refuses upkeep"),
        ("present", "the server refuses upkeep"),
        ("heartbeat", "the server refuses heartbeats"),
    ],
)
async def test_a_refusal_is_an_error_in_the_log_and_the_worker_goes_on(
    qk: Queuekit, verb: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.fetcher.REFUSED_PAUSE", 0.05)
    monkeypatch.setattr("queuekit.worker.doorbell.POLL_EVERY", 0.05)
    refused = Fault(await qk.backend(), verb, BackendRefused, times=3)

    @qk.task
    async def task(n: int) -> int:
        await eventually(lambda: refused.happened >= n)
        return n

    with capture_logs() as lines:
        async with qk, qk.worker(lease=0.3):
            # The last one begins when all is well again.
            for n in (1, 3, 3):
                assert await (await task.enqueue(n)).result(timeout=50) == n
    assert logged(lines, "error") == [says]
    assert {line["error"] for line in lines if line["log_level"] == "error"} == {
        f"{verb} was made to fail"
    }


async def test_an_unknown_task_met_during_an_outage_waits_like_any_other(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    @another().task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> str:
        return "done"

    async with qk:
        backend = await qk.backend()
        unknown = await qk.enqueue(elsewhere.job())
        fault = Fault(backend.inspector, "get", BackendUnavailable, times=1)
        async with qk.worker():
            await eventually(lambda: fault.happened)
            assert await (await here.enqueue()).result(timeout=50) == "done"
        record = await record_of(qk, unknown)
    assert (record.state, record.life.attempt) == (State.SCHEDULED, 0)


# The end


async def test_a_worker_ends_though_its_last_words_reach_nobody(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.wind_up.LAST_WORDS", 0.2)
    seen = []

    @qk.on_shutdown
    def hook() -> None:
        seen.append("shutdown")

    @qk.task
    async def task() -> None:
        outages.append(Unreachable(await qk.backend()))
        seen.append("ran")

    outages: list[Unreachable] = []
    async with qk:
        job = await task.enqueue()
        with capture_logs() as lines:
            async with qk.worker():
                await eventually(lambda: seen)
        record = await record_of(qk, job)
    assert seen == ["ran", "shutdown"]
    assert logged(lines, "error") == [
        "the server could not be told what has ended; those jobs run again"
    ]
    assert "the server could not be told that this worker leaves" in logged(lines, "warning")
    assert outages[0].tried("absent") == 1
    assert (record.state, record.life.attempt) == (State.RUNNING, 1)


@pytest.mark.parametrize("error", [BackendUnavailable, BackendRefused])
async def test_a_worker_that_can_not_say_that_it_leaves_has_still_done_its_work(
    qk: Queuekit, error: type[BackendUnavailable | BackendRefused]
) -> None:
    seen = []

    @qk.on_shutdown
    def hook() -> None:
        seen.append("shutdown")

    @qk.task
    async def task() -> None: ...

    async with qk:
        job = await task.enqueue()
        Fault(await qk.backend(), "absent", error)
        with capture_logs() as lines:
            await qk.run_worker(burst=True)
        assert await job.status() is State.SUCCEEDED
    assert logged(lines, "warning") == ["the server could not be told that this worker leaves"]
    assert seen == ["shutdown"]
