import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(shop: Path) -> Iterator[Start]:
    """Start ``queuekit worker --json``; what is still there after the test is killed."""
    with ExitStack() as stack:

        def run(*arguments: object) -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [sys.executable, "-m", "queuekit", "worker", "--json", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield run


def event(process: "subprocess.Popen[str]") -> Any:
    """The next line on its stdout."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def wait_for_state(cli: Cli, state: str) -> None:
    while cli("jobs", "list", "--json").document["state"] != state:
        time.sleep(0.02)


def test_a_burst_runs_what_there_is(cli: Cli, process: Cli) -> None:
    for to in ("ada", "nobody"):
        cli("enqueue", "send", json.dumps({"to": to}))

    done = process("worker", "--burst", "--json")

    assert done.code == 0
    assert [line["event"] for line in done.lines] == ["started", "stopped"]
    assert done.lines[0]["queues"] == ["email", "default", "threads", "notes"]
    counts = cli("queues", "list", "--json").document["counts"]
    assert counts == {"succeeded": 1, "failed": 1}


def test_people_get_logs_on_stderr_alone(process: Cli) -> None:
    done = process("worker", "--burst")

    assert (done.code, done.out) == (0, "")
    assert [json.loads(line)["event"] for line in done.err.splitlines()] == [
        "worker started",
        "worker stopped",
    ]
    assert process("worker", "--burst", "--log-level", "warning").err == ""


def test_only_the_queues_asked_for(cli: Cli, process: Cli) -> None:
    cli("enqueue", "send", '{"to": "ada"}')
    cli("enqueue", "whoami")

    process("worker", "--burst", "--queue", "email", "--queue", "threads")

    found = {job["task"]: job["state"] for job in cli("jobs", "list", "--json").lines}
    assert found == {"send": "succeeded", "whoami": "ready"}


def test_the_app_and_its_store_as_arguments(
    cli: Cli, process: Cli, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUEUEKIT_APP")
    other = f"sqlite:///{shop.parent}/other.db"
    cli("enqueue", "whoami", "--app", "shop:qk", "--url", other)

    assert process("worker", "shop:qk", "--burst", "--url", other).code == 0

    assert cli("jobs", "list", "--json", "--url", other).document["state"] == "succeeded"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_jobs_end(cli: Cli, start: Start, number: signal.Signals) -> None:
    cli("enqueue", "block", '{"seconds": 0.5}')
    worker = start()
    assert event(worker)["event"] == "started"
    wait_for_state(cli, "running")

    worker.send_signal(number)

    assert worker.wait() == 0
    assert event(worker)["event"] == "stopped"
    assert cli("jobs", "list", "--json").document["state"] == "succeeded"


def test_a_thread_that_hangs_does_not_keep_the_process(cli: Cli, start: Start) -> None:
    cli("enqueue", "block", '{"seconds": 600}')
    worker = start("--grace", "100ms")
    assert event(worker)["event"] == "started"
    wait_for_state(cli, "running")

    worker.terminate()

    assert worker.wait(20) == 0
    job = cli("jobs", "list", "--json").document
    assert (job["state"], job["attempt"]) == ("ready", 0)


def test_a_store_that_is_down_at_the_start_is_an_error(process: Cli) -> None:
    done = process("worker", "--url", "redis://127.0.0.1:1")

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
