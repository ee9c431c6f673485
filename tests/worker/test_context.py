"""What a running task may know and tell: its context, progress and log lines."""

from decimal import Decimal
from typing import Any

import pytest

from queuekit import Context, InvalidOption, Queuekit, current


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


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError


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
        told = await job.result(timeout=10)
        assert (await job.info()).progress == {"value": 0.5, "note": None}
    assert len(told) == len(NO_PROGRESS)
    assert all("pass a finite number" in error for error in told)


async def test_notes_and_lines_take_any_object(qk: Queuekit) -> None:
    @qk.task
    async def task(ctx: Context) -> None:
        for line in ("\0 \ud800", 5, None, Hostile(), "x" * 5_000):
            ctx.log(line)
        await ctx.progress(1, note="\ud800" * 5_000)

    async with qk, qk.worker():
        job = await task.enqueue()
        await job.result(timeout=10)
        info = await job.info()
    assert info.logs == (
        "\\0 \\ud800", "5", "None", "<a text that can't be shown: __str__ failed>", "x" * 1_000
    )  # fmt: skip
    assert info.progress["note"] == ("\\ud800" * 5_000)[:1_000]
