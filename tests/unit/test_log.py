"""Lines that a task logs carry its job."""

import json
import subprocess
import sys

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
