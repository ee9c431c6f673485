"""examples/webhooks.py, as its docstring says to use it."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("QUEUEKIT_URL", f"sqlite:///{tmp_path}/queue.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "webhooks.py", str(port)], stderr=subprocess.DEVNULL
    ) as server:
        while not listening(port):
            assert server.poll() is None
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/"
        server.kill()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def post(endpoint: str, body: bytes) -> str:
    with urllib.request.urlopen(endpoint, body) as answer:
        assert answer.status == 202
        text: str = answer.read().decode().strip()
        return text


def queuekit(*arguments: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "queuekit", *arguments, "--json"], capture_output=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_is_posted_is_processed_once(endpoint: str) -> None:
    body = (EXAMPLES / "events.jsonl").read_bytes().splitlines()[0]
    ids = [post(endpoint, body), post(endpoint, body), post(endpoint, b"nonsense")]

    queuekit("worker", "queuekit.demo.app:qk", "--burst")

    received = {job["id"]: job for job in queuekit("jobs", "list", "--task", "receive")}
    assert sorted(str(received[one]["result"]) for one in ids) == ["None", "accepted", "duplicate"]
    assert received[ids[2]]["reason"] == "gave_up"
    (processed,) = queuekit("jobs", "list", "--task", "process")
    assert processed["state"] == "succeeded"
