import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from queuekit.cli import options
from tests.cli.conftest import Cli


def test_a_job_is_stored(cli: Cli) -> None:
    done = cli("enqueue", "send", '{"to": "ada", "times": 2}')

    job = cli("jobs", "list", "--json").document
    assert done.code == 0
    assert done.out == f"{job['id']} on queue email\n"
    assert (job["task"], job["queue"], job["state"]) == ("send", "email", "ready")


def test_json_tells_its_id(cli: Cli) -> None:
    stored = cli("enqueue", "send", '{"to": "ada"}', "--json").document

    assert UUID(stored["id"])
    assert stored["queue"] == "email"
    assert stored["deduplicated"] is False


def test_options(cli: Cli) -> None:
    arguments = ["send", '{"to": "ada"}', "--queue", "vip", "--delay", "2h", "--priority", "-5"]
    cli("enqueue", *arguments, "--key", "welcome")

    job = cli("jobs", "list", "--json").document
    assert (job["queue"], job["state"], job["priority"]) == ("vip", "scheduled", -5)
    assert job["key"] == "welcome"


def test_a_held_key_stores_nothing(cli: Cli) -> None:
    first = cli("enqueue", "send", '{"to": "ada"}', "--key", "k", "--json").document
    done = cli("enqueue", "send", '{"to": "ada"}', "--key", "k")
    again = cli("enqueue", "send", '{"to": "ada"}', "--key", "k", "--json").document

    assert done.code == 0
    assert "holds the key: nothing new was stored" in done.out
    assert again == {**first, "deduplicated": True}


def test_arguments_from_stdin(cli: Cli) -> None:
    assert cli("enqueue", "send", "-", stdin='{"to": "ada"}').code == 0
    assert cli("enqueue", "send", "-", stdin="").code == 2


def test_arguments_are_read_as_payloads_are(cli: Cli, work: Callable[[], None]) -> None:
    cli("enqueue", "import_day", '{"day": "2026-01-31", "raw": "AAEC"}')

    work()

    job = cli("jobs", "list", "--json").document
    assert (job["state"], job["result"]) == ("succeeded", 2029)


def test_arguments_are_validated_once(cli: Cli, work: Callable[[], None]) -> None:
    cli("enqueue", "charge", '{"cents": 3}')

    work()

    job = cli("jobs", "list", "--json").document
    assert (job["state"], job["result"]) == ("succeeded", 300)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "to: Field required"),
        ({"to": 5}, "to: Input should be a valid string"),
        ({"to": "ada", "cc": "bob"}, "cc: Extra inputs are not permitted"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    cli: Cli, arguments: dict[str, object], says: str
) -> None:
    done = cli("enqueue", "send", json.dumps(arguments))

    assert done.code == 1
    assert done.err.startswith("error: task 'send': ")
    assert says in done.err
    assert cli("jobs", "list", "--json").lines == []


@pytest.mark.parametrize("levels", [200, 100_000])
def test_arguments_that_are_nested_too_deeply_are_refused(cli: Cli, levels: int) -> None:
    done = cli("enqueue", "send", "-", stdin=f'{{"to": {"[" * levels}1{"]" * levels}}}')

    assert done.code == 1
    assert "task 'send': value: what is nested more than 199 deep" in done.err


def test_another_store_by_url(cli: Cli, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"

    cli("enqueue", "send", '{"to": "ada"}', "--url", other)

    assert len(cli("jobs", "list", "--json", "--url", other).lines) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5h", 5_400), ("2d", 172_800), ("250ms", 0.25), ("3 m", 180)],
)
def test_durations(text: str, seconds: float) -> None:
    assert options.duration(text) == seconds


@pytest.mark.parametrize("text", ["99999999d", "1" * 400, "3661d"])
def test_a_duration_has_a_range(cli: Cli, text: str) -> None:
    for done in (
        cli("enqueue", "send", '{"to": "ada"}', "--delay", text),
        cli("worker", "--grace", text),
    ):
        assert done.code == 2
        assert "3,660 days are the most" in " ".join(done.err.split())
    assert options.duration("3660d") == 3_660 * 86_400
