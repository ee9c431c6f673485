from collections.abc import Callable

import pytest

from tests.cli.conftest import Cli


def test_queues_and_their_counts(cli: Cli) -> None:
    assert "no queues yet" in cli("queues", "list").out
    cli("enqueue", "send", '{"to": "ada"}')
    cli("enqueue", "send", '{"to": "ada"}', "--delay", "1h")
    cli("enqueue", "whoami")

    assert {queue["name"]: queue["counts"] for queue in cli("queues", "list", "--json").lines} == {
        "default": {"ready": 1},
        "email": {"ready": 1, "scheduled": 1},
    }
    lines = [line.split() for line in cli("queues", "list").out.splitlines()]
    assert ["queue", "scheduled", "ready"] in lines
    assert ["default", "0", "1"] in lines
    assert ["email", "1", "1"] in lines


def test_pause_and_resume(cli: Cli, work: Callable[[], None]) -> None:
    cli("enqueue", "send", '{"to": "ada"}')

    assert cli("queues", "pause", "email", "sms", "--create").out == "paused: email, sms\n"
    work()
    assert "paused" in cli("queues", "list").out
    assert cli("jobs", "list", "--json").document["state"] == "ready"

    assert cli("queues", "resume", "email", "sms", "--json").document == {
        "resumed": ["email", "sms"]
    }
    work()
    assert cli("jobs", "list", "--json").document["state"] == "succeeded"


def test_drain_cancels_what_has_not_begun(cli: Cli, work: Callable[[], None]) -> None:
    cli("enqueue", "send", '{"to": "ada"}')
    work()
    cli("enqueue", "send", '{"to": "ada"}')
    cli("enqueue", "send", '{"to": "ada"}', "--delay", "1h")

    assert cli("queues", "drain", "email", "--yes", "--json").document == {"done": 2}
    assert cli("queues", "list", "--json").document["counts"] == {"cancelled": 2, "succeeded": 1}


def test_clean_removes_records(cli: Cli, work: Callable[[], None]) -> None:
    for to in ("ada", "nobody"):
        cli("enqueue", "send", f'{{"to": "{to}"}}')
    work()
    cli("enqueue", "send", '{"to": "bob"}')

    done = cli("queues", "clean", "--queue", "email", "--state", "failed", "--yes")

    assert done.out == "1 jobs removed\n"
    counts = cli("queues", "list", "--json").document["counts"]
    assert counts == {"succeeded": 1, "ready": 1}
    assert cli("queues", "clean", "--queue", "email", "--yes", "--json").document == {"done": 1}
    assert cli("queues", "list", "--json").document["counts"] == {"ready": 1}


@pytest.mark.parametrize("verb", ["pause", "resume", "drain --yes", "clean --yes --queue"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_queue_that_is_not_there(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, verb: str, form: tuple[str, ...]
) -> None:
    cli("enqueue", "send", '{"to": "ada"}')
    monkeypatch.delenv("QUEUEKIT_APP")

    done = cli("queues", *verb.split(), "emial", *form)

    assert (done.code, done.out) == (1, "")
    assert "No queue 'emial'. Known queues: email" in done.err


def test_a_queue_of_the_app_is_known_before_its_first_job(cli: Cli) -> None:
    assert cli("queues", "pause", "email").code == 0
    assert "to pause it before its first job" in cli("queues", "pause", "sms").err
    assert cli("queues", "resume", "email").code == 0
