"""Jobs run: what a task may be, may raise, and may know."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, field_validator
from structlog.testing import capture_logs

from queuekit import (
    Cancel,
    ConfigurationError,
    Context,
    GiveUp,
    InvalidOption,
    InvalidTransition,
    JobCancelled,
    JobFailed,
    JobNotFound,
    Queuekit,
    Retry,
    Snooze,
    State,
    current,
    fixed,
)
from queuekit.backend import Claimant, Fetched, Verdict
from queuekit.worker.executor import Threads
from queuekit.worker.worker import Worker
from tests.worker.waiting import eventually


async def test_async_and_sync_tasks_give_results(qk: Queuekit) -> None:
    threads = set()

    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    @qk.task
    def triple(n: int) -> int:
        threads.add(threading.current_thread().name)
        return 3 * n

    async with qk, qk.worker():
        jobs = [await double.enqueue(2), await triple.enqueue(2)]
        assert [await job.result(timeout=10) for job in jobs] == [4, 6]
        assert [await job.status() for job in jobs] == [State.SUCCEEDED] * 2
    assert threads == {"queuekit-task"}


async def test_the_function_is_still_a_function(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    assert await double(4) == 8


async def test_enqueue_many_in_one_call(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk:
        handles = await qk.enqueue_many([double.job(n) for n in range(300)])
        await qk.run_worker(burst=True)
        assert [await handle.result(timeout=10) for handle in handles] == [
            2 * n for n in range(300)
        ]


async def test_a_failure_is_tried_again_and_each_error_kept(qk: Queuekit) -> None:
    seen = []

    @qk.task(max_attempts=3, backoff=fixed(0))
    async def flaky() -> str:
        seen.append(current().attempt)
        if len(seen) < 3:
            raise ValueError(f"number {len(seen)}")
        return "done"

    async with qk, qk.worker():
        job = await flaky.enqueue()
        assert await job.result(timeout=10) == "done"
        info = await job.info()
    assert seen == [1, 2, 3]
    assert [(e.attempt, e.type, e.message) for e in info.errors] == [
        (1, "ValueError", "number 1"),
        (2, "ValueError", "number 2"),
    ]
    assert "raise ValueError" in info.errors[0].traceback
    assert info.attempt == 3


async def test_attempts_exhausted_fails_with_all_errors(qk: Queuekit) -> None:
    @qk.task(max_attempts=2, backoff=fixed(0))
    async def broken() -> None:
        raise KeyError("k")

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"failed \(exhausted\): KeyError") as failed:
            await (await broken.enqueue()).result(timeout=10)
    assert failed.value.reason == "exhausted"
    assert [error.attempt for error in failed.value.errors] == [1, 2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(GiveUp("no use"), "gave_up"), (KeyError("x"), "gave_up"), (SystemExit(3), "exhausted")],
)
async def test_errors_that_end_it(qk: Queuekit, error: BaseException, reason: str) -> None:
    @qk.task(give_up_on=[LookupError], max_attempts=2, backoff=fixed(0))
    async def broken() -> None:
        raise error

    async with qk, qk.worker():
        with pytest.raises(JobFailed) as failed:
            await (await broken.enqueue()).result(timeout=10)
    assert failed.value.reason == reason


async def test_retry_on_names_what_is_worth_another_attempt(qk: Queuekit) -> None:
    runs = []

    @qk.task(retry_on=[OSError], backoff=fixed(0))
    async def broken() -> None:
        runs.append(1)
        raise ConnectionResetError if len(runs) == 1 else ValueError

    async with qk, qk.worker():
        with pytest.raises(JobFailed):
            await (await broken.enqueue()).result(timeout=10)
    assert len(runs) == 2


async def test_retry_overrides_the_backoff(qk: Queuekit) -> None:
    @qk.task(backoff=fixed(3600))
    async def impatient() -> int:
        if current().attempt == 1:
            raise Retry(delay=0)
        return current().attempt

    async with qk, qk.worker():
        assert await (await impatient.enqueue()).result(timeout=10) == 2


async def test_snooze_is_not_counted(qk: Queuekit) -> None:
    runs = []

    @qk.task(max_attempts=1)
    async def sleepy(ctx: Context) -> int:
        runs.append(ctx.attempt_token)
        if len(runs) < 3:
            raise Snooze(0.01)
        return ctx.attempt

    async with qk, qk.worker():
        assert await (await sleepy.enqueue()).result(timeout=10) == 1
    assert sorted(set(runs)) == runs
    assert len(runs) == 3


async def test_cancel_raised_by_the_task(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None:
        raise Cancel("not needed")

    async with qk, qk.worker():
        job = await task.enqueue()
        with pytest.raises(JobCancelled, match="not needed"):
            await job.result(timeout=10)


async def test_a_running_job_is_cancelled_from_another_process(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    started, interrupted = asyncio.Event(), asyncio.Event()

    @qk.task
    async def long() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            interrupted.set()
            raise

    async with qk, qk.worker(), another() as elsewhere:
        job = await long.enqueue()
        await started.wait()
        await elsewhere.handle(job.id).cancel()
        # Well before the next heartbeat, which is due after 3.3 s.
        await asyncio.wait_for(interrupted.wait(), 3)
        with pytest.raises(JobCancelled, match="cancelled on request"):
            await job.result(timeout=10)
        with pytest.raises(InvalidTransition, match="it is cancelled"):
            await job.cancel()


async def test_a_thread_is_told_of_its_cancellation(qk: Queuekit) -> None:
    started = threading.Event()

    @qk.task
    def long(ctx: Context) -> str:
        started.set()
        while not ctx.cancelled:
            threading.Event().wait(0.01)
        return "stopped in good order"

    async with qk, qk.worker():
        job = await long.enqueue()
        await asyncio.to_thread(started.wait)
        await job.cancel()
        assert await job.result(timeout=10) == "stopped in good order"


async def test_a_job_is_cancelled_before_it_begins(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None:
        raise AssertionError("must not run")

    async with qk:
        job = await task.enqueue()
        await job.cancel()
        await qk.run_worker(burst=True)
        assert await job.status() is State.CANCELLED


async def test_an_async_timeout(qk: Queuekit) -> None:
    @qk.task(timeout=0.05, max_attempts=1)
    async def slow(ctx: Context) -> None:
        assert ctx.deadline is not None
        assert ctx.deadline - datetime.now(UTC) < timedelta(seconds=0.06)
        await asyncio.Event().wait()

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(timeout\): TimeoutError: .*timeout of 0.05 s"):
            await (await slow.enqueue()).result(timeout=10)


async def test_a_thread_past_its_timeout_keeps_its_slot_until_it_returns(qk: Queuekit) -> None:
    overlap = []
    running = threading.Semaphore(1)

    @qk.task(timeout=0.05, max_attempts=2, backoff=fixed(0))
    def slow(ctx: Context) -> None:
        overlap.append(not running.acquire(blocking=False))
        while not ctx.cancelled:
            threading.Event().wait(0.005)
        threading.Event().wait(0.05)
        running.release()

    async with qk, qk.worker():
        with pytest.raises(JobFailed) as failed:
            await (await slow.enqueue()).result(timeout=10)
    assert failed.value.reason == "timeout"
    assert overlap == [False, False]


async def test_a_timeout_error_of_the_task_itself_is_an_ordinary_error(qk: Queuekit) -> None:
    @qk.task(timeout=30, max_attempts=1)
    async def task() -> None:
        raise TimeoutError("of its own")

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): TimeoutError: of its own"):
            await (await task.enqueue()).result(timeout=10)


async def test_an_unserialisable_result_fails_without_a_second_run(qk: Queuekit) -> None:
    runs = []

    @qk.task
    async def task() -> Any:
        runs.append(1)
        return object()

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(invalid_result\)"):
            await (await task.enqueue()).result(timeout=10)
    assert runs == [1]


async def test_a_payload_that_fits_no_longer_is_invalid(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    old = another()

    @old.task(name="task")
    async def before(n: str) -> None: ...

    @qk.task(name="task")
    async def now(n: int) -> None: ...

    async with old:
        job = await before.enqueue("five")
        async with qk, qk.worker():
            with pytest.raises(
                JobFailed, match=r"\(invalid\): InvalidPayload: task 'task': n: Input should be"
            ):
                await qk.handle(job.id, queue="default").result(timeout=10)


async def test_aliases_and_upgrade_take_old_jobs(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    old = another()

    @old.task
    async def mail(to: str) -> None: ...

    @qk.task(aliases=["mail"], upgrade=lambda a: {"address": a["to"], "subject": "hi"})
    async def send(address: str, subject: str) -> str:
        return f"{subject} {address}"

    async with old:
        job = await mail.enqueue("ada")
        async with qk, qk.worker():
            assert await qk.handle(job.id, task=send).result(timeout=10) == "hi ada"


async def test_an_unknown_task_waits_for_a_worker_that_knows_it(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    other = another()

    @other.task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> None: ...

    async with other:
        job = await elsewhere.enqueue()
        await qk.run_worker(burst=True)
        info = await job.info()
    assert (info.state, info.attempt) == (State.SCHEDULED, 0)


async def test_after_a_day_an_unknown_task_is_invalid(
    qk: Queuekit, another: Callable[[], Queuekit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.executor.UNKNOWN_TASK_PATIENCE", -1)
    other = another()

    @other.task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> None: ...

    async with other:
        job = await elsewhere.enqueue()
        async with qk, qk.worker():
            with pytest.raises(JobFailed, match=r"\(invalid\): UnknownTask: No task 'elsewhere'"):
                await job.result(timeout=10)


async def test_progress_and_logs_are_kept(qk: Queuekit) -> None:
    @qk.task
    def task(ctx: Context) -> None:
        ctx.log("from a thread")
        ctx.progress(0.5, note="half")

    @qk.task
    async def awaited(ctx: Context) -> None:
        await ctx.progress(1)
        ctx.log("one")
        await ctx.log("two")

    async with qk, qk.worker():
        jobs = [await task.enqueue(), await awaited.enqueue()]
        for job in jobs:
            await job.result(timeout=10)
        infos = [await job.info() for job in jobs]
    assert infos[0].progress == {"value": 0.5, "note": "half"}
    assert infos[0].logs == ("from a thread",)
    assert infos[1].progress == {"value": 1, "note": None}
    assert infos[1].logs == ("one", "two")


async def test_the_context_tells_what_it_promises(qk: Queuekit) -> None:
    @qk.task(meta={"trace": "abc"}, max_attempts=2, queue="mail")
    async def task(ctx: Context) -> list[Any]:
        assert current().job_id == ctx.job_id
        return [ctx.attempt, ctx.max_attempts, ctx.is_last_attempt, ctx.queue, dict(ctx.meta), ctx.deadline,
                ctx.cancelled, ctx.lease_lost, ctx.shutting_down, ctx.idempotency_key]  # fmt: skip

    async with qk, qk.worker():
        job = await task.enqueue()
        assert await job.result(timeout=10) == [
            1, 2, False, "mail", {"trace": "abc"}, None, False, False, False, str(job.id)
        ]  # fmt: skip
        assert (await job.info()).meta == {"trace": "abc"}


def test_current_outside_a_task_says_so() -> None:
    with pytest.raises(LookupError, match="only inside a running task"):
        current()


async def test_a_job_that_never_was(qk: Queuekit) -> None:
    async with qk:
        handle = qk.handle(uuid4())
        for ask in (handle.info, handle.status, handle.result, handle.cancel):
            with pytest.raises(JobNotFound):
                await ask()


async def test_result_times_out(qk: Queuekit) -> None:
    @qk.task
    async def task() -> None: ...

    async with qk:
        with pytest.raises(TimeoutError, match="is a worker running"):
            await (await task.enqueue()).result(timeout=0.05)


async def test_enqueue_sync_and_result_sync(qk: Queuekit) -> None:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    async with qk, qk.worker():
        job = await asyncio.to_thread(double.enqueue_sync, 4)
        assert await asyncio.to_thread(job.result_sync, 10) == 8
        with pytest.raises(RuntimeError, match="would block this thread's event loop"):
            double.enqueue_sync(4)
        with pytest.raises(RuntimeError, match="would block this thread's event loop"):
            job.result_sync()
        await asyncio.to_thread(qk.close_sync)


async def test_keys_deduplicate(qk: Queuekit) -> None:
    @qk.task(key=lambda user: f"u:{user}")
    async def welcome(user: str) -> str:
        return user

    async with qk:
        first, second, other = [await welcome.enqueue(user) for user in ("ada", "ada", "bob")]
        assert (first.deduplicated, second.deduplicated, other.deduplicated) == (False, True, False)
        assert second.id == first.id
        await qk.run_worker(burst=True)
        assert not (await welcome.enqueue("ada")).deduplicated


async def test_delayed_jobs_start_when_they_are_due(qk: Queuekit) -> None:
    @qk.task(delay=0.2)
    async def later(ctx: Context) -> int:
        return ctx.attempt

    async with qk, qk.worker():
        job = await later.enqueue()
        assert await job.status() is State.SCHEDULED
        assert await job.result(timeout=10) == 1
        info = await job.info()
    assert info.started_at is not None
    waited = (info.started_at - info.enqueued_at).total_seconds()
    assert waited >= 0.199


async def test_burst_runs_what_there_is_and_returns(qk: Queuekit) -> None:
    @qk.task
    async def parent(n: int) -> None:
        if n:
            await parent.enqueue(n - 1)

    async with qk:
        await parent.enqueue(3)
        await qk.run_worker(burst=True)
        done = await qk.inspect.list()
    assert [job.state for job in done] == [State.SUCCEEDED] * 4


async def test_hooks_run_around_the_worker(qk: Queuekit) -> None:
    seen = []

    @qk.on_startup
    def first() -> None:
        seen.append("sync startup")

    @qk.on_startup
    async def second() -> None:
        seen.append("async startup")

    @qk.on_shutdown
    async def last() -> None:
        seen.append("shutdown")

    @qk.task
    async def task() -> None:
        seen.append("job")

    async with qk:
        await task.enqueue()
        await qk.run_worker(burst=True)
    assert seen == ["sync startup", "async startup", "job", "shutdown"]


async def test_leaving_the_block_lets_running_jobs_finish(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task() -> str:
        started.set()
        await asyncio.sleep(0.1)
        return "finished"

    async with qk:
        job = await task.enqueue()
        async with qk.worker():
            await started.wait()
        assert await job.result(timeout=1) == "finished"


async def test_after_the_grace_period_jobs_are_released_uncounted(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with qk:
        job = await endless.enqueue()
        async with qk.worker(grace=0):
            await started.wait()
        info = await job.info()
    assert (info.state, info.attempt, info.errors) == (State.READY, 0, ())


async def test_a_slow_task_hoards_nothing_that_others_could_run(
    qk: Queuekit, another: Callable[[], Queuekit]
) -> None:
    release, quick = asyncio.Event(), []

    def tasks(app: Queuekit, name: str) -> Any:
        @app.task(name="task")
        async def task(slow: bool) -> None:
            if slow:
                await release.wait()
            else:
                quick.append(name)

        return task

    task = tasks(qk, "first")
    elsewhere = another()
    tasks(elsewhere, "second")
    async with qk, elsewhere, qk.worker(concurrency=1):
        await task.enqueue(True)
        await eventually(lambda: any_running(qk))
        await qk.enqueue_many([task.job(False) for _ in range(20)])
        async with elsewhere.worker(concurrency=1):
            await eventually(lambda: len(quick) == 20)
            release.set()


async def any_running(app: Queuekit) -> bool:
    return any(queue.counts.get(State.RUNNING) for queue in await app.inspect.queues())


async def test_more_urgent_jobs_go_first(qk: Queuekit) -> None:
    order = []

    @qk.task
    async def task(n: int) -> None:
        order.append(n)

    async with qk:
        for n, priority in enumerate([5, 0, -5, 0]):
            await task.with_options(priority=priority).enqueue(n)
        await qk.run_worker(burst=True, concurrency=1)
    assert order == [2, 1, 3, 0]


async def test_a_job_that_expires_while_it_waits_here_never_begins(qk: Queuekit) -> None:
    go, runs = asyncio.Event(), []

    @qk.task
    async def task(n: int) -> None:
        runs.append(n)
        await go.wait()

    async with qk:
        await task.enqueue(1)
        job = await task.with_options(expires=0.2).enqueue(2)
        async with qk.worker(concurrency=1) as worker:
            await eventually(lambda: runs and overdue(worker))
            go.set()
            with pytest.raises(JobFailed, match=r"failed \(expired\)"):
                await job.result(timeout=10)
    assert runs == [1]


def overdue(worker: Worker) -> bool:
    assert worker._parts is not None
    return all(run.age() > 0.2 for run in worker._parts.board.buffer)


async def test_a_backoff_function_that_fails_means_a_minute(qk: Queuekit) -> None:
    def backoff(attempt: int, error: BaseException) -> float:
        raise ZeroDivisionError

    @qk.task(backoff=backoff)
    async def broken() -> None:
        raise ValueError("the task's own")

    async with qk:
        job = await broken.enqueue()
        await qk.run_worker(burst=True)
        info = await job.info()
    assert info.state is State.SCHEDULED
    assert info.errors[0].message == "the task's own"
    assert info.scheduled_at is not None
    assert timedelta(seconds=50) < info.scheduled_at - info.errors[0].at <= timedelta(seconds=61)


async def test_options_of_one_call_go_before_the_tasks(qk: Queuekit) -> None:
    @qk.task(timeout=600, backoff=fixed(600), max_attempts=1)
    async def task() -> int:
        if current().attempt == 1:
            await asyncio.Event().wait()
        return current().attempt

    once = task.with_options(timeout=0.05, backoff=fixed(0), max_attempts=2)
    async with qk, qk.worker():
        job = await once.enqueue()
        assert await job.result(timeout=10) == 2
        assert [error.type for error in (await job.info()).errors] == ["TimeoutError"]


async def test_a_stop_iteration_of_a_sync_task_is_an_error_like_any_other(qk: Queuekit) -> None:
    @qk.task(max_attempts=1)
    def task() -> object:
        return next(iter(()))

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): RuntimeError: .*StopIteration"):
            await (await task.enqueue()).result(timeout=10)


async def test_a_cancelled_error_of_the_tasks_own_is_an_error_like_any_other(qk: Queuekit) -> None:
    @qk.task(max_attempts=1)
    async def task() -> None:
        work = asyncio.ensure_future(asyncio.Event().wait())
        work.cancel()
        await work

    async with qk, qk.worker():
        with pytest.raises(JobFailed, match=r"\(exhausted\): CancelledError"):
            await (await task.enqueue()).result(timeout=10)


async def test_a_task_that_finishes_though_it_was_cancelled_has_finished(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task(ctx: Context) -> bool:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return ctx.cancelled
        return False

    async with qk, qk.worker(concurrency=1):
        for _ in range(2):
            job = await task.enqueue()
            await started.wait()
            started.clear()
            await job.cancel()
            assert await job.result(timeout=10) is True


class Strict(BaseModel):
    """Its validator is wrong itself."""

    n: int

    @field_validator("n")
    @classmethod
    def check(cls, n: int) -> int:
        raise KeyError(n)


async def test_results_that_can_not_be_checked_or_written_end_no_worker(qk: Queuekit) -> None:
    @qk.task
    async def huge() -> int:
        return 10**5_000

    @qk.task
    async def strict() -> Strict:
        return {"n": 5}  # type: ignore[return-value]  # read as one

    @qk.task
    async def good() -> int:
        return 5

    async with qk, qk.worker():
        for task in (huge, strict):
            with pytest.raises(JobFailed, match=r"\(invalid_result\)"):
                await (await task.enqueue()).result(timeout=10)
        assert await (await good.enqueue()).result(timeout=10) == 5


async def test_a_result_that_the_server_refuses_is_an_error_in_the_log(qk: Queuekit) -> None:
    @qk.task
    async def task() -> str:
        return "unstorable"

    async with qk:
        backend = await qk.backend()
        fetch = backend.fetch

        async def refuse(*args: Any, **asked: Any) -> Fetched:
            fetched = await fetch(*args, **asked)
            return fetched._replace(verdicts=[Verdict.REFUSED for _ in fetched.verdicts])

        backend.fetch = refuse  # type: ignore[method-assign]  # as a server might
        await task.enqueue()
        with capture_logs() as lines:
            await qk.run_worker(burst=True)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "the server would not store the result; the job has failed (invalid_result)"
    ]


async def test_more_reports_than_can_wait_push_the_oldest_out(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.reporter.MOST_WAITING", 3)

    @qk.task
    async def task(ctx: Context) -> None:
        first, *_, last = [ctx.log(f"line {n}") for n in range(5)]
        await first
        await last
        await last

    async with qk, qk.worker():
        job = await task.enqueue()
        await job.result(timeout=10)
        assert (await job.info()).logs == ("line 2", "line 3", "line 4")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"colour": "red"}, "A worker's options are queues, concurrency, .*got queues, colour"),
        ({"concurrency": 0}, "must be >= 1"),
        ({"lease": 0.01}, "lease >= 0.05"),
        ({"queues": ["a b"]}, "queue 'a b': 1 to 128 letters"),
    ],
)
async def test_wrong_options_are_refused_before_anything_runs(
    qk: Queuekit, options: dict[str, Any], says: str
) -> None:
    @qk.task
    async def task() -> None: ...

    async with qk:
        with pytest.raises(InvalidOption, match=says):
            await qk.run_worker(**options)


async def test_an_app_without_tasks_has_nothing_to_serve(qk: Queuekit) -> None:
    with pytest.raises(ConfigurationError, match=r"define one with @qk\.task"):
        await qk.run_worker()


async def test_a_startup_hook_that_fails_ends_the_worker_and_the_block_beside_it(
    qk: Queuekit,
) -> None:
    @qk.on_startup
    def hook() -> None:
        raise ZeroDivisionError

    @qk.task
    async def task() -> None: ...

    with pytest.raises(ExceptionGroup) as failed:
        async with qk, qk.worker():
            await asyncio.Event().wait()
    assert failed.group_contains(ZeroDivisionError)


async def test_a_worker_says_what_it_does(qk: Queuekit) -> None:
    go = asyncio.Event()

    @qk.task(queue="mail")
    async def task(ctx: Context) -> str:
        await go.wait()
        return repr(ctx)

    async with qk:
        async with qk.worker() as worker:
            job = await task.enqueue()
            await eventually(lambda: "1 running" in repr(worker))
            assert repr(worker) == "<Worker of mail: <Board: 0 claimed, 1 running, 0 done>>"
            go.set()
            assert await job.result(timeout=10) == f"<Context of job {job.id}, attempt 1 of 5>"
        assert "1 done" in repr(worker)


async def test_a_second_stop_means_at_once(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    async with qk:
        job = await endless.enqueue()
        async with qk.worker(grace=600) as worker:
            assert "not running" in repr(worker)
            await started.wait()
            worker.stop()
            worker.stop()
        assert await job.status() is State.READY


async def test_a_stop_and_leaving_the_block_are_one_request(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task(ctx: Context) -> str:
        started.set()
        while not ctx.shutting_down:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        return "finished"

    async with qk:
        job = await task.enqueue()
        async with qk.worker() as worker:
            await started.wait()
            worker.stop()
        assert await job.result(timeout=1) == "finished"


async def test_a_sync_task_within_its_timeout(qk: Queuekit) -> None:
    @qk.task(timeout=30)
    def task(ctx: Context) -> bool:
        return ctx.deadline is not None

    async with qk, qk.worker():
        assert await (await task.enqueue()).result(timeout=10) is True


async def test_a_job_whose_thread_comes_after_its_timeout_runs_again(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, late = Threads.submit, threading.Event()

    def slowly(threads: Threads, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        return submit(threads, lambda: (late.is_set() or late.wait(0.3) or late.set(), work())[1])  # type: ignore[func-returns-value]

    monkeypatch.setattr(Threads, "submit", slowly)

    @qk.task(timeout=0.2, max_attempts=1)
    def task() -> str:
        return "done"

    async with qk, qk.worker():
        job = await task.enqueue()
        assert await job.result(timeout=5) == "done"
        assert (await job.info()).attempt == 1


async def test_unknown_tasks_are_named_once(qk: Queuekit, another: Callable[[], Queuekit]) -> None:
    other = another()

    @other.task
    async def elsewhere() -> None: ...

    @qk.task
    async def here() -> None: ...

    async with other:
        for _ in range(3):
            await elsewhere.enqueue()
        with capture_logs() as lines:
            await qk.run_worker(burst=True)
    assert [line["task"] for line in lines if line["log_level"] == "warning"] == ["elsewhere"]


@pytest.mark.parametrize("threads", [False, True])
async def test_a_worker_that_is_cancelled_still_closes_what_it_opened(
    qk: Queuekit, threads: bool
) -> None:
    started, go, seen = threading.Event(), threading.Event(), []

    @qk.on_shutdown
    def hook() -> None:
        seen.append("shutdown")

    @qk.task
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    @qk.task
    def block() -> None:
        started.set()
        go.wait(20)

    async with qk:
        task: Any = block if threads else wait
        jobs: list[Any] = await qk.enqueue_many([task.job(), task.job()])
        worker = asyncio.create_task(qk.run_worker(threads=1, signals=False))
        await eventually(started.is_set)
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
        go.set()
        assert seen == ["shutdown"]
        assert [await job.status() for job in jobs] == [State.RUNNING] * 2
        assert await qk.inspect.workers() == []


async def test_jobs_of_a_worker_that_died_are_rescued_and_run(qk: Queuekit) -> None:
    @qk.task
    async def task() -> str:
        return "done"

    async with qk:
        job = await task.enqueue()
        await (await qk.backend()).fetch(["default"], 1, Claimant("dead", 1), lease=200_000)
        with capture_logs() as lines:
            async with qk.worker():
                assert await job.result(timeout=20) == "done"
        info = await job.info()
    assert (info.attempt, info.lapses) == (1, 1)
    assert [line["count"] for line in lines if "rescued" in line["event"]] == [1]
