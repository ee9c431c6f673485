"""The demo settles its books from the queue, and says so where they don't add up."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from pydantic import ValidationError

from queuekit import Queuekit, State
from queuekit.backend import JobFilter
from queuekit.demo.app import Event
from queuekit.demo.books import Books, checks, deliveries, reckoned

ROOT = Path(__file__).parents[2]
EVENTS = files("queuekit.demo").joinpath("events.jsonl").read_bytes()


class Run(NamedTuple):
    """How a demo ended: its exit code and its JSON."""

    code: int
    said: Any

    @property
    def wrong(self) -> set[str]:
        """The figures that differ."""
        return {check["what"] for check in self.said["checks"] if not check["ok"]}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "queuekit", "demo", *map(str, arguments)]


def demo(*arguments: object) -> Run:
    done = subprocess.run(
        command("--json", *arguments), capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return Run(done.returncode, json.loads(done.stdout))


def with_report(bodies: list[bytes]) -> list[bytes]:
    """The lines of a file of these deliveries."""
    books = reckoned(bodies)
    report = {"deliveries": len(bodies), "events": books.accepted, "net": books.net}
    return [*bodies, json.dumps({"report": report}).encode()]


@pytest.fixture
def lines() -> list[bytes]:
    """A file of some dozens of the deliveries, of all kinds."""
    return with_report(EVENTS.splitlines()[:60])


@pytest.fixture
def file(tmp_path: Path) -> Callable[[list[bytes]], Path]:
    def write(lines: list[bytes]) -> Path:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"\n".join(lines))
        return path

    return write


def test_the_whole_demo_adds_up() -> None:
    done = subprocess.run(command(), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "all figures add up" in done.stdout
    assert "jobs/s" in done.stdout
    figures = dict(re.findall(r"^ (\w+) +([\d,]+) ", done.stdout, re.MULTILINE))
    assert figures["received"] == str(len(EVENTS.splitlines()) - 1)


@pytest.mark.parametrize("backend", ["redis", "postgres"])
def test_on_servers_of_its_own(
    backend: str, lines: list[bytes], file: Callable[[list[bytes]], Path]
) -> None:
    run = demo("--events", file(lines), "--backend", backend)

    assert (run.code, run.wrong) == (0, set())
    assert run.said["backend"] == backend
    figures = run.said["figures"]
    assert figures["received"] == 60
    assert all(figures[what] for what in ("duplicates", "malformed", "retried", "failed"))
    assert figures["unfinished"] == 0


def test_an_event_that_is_missing(lines: list[bytes], file: Callable[[list[bytes]], Path]) -> None:
    run = demo("--events", file(lines[1:]))

    assert run.code == 1
    assert "report: deliveries" in run.wrong
    assert run.said["ok"] is False


def test_an_amount_that_is_a_cent_off(
    lines: list[bytes], file: Callable[[list[bytes]], Path]
) -> None:
    lines[0] = lines[0].replace(b'"amount":5370', b'"amount":5371')
    path = file(lines)
    done = subprocess.run(command("--events", path), capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "1 figures don't add up: report: net eur" in done.stdout


async def test_a_store_that_somebody_touched(
    lines: list[bytes],
    file: Callable[[list[bytes]], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    processed = JobFilter(tasks=["process"], states=[State.SUCCEEDED])
    with subprocess.Popen(
        command("--json", "--events", file(lines)), stdout=subprocess.PIPE
    ) as run:
        deleted = 0
        while not deleted:
            assert run.poll() is None
            await asyncio.sleep(0.02)
            for store in tmp_path.glob("*/demo.db"):
                async with Queuekit(f"sqlite:///{store}") as qk:
                    deleted = (await qk.inspect.delete(processed)).done
        out, _ = await asyncio.to_thread(run.communicate)

    found = Run(run.returncode, json.loads(out))
    assert found.code == 1
    assert {"processed", "succeeded", "succeeded + failed"} <= found.wrong
    assert found.said["figures"]["processed"] == 53 - deleted


def test_a_worker_that_dies() -> None:
    """With all events, so that it has work left when it is killed, also on a slow machine."""

    def worker(parent: int) -> psutil.Process | None:
        """Not another program that a library starts."""
        for child in psutil.Process(parent).children():
            with suppress(psutil.Error):
                if "worker" in child.cmdline():
                    return child
        return None

    with subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        while (found := worker(run.pid)) is None:
            time.sleep(0.02)
        found.kill()
        _, err = run.communicate()

    assert run.returncode == 1
    assert err.startswith(b"error: the worker has ended (exit code -9)")


def test_what_differs_is_found(lines: list[bytes]) -> None:
    given = deliveries(b"\n".join(lines))
    books = reckoned(given.bodies)

    def wrong(found: Books, report: Mapping[str, Any] = given.report) -> list[str]:
        return [check.what for check in checks(books, found, report) if not check.ok]

    assert wrong(books) == []
    assert wrong(replace(books, unfinished=1)) == ["unfinished"]
    assert wrong(replace(books, retried=0)) == ["retried"]
    assert wrong(replace(books, failed=0)) == ["failed", "succeeded + failed"]
    assert wrong(replace(books, net={**books.net, "gbp": 1})) == ["net gbp", "report: net gbp"]
    assert wrong(books, {**given.report, "events": 1}) == ["report: events"]
    assert wrong(books, {})[:2] == ["report: deliveries", "report: events"]


@pytest.mark.parametrize("end", [b"", b"{", b'{"report": 5}', b'{"report": {"net": {}}}'])
def test_a_file_that_is_cut_has_no_report(lines: list[bytes], end: bytes) -> None:
    assert deliveries(b"\n".join([*lines[:-1], end])).report == {}
    assert deliveries(end).report == {}


def test_both_judges_agree_on_what_is_malformed() -> None:
    def accepted(body: bytes) -> bool:
        try:
            Event.model_validate_json(body)
        except ValidationError:
            return False
        return True

    for body in deliveries(EVENTS).bodies:
        assert accepted(body) == (reckoned([body]).malformed == 0), body


def test_the_events_are_those_that_the_script_makes() -> None:
    script = ROOT / "examples/make_events.py"

    assert subprocess.check_output([sys.executable, script]) == EVENTS
    assert (ROOT / "examples/events.jsonl").read_bytes() == EVENTS


def test_the_events_are_a_stream_worth_showing() -> None:
    given = deliveries(EVENTS)
    books = reckoned(given.bodies)
    order = [
        (event["data"]["object"]["id"], event["created"])
        for body in given.bodies
        if reckoned([body]).accepted and (event := json.loads(body))
    ]
    newest: dict[str, int] = {}
    late = 0
    for charge, created in order:
        late += created < newest.get(charge, 0)
        newest[charge] = max(created, newest.get(charge, 0))

    assert 350 <= books.received <= 450
    assert books.malformed >= 10
    assert books.duplicates >= 20
    assert books.retried >= 20
    assert books.failed >= 5
    assert late >= 10
    assert given.report == {
        "deliveries": books.received,
        "events": books.accepted,
        "net": dict(books.net),
    }
