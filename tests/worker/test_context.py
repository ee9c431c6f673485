"""What a running task may know and tell: its context, progress and log lines."""

from queuekit import Context, Queuekit


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
            await job.result(timeout=50)
        infos = [await job.info() for job in jobs]
    assert infos[0].progress == {"value": 0.5, "note": "half"}
    assert infos[0].logs == ("from a thread",)
    assert infos[1].progress == {"value": 1, "note": None}
    assert infos[1].logs == ("one", "two")


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError


async def test_notes_and_lines_take_any_object(qk: Queuekit) -> None:
    @qk.task
    async def task(ctx: Context) -> None:
        for line in ("\0 \ud800", 5, None, Hostile(), "x" * 5_000):
            ctx.log(line)
        await ctx.progress(1, note="\ud800" * 5_000)

    async with qk, qk.worker():
        job = await task.enqueue()
        await job.result(timeout=50)
        info = await job.info()
    assert info.logs == (
        "\\0 \\ud800", "5", "None", "<a text that can't be shown: __str__ failed>", "x" * 1_000
    )  # fmt: skip
    assert info.progress["note"] == ("\\ud800" * 5_000)[:1_000]
