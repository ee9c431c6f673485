import pytest

from tests.cli.conftest import Cli


def test_show_needs_no_server(cli: Cli) -> None:
    done = cli("schema", "show", "--url", "postgres://nobody@127.0.0.1:1/none")

    assert done.code == 0
    assert "CREATE TABLE" in done.out


def test_show_as_json(cli: Cli) -> None:
    assert "CREATE TABLE" in cli("schema", "show", "--json").document["schema"]


@pytest.mark.parametrize("server", ["sqlite", "postgres"])
def test_apply_tells_what_it_did(
    cli: Cli, server: str, namespace: str, request: pytest.FixtureRequest
) -> None:
    where = []
    if server == "postgres":
        where = ["--url", request.getfixturevalue("postgres_url")]
        request.getfixturevalue("monkeypatch").setenv("QUEUEKIT_NAMESPACE", namespace)

    assert cli("schema", "apply", *where).out.startswith("applied: ")
    assert cli("schema", "apply", *where).out == "the schema is up to date\n"
    assert cli("schema", "apply", "--json", *where).document == {"applied": []}


def test_a_backend_without_a_schema_says_so(cli: Cli, redis_url: str) -> None:
    for verb in ("show", "apply"):
        done = cli("schema", verb, "--url", redis_url)

        assert (done.code, done.out) == (1, "")
        assert done.err == "error: RedisBackend has no schema: there is nothing to show or apply.\n"
