"""What all verbs have in common: help, errors in one line, exit codes, questions."""

import os
import pty
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import IO, NamedTuple

import pytest

from tests.cli.conftest import Cli

VERBS = [
    "worker",
    "enqueue",
    "demo",
    *(f"jobs {verb}" for verb in ("list", "show", "retry", "cancel", "delete", "promote")),
    *(f"queues {verb}" for verb in ("list", "pause", "resume", "drain", "clean")),
    *(f"schema {verb}" for verb in ("apply", "show")),
]


class AtATerminal(NamedTuple):
    """A command line whose stdin is a terminal."""

    process: "subprocess.Popen[str]"
    keyboard: int
    err: IO[str]

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def read_until(self, text: str) -> str:
        seen = ""
        while text not in seen:
            character = self.err.read(1)
            assert character, f"it ended, and said: {seen}"
            seen += character
        return seen


@contextmanager
def at_a_terminal(*arguments: str) -> Iterator[AtATerminal]:
    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "queuekit", *arguments],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    os.close(terminal)
    with process:
        assert process.stderr is not None
        try:
            yield AtATerminal(process, keyboard, process.stderr)
        finally:
            process.kill()  # what has failed would be waited for for ever
    os.close(keyboard)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_json(cli: Cli, verb: str) -> None:
    done = cli(*verb.split(), "--help")

    assert done.code == 0
    assert "--json" in done.out


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out.strip() == version("queuekit")


def test_help_is_there_at_once(process: Cli) -> None:
    def cpu_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    costs = []
    for _ in range(3):
        before = cpu_seconds()
        assert process("--help").code == 0
        costs.append(cpu_seconds() - before)

    assert min(costs) < 1  # a quarter of that, but for slow machines and the measuring of coverage


def test_the_command_line_loads_no_backend(process: Cli) -> None:
    heavy = "{'redis', 'asyncpg', 'queuekit_sqlite', 'rich.console', 'uvloop', 'queuekit.demo.app'}"
    code = f"import sys, queuekit.cli; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_errors_are_one_line_on_stderr(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUEUEKIT_APP")

    done = cli("jobs", "list", "--url", "redis://:secret@127.0.0.1:1", "--json")

    assert done.code == 1
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("jobs list --url nonsense", "is no URL"),
        ("jobs list --url nonsense://there", "No backend serves nonsense:// URLs"),
        ("jobs list --url sqlite:////no/such/folder/queue.db", "/no/such/folder"),
        ("queues list --app nowhere:qk", "Can't import 'nowhere'"),
        ("worker shop.py:nothing", "has no 'nothing'"),
        ("worker shop.py", "module:attribute"),
        (
            "enqueue mail {}",
            "No task 'mail' in this app; known are: block, charge, import_day, send",
        ),
        ("worker --lease 10ms", "lease=0.01: pass seconds or a timedelta, at least 0.05"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, arguments: str, says: str) -> None:
    done = cli(*arguments.split())

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert says in done.err


def test_a_wrong_setting_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUEKIT_TIMEOUT", "soon")

    done = cli("jobs", "list")

    assert done.code == 1
    assert re.fullmatch(r"error: Wrong settings .*timeout: .*valid number.*\n", done.err)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "fly",
        "jobs fly",
        "jobs list --state asleep",
        "jobs list --since yesterday",
        "jobs list --queue a?b",
        "jobs list --limit 0",
        "jobs show 12",
        "jobs show 01890000-0000-7000-8000-000000000000 --task send",
        "jobs retry",
        "jobs retry 01890000-0000-7000-8000-000000000000 --state failed",
        "queues pause",
        "queues pause a?b",
        "queues clean",
        "enqueue",
        "enqueue send [1]",
        "enqueue send {",
        "enqueue send {} --delay soon",
        "worker --processes none",
        "worker --processes 0",
        "worker --log-level loud",
        "worker --concurrency 0",
        "demo --backend paper",
        "demo --events nowhere.jsonl",
    ],
)
def test_wrong_usage_exits_2(cli: Cli, arguments: str) -> None:
    done = cli(*arguments.split())

    assert done.code == 2
    assert "Traceback" not in done.err


def test_nothing_destructive_without_being_asked(cli: Cli) -> None:
    cli("enqueue", "send", '{"to": "ada"}')

    for verb in ("jobs delete --task send", "jobs cancel --task send", "queues drain email"):
        done = cli(*verb.split())

        assert (done.code, done.out) == (1, "")
        assert "Add --yes if that is meant." in done.err
    assert "Add --yes" in cli("queues", "clean", "--state", "failed").err
    assert cli("jobs", "list", "--json").document["state"] == "ready"


def test_a_person_agrees_by_typing(cli: Cli) -> None:
    cli("enqueue", "send", '{"to": "ada"}')

    with at_a_terminal("jobs", "delete", "--task", "send") as delete:
        assert "delete 1 job." in delete.read_until("to go on: ")
        delete.type("delete\n")
        assert delete.process.wait() == 0

    assert cli("jobs", "list", "--json").lines == []


def test_a_person_disagrees_by_typing_anything_else(cli: Cli) -> None:
    cli("enqueue", "send", '{"to": "ada"}')

    with at_a_terminal("jobs", "delete", "--task", "send") as delete:
        delete.read_until("to go on: ")
        delete.type("y\n")
        assert "error: Nothing was changed." in delete.read_until("changed.")
        assert delete.process.wait() == 1

    assert len(cli("jobs", "list", "--json").lines) == 1


def test_ctrl_c_exits_130_quietly(cli: Cli) -> None:
    cli("enqueue", "send", '{"to": "ada"}')

    with at_a_terminal("jobs", "delete", "--task", "send") as delete:
        delete.read_until("to go on: ")
        delete.process.send_signal(signal.SIGINT)
        assert delete.process.wait() == 130
        assert delete.err.read().strip() == ""
