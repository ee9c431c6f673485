"""Lines that a task logs carry its job."""

import json
import subprocess
import sys

import pytest

from queuekit import Context, Queuekit, current
from queuekit.log import job_fields


async def test_a_line_inside_a_task_carries_its_job() -> None:
    seen: list[dict[str, object]] = []
    qk = Queuekit("sqlite://", namespace="logs")

    @qk.task(queue="mail")
    async def task(ctx: Context) -> None:
        assert current().job_id == ctx.job_id
        seen.append(dict(job_fields(None, "info", {"event": "hello"})))

    async with qk:
        job = await task.enqueue()
        await qk.run_worker(burst=True)

    assert seen == [
        {"event": "hello", "job_id": str(job.id), "task": "task", "queue": "mail", "attempt": 1}
    ]


def test_a_line_outside_a_task_is_left_alone() -> None:
    assert job_fields(None, "info", {"event": "hello"}) == {"event": "hello"}


def test_programs_get_json_on_stderr() -> None:
    code = "from queuekit.log import configure, log; configure('warning'); log.info('no'); log.warning('yes', n=1)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    (line,) = run.stderr.splitlines()
    assert json.loads(line)["event"] == "yes"
    assert run.stdout == ""


ASYNCHRONOUS = """
import asyncio, structlog, sys
from queuekit.log import log

class Own(structlog.BoundLoggerBase):
    async def warning(self, event, **fields):
        return self._proxy_to_logger("warning", event, **fields)
    error = info = warning

structlog.configure(
    wrapper_class={wrapper},
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
)

async def main():
    log.warning("on the loop", n=1)
    await asyncio.to_thread(log.error, "in a thread")

asyncio.run(main())
log.info("without a loop")
"""


@pytest.mark.parametrize("wrapper", ["structlog.stdlib.AsyncBoundLogger", "Own"])
def test_no_line_is_lost_in_an_asynchronous_logger(wrapper: str) -> None:
    command = [sys.executable, "-c", ASYNCHRONOUS.format(wrapper=wrapper)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)

    assert [json.loads(line) for line in run.stderr.splitlines()] == [
        {"event": "on the loop", "level": "warning", "n": 1},
        {"event": "in a thread", "level": "error"},
        {"event": "without a loop", "level": "info"},
    ]
