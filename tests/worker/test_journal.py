"""What is logged of jobs: nothing of those that succeed, each failed attempt, each job that failed for good."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit import Context, GiveUp, JobFailed, Queuekit, Retry, Snooze, fixed
from queuekit.failure import failure
from queuekit.job import Ack, Claim, JobRef, Return, ReturnKind, State, Token, new_id
from queuekit.lifecycle import Cancelled, Died, Released
from queuekit.worker import journal
from tests.waiting import eventually
from tests.worker.records import record_at

LEVELS = ("warning", "error", "critical")


def told(lines: list[Any]) -> list[Any]:
    """What somebody should know of."""
    return [line for line in lines if line["log_level"] in LEVELS]


async def test_success_is_quiet(qk: Queuekit) -> None:
    @qk.task(timeout=30)
    async def task(ctx: Context) -> str:
        if ctx.attempt_token and not seen:
            seen.append(1)
            raise Snooze(0.01)
        return "done"

    seen: list[int] = []
    async with qk:
        with capture_logs() as lines:
            async with qk.worker():
                assert await (await task.enqueue()).result(timeout=50) == "done"
    assert told(lines) == []


async def test_a_failed_attempt_is_a_warning_and_the_last_one_an_error(qk: Queuekit) -> None:
    @qk.task(max_attempts=3, backoff=lambda attempt, _: (0, 0.01, 0)[attempt - 1])
    async def broken() -> None:
        raise KeyError("k")

    async with qk:
        with capture_logs() as lines:
            async with qk.worker():
                job = await broken.enqueue()
                with pytest.raises(JobFailed):
                    await job.result(timeout=50)
    about = {"task": "broken", "job_id": str(job.id), "queue": "default", "error": "KeyError: 'k'"}
    first, second, last = told(lines)
    assert first == {
        **about,
        "event": "attempt failed",
        "log_level": "warning",
        "attempt": "1 of 3",
        "again": "at once",
    }
    assert second == {**first, "attempt": "2 of 3", "again": "in 0.01 s"}
    trace = last.pop("exception")
    assert last == {
        **about,
        "event": "job failed",
        "log_level": "error",
        "attempt": "3 of 3",
        "reason": "exhausted",
    }
    assert trace.startswith("Traceback")
    assert trace.endswith("KeyError: 'k'")


async def test_every_reason_to_fail_is_told(qk: Queuekit, another: Callable[[], Queuekit]) -> None:
    old = another()

    @old.task(name="invalid")
    async def before(n: str) -> None: ...

    @qk.task(name="invalid")
    async def now(n: int) -> None: ...

    @qk.task(timeout=0.05, max_attempts=1)
    async def timeout() -> None:
        await asyncio.Event().wait()

    @qk.task
    async def invalid_result() -> int:
        return "five"  # type: ignore[return-value]

    @qk.task
    async def gave_up() -> None:
        raise GiveUp("no use")

    @qk.task(max_attempts=1)
    async def exhausted() -> None:
        raise Retry(reason="again")

    @qk.task(expires=0.05)
    async def expired() -> None: ...

    async with qk, old:
        jobs: list[Any] = [await old.enqueue(before.job("x"))]
        jobs += [await t.enqueue() for t in (timeout, invalid_result, gave_up, exhausted, expired)]
        await eventually(lambda: is_past(qk, jobs[-1]))
        with capture_logs() as lines:
            async with qk.worker():
                for job in jobs:
                    with pytest.raises(JobFailed):
                        await qk.handle(job.id).result(timeout=50)
                await eventually(lambda: len(told(lines)) == len(jobs))
    errors = told(lines)
    assert {(line["task"], line["reason"]) for line in errors} == {
        (name, name)
        for name in ("invalid", "timeout", "invalid_result", "gave_up", "exhausted", "expired")
    }
    assert {line["log_level"] for line in errors} == {"error"}
    assert {line["job_id"] for line in errors} == {str(job.id) for job in jobs}
    assert all("exception" in line for line in errors if line["task"] != "expired")


async def is_past(qk: Queuekit, job: Any) -> bool:
    """By our own clock, which is the servers'."""
    record = await record_at(qk, JobRef(job.queue, job.id))
    assert record is not None
    assert record.times.expires_at is not None
    return record.times.expires_at < time.time() * 1_000_000


def claim(attempt: int = 1) -> Claim:
    return Claim(Token("q", new_id(), 1), "task", "{}", attempt, 3, 0, 0, 1, None, "")


def test_a_death_is_a_warning() -> None:
    one = claim()
    error = failure(ChildProcessError("died (signal 9)"), 1)
    with capture_logs() as lines:
        journal.tell(one, Died(error), Return(one.token, ReturnKind.DEATH, error=error))
    (line,) = lines
    assert (line["log_level"], line["error"]) == ("warning", "ChildProcessError: died (signal 9)")


def test_what_is_cancelled_or_given_back_is_quiet() -> None:
    one = claim()
    with capture_logs() as lines:
        journal.tell(one, Cancelled("x"), Ack(one.token, "task", State.CANCELLED))
        journal.tell(one, Released(), Return(one.token, ReturnKind.RELEASE))
    assert lines == []


# Where the lines go


APP = """
import logging, sys
import structlog
from queuekit import Queuekit

{setup}
qk = Queuekit()

@qk.task(max_attempts=1)
async def broken() -> None:
    raise ValueError("mine")

@qk.task(max_attempts=1, executor="process")
def in_a_child() -> None:
    logging.getLogger("theirs").warning("theirs by logging")
    structlog.get_logger().warning("theirs by structlog")
"""

NONE = ""
LOGGING = (
    """logging.basicConfig(stream=sys.stderr, format="PLAIN %(name)s %(levelname)s %(message)s")"""
)
STRUCTLOG = """
structlog.configure(
    processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """An app with a way to log, whose worker runs a job of each task."""
    monkeypatch.setenv("QUEUEKIT_URL", f"sqlite:///{tmp_path}/queue.db")
    monkeypatch.chdir(tmp_path)

    def done(setup: str, *arguments: str) -> Any:
        (tmp_path / "app.py").write_text(APP.format(setup=setup))
        for task in ("broken", "in_a_child"):
            queuekit("enqueue", task, "--app", "app:qk")
        return queuekit("worker", "app:qk", "--burst", *arguments)

    return done


def queuekit(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "queuekit", *arguments], capture_output=True, text=True, check=True
    )


def test_without_a_configuration_lines_are_json_on_stderr(run: Callable[..., Any]) -> None:
    done = run(NONE)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    events = [line["event"] for line in lines]
    assert events[0] == "worker started"
    assert {"job failed", "theirs by logging", "theirs by structlog"} <= set(events)
    # Lines of a task have its job, in a child, too.
    assert {line["task"] for line in lines if "theirs" in line["event"]} == {"in_a_child"}


def test_the_programs_own_logging_gets_them(run: Callable[..., Any]) -> None:
    done = run(LOGGING)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert any(line.startswith("PLAIN queuekit ERROR job failed task='broken'") for line in lines)
    assert "PLAIN theirs WARNING theirs by logging" in lines
    assert not any(line.startswith("{") for line in lines)


def test_the_programs_own_structlog_gets_them(run: Callable[..., Any]) -> None:
    done = run(STRUCTLOG)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert any(line.startswith("event='job failed'") for line in lines)
    assert "event='theirs by structlog'" in lines


def test_with_json_stdout_has_nothing_else(run: Callable[..., Any]) -> None:
    for setup in (NONE, LOGGING, STRUCTLOG):
        done = run(setup, "--json")
        assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == [
            "started",
            "stopped",
        ]


def test_a_program_that_uses_the_library_keeps_its_stdout() -> None:
    code = (
        "import asyncio\n"
        "from queuekit import Queuekit\n"
        "qk = Queuekit('sqlite://')\n"
        "@qk.task(max_attempts=1)\n"
        "async def broken() -> None: raise ValueError('mine')\n"
        "async def main():\n"
        "    async with qk:\n"
        "        await broken.enqueue()\n"
        "        await qk.run_worker(burst=True)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.startswith("job failed task='broken' ")
    assert done.stderr.rstrip().endswith("ValueError: mine")


async def test_a_program_whose_log_fails_has_its_jobs_run(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("the log is full")

    @qk.task(max_attempts=2, backoff=fixed(0))
    async def flaky(ctx: Context) -> int:
        if ctx.attempt == 1:
            raise ValueError("once")
        return ctx.attempt

    with capture_logs():
        monkeypatch.setattr("structlog.get_logger", fail)
        async with qk, qk.worker():
            assert await (await flaky.enqueue()).result(timeout=50) == 2
    assert "the log is full" in capsys.readouterr().err
