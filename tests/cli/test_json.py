"""With --json there is nothing but JSON on stdout, whatever the store has to say besides."""

import json
from collections.abc import Iterator

import pytest

from queuekit.testing.servers import redis_server
from tests.cli.conftest import Cli

NO_SUCH = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def forgetful() -> Iterator[str]:
    """The URL of a Redis without an append-only file, of which each process warns."""
    with redis_server(own=True, appendonly="no") as server:
        yield server.url


@pytest.mark.parametrize(
    "arguments",
    [
        "worker --burst",
        'enqueue send {"to":"ada"}',
        "jobs list",
        f"jobs show {NO_SUCH}",
        f"jobs retry {NO_SUCH}",
        "jobs cancel --queue email --yes",
        "jobs delete --state cancelled --yes",
        "jobs promote --state scheduled",
        "queues list",
        "queues pause email",
        "queues resume email",
        "queues drain email --yes",
        "queues clean --state succeeded --yes",
    ],
)
def test_stdout_is_json_alone(
    process: Cli, forgetful: str, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    monkeypatch.setenv("QUEUEKIT_URL", forgetful)
    monkeypatch.setenv("QUEUEKIT_CONCURENCY", "5")

    done = process(*arguments.split(), "--json")

    assert "Traceback" not in done.err
    assert "append-only" in done.err
    assert "QUEUEKIT_CONCURRENCY" in done.err
    for line in done.out.splitlines():
        json.loads(line)


def test_the_schema_is_json_alone(
    process: Cli, postgres_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUEKIT_NAMESPACE", namespace)
    monkeypatch.setenv("QUEUEKIT_CONCURENCY", "5")
    for verb in ("show", "apply"):
        done = process("schema", verb, "--url", postgres_url, "--json")
        assert "QUEUEKIT_CONCURRENCY" in done.err
        assert len(done.lines) == 1
