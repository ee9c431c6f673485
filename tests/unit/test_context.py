"""What a running task may know, and what it may raise: whatever it passes, the outcome can be stored."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from queuekit import Cancel, Context, GiveUp, InvalidOption, Queuekit, Retry, Snooze, current
from queuekit.context import delay_asked
from queuekit.failure import MESSAGE_CAP
from queuekit.times import LONGEST


@pytest.fixture
def qk() -> Queuekit:
    return Queuekit("sqlite://")


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("raised", [Snooze, lambda delay: Retry(delay=delay)])
def test_a_delay_is_seconds_or_a_timedelta_within_the_range(raised: Any) -> None:
    assert delay_asked(raised(1.5)) == 1_500_000
    assert delay_asked(raised(timedelta(days=3_660))) == LONGEST
    for wrong in (-1, float("nan"), 1.7e12, 10**5_000, "30", None, Hostile()):
        with pytest.raises(
            InvalidOption, match=r"(Snooze|Retry): delay: pass seconds or a timedelta"
        ):
            raised(wrong)


def test_milliseconds_for_seconds_are_guessed() -> None:
    with pytest.raises(InvalidOption, match="were milliseconds or a moment meant as seconds"):
        Retry(delay=1_700_000_000_000)


@pytest.mark.parametrize("wrong", [30.0, timedelta(1), "30", None, -1, LONGEST + 1, True])
def test_a_delay_that_was_overwritten_is_checked_again(wrong: Any) -> None:
    asked = Snooze(1)
    asked.delay = wrong

    with pytest.raises(InvalidOption, match=r"Snooze\.delay: .* let Snooze call super"):
        delay_asked(asked)


def test_a_subclass_without_a_delay_is_told() -> None:
    class Later(Retry):
        def __init__(self) -> None: ...

    with pytest.raises(InvalidOption, match=r"Later\.delay"):
        delay_asked(Later())


@pytest.mark.parametrize("reason", [Hostile(), None, 5, "\0 \ud800", "x" * 10_000])
def test_reasons_take_any_object(reason: Any) -> None:
    for raised in (Cancel(reason), GiveUp(reason), Retry(reason=reason)):
        text = str(raised)
        assert text.encode().count(0) == 0
        assert len(text) <= MESSAGE_CAP
    assert Cancel("done").reason == "done"


# What it may know


def test_current_outside_a_task_says_so() -> None:
    with pytest.raises(LookupError, match="only inside a running task"):
        current()


async def test_the_context_tells_what_it_promises(qk: Queuekit) -> None:
    @qk.task(meta={"trace": "abc"}, max_attempts=2, queue="mail")
    async def task(ctx: Context) -> list[Any]:
        assert current().job_id == ctx.job_id
        return [ctx.attempt, ctx.max_attempts, ctx.is_last_attempt, ctx.queue, dict(ctx.meta), ctx.deadline,
                ctx.cancelled, ctx.lease_lost, ctx.shutting_down, ctx.idempotency_key]  # fmt: skip

    async with qk, qk.worker():
        job = await task.enqueue()
        assert await job.result(timeout=50) == [
            1, 2, False, "mail", {"trace": "abc"}, None, False, False, False, str(job.id)
        ]  # fmt: skip
        assert (await job.info()).meta == {"trace": "abc"}


async def test_each_attempt_has_a_token_of_its_own_and_the_last_one_is_known(qk: Queuekit) -> None:
    seen = list[Any]()

    @qk.task(max_attempts=2)
    async def task(ctx: Context) -> str:
        seen.append(ctx.attempt_token)
        if not ctx.is_last_attempt:
            raise Retry
        return f"{ctx.attempt} of {ctx.max_attempts}"

    async with qk, qk.worker():
        assert await (await task.enqueue()).result(timeout=50) == "2 of 2"
    assert seen == sorted(set(seen))
    assert len(seen) == 2


@pytest.mark.parametrize("thread", [False, True])
async def test_the_deadline_is_that_of_the_timeout(qk: Queuekit, thread: bool) -> None:
    @qk.task(timeout=60)
    async def task(ctx: Context) -> datetime | None:
        return ctx.deadline

    @qk.task(timeout=60)
    def in_a_thread(ctx: Context) -> datetime | None:
        return ctx.deadline

    async with qk, qk.worker():
        before = datetime.now(UTC)
        job = await (in_a_thread if thread else task).enqueue()
        deadline = await job.result(timeout=50)
    assert deadline is not None
    assert before <= deadline - timedelta(seconds=60) <= datetime.now(UTC)


async def test_a_task_sees_that_its_worker_stops_and_that_it_is_told_to_stop(qk: Queuekit) -> None:
    started, seen = asyncio.Event(), list[str]()

    @qk.task
    async def task() -> None:
        started.set()
        ctx = current()
        try:
            while not ctx.shutting_down:
                await asyncio.sleep(0.001)
            seen.append(f"cancelled: {ctx.cancelled}")
            await asyncio.Event().wait()
        finally:
            seen.append(f"cancelled: {ctx.cancelled}")

    async with qk:
        await task.enqueue()
        async with qk.worker(grace=0.1):
            await started.wait()
    assert seen == ["cancelled: False", "cancelled: True"]


NO_PROGRESS = [float("nan"), float("-inf"), "half", None, Decimal("0.5"), 10**5_000, [1]]


async def test_a_value_that_is_no_number_is_an_error_in_the_task_alone(qk: Queuekit) -> None:
    @qk.task
    async def task(ctx: Context) -> list[str]:
        told = []
        for value in NO_PROGRESS:
            try:
                await ctx.progress(value)  # type: ignore[arg-type]
            except InvalidOption as error:
                told.append(str(error))
        await ctx.progress(0.5)
        return told

    async with qk, qk.worker():
        job = await task.enqueue()
        told = await job.result(timeout=50)
        assert (await job.info()).progress == {"value": 0.5, "note": None}
    assert len(told) == len(NO_PROGRESS)
    assert all("pass a finite number" in error for error in told)
