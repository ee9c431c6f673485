import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from queuekit.backend import Backend, BackendSettings
from queuekit.errors import BackendRefused, BackendUnavailable, ConfigurationError
from queuekit.testing.conformance._make import ack, claim_one, job, put, succeeded
from queuekit.testing.servers import postgres_server
from queuekit_postgres import PostgresBackend, schema, statements
from queuekit_postgres.connection import Connection

Make = Callable[..., Awaitable[Backend]]
AsBuild = Callable[..., Awaitable[list[str]]]


def as_role(url: str, role: str) -> str:
    place = urlsplit(url)
    return urlunsplit(place._replace(netloc=f"{role}@{place.netloc.rpartition('@')[2]}"))


async def test_many_processes_make_the_schema_once(postgres_url: str, namespace: str) -> None:
    backends = [PostgresBackend(postgres_url, BackendSettings(namespace)) for _ in range(6)]
    ran = await asyncio.gather(*(backend.schema_apply() for backend in backends))
    for backend in backends:
        await backend.close()
    assert [bool(names) for names in ran].count(True) == 1
    assert max(ran, key=len)[0] == "001_tables"


async def test_the_script_makes_the_same_schema(
    postgres_url: str, namespace: str, connection: Connection
) -> None:
    backend = PostgresBackend(postgres_url, BackendSettings(namespace))
    await connection.execute(backend.schema_show())
    assert await backend.schema_apply() == []
    await backend.open()
    await put(backend, job())
    await ack(backend, succeeded(await claim_one(backend)))
    await backend.close()


async def test_a_newer_schema_is_refused(
    backend: Backend, connection: Connection, postgres_url: str, namespace: str
) -> None:
    await connection.execute(f"INSERT INTO {namespace}.migrations VALUES (999, '999_future', '')")
    late = PostgresBackend(postgres_url, BackendSettings(namespace))
    with pytest.raises(ConfigurationError, match="upgrade queuekit"):
        await late.open()
    await late.close()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE {}.migrations DROP digest",
        "UPDATE {0}.migrations SET digest = '0'",
        "UPDATE {0}.migrations SET digest = '0'; INSERT INTO {0}.migrations VALUES (2, '002_life', '0')",
        "UPDATE {}.functions SET digest = '0' WHERE name = 'life'",
    ],
)
async def test_a_schema_of_before_the_first_release_is_refused(
    backend: Backend, connection: Connection, postgres_url: str, namespace: str, change: str
) -> None:
    await connection.execute(change.format(namespace))
    late = PostgresBackend(postgres_url, BackendSettings(namespace))
    with pytest.raises(ConfigurationError, match=r"unreleased build.*DROP SCHEMA"):
        await late.open()
    await late.close()


@pytest.fixture
def as_build(tmp_path: Path, postgres_url: str, namespace: str) -> AsBuild:
    """Bring the schema up to date as the build of a number, with a mark in a function; what was applied."""

    async def as_build(number: int, mark: str, url: str = postgres_url) -> list[str]:
        shutil.copytree(statements._FOLDER, tmp_path / mark, dirs_exist_ok=True)
        file = tmp_path / mark / "functions" / "line.sql"
        text = file.read_text("utf-8")
        file.write_text(text.replace("SELECT (CASE", f"SELECT /* {mark} */ (CASE"), "utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(statements, "_FOLDER", tmp_path / mark)
            patch.setattr(schema, "BUILD", number)
            backend = PostgresBackend(url, BackendSettings(namespace))
            try:
                return await backend.schema_apply()
            finally:
                await backend.close()

    return as_build


MARKED = "SELECT prosrc FROM pg_proc WHERE oid = '{}.ready'::regproc"


async def test_a_newer_build_applies_the_functions_that_it_has_changed(
    as_build: AsBuild, connection: Connection, namespace: str
) -> None:
    assert (await as_build(1, "old"))[0] == "001_tables"
    assert await as_build(2, "new") == ["functions/line"]
    assert await as_build(2, "new") == []
    assert "/* new */" in await connection.fetchval(MARKED.format(namespace))


async def test_an_older_build_puts_no_functions_back_and_works_with_newer_ones(
    as_build: AsBuild,
    make_backend: Make,
    connection: Connection,
    postgres_url: str,
    namespace: str,
) -> None:
    await as_build(schema.BUILD + 1, "new")
    backend = await make_backend(postgres_url)
    await put(backend, job())
    await ack(backend, succeeded(await claim_one(backend)))
    assert "/* new */" in await connection.fetchval(MARKED.format(namespace))


async def test_two_builds_of_one_number_take_nothing_from_each_other(as_build: AsBuild) -> None:
    await as_build(1, "one")
    with pytest.raises(ConfigurationError, match="unreleased build"):
        await as_build(1, "another")


async def test_a_role_that_may_not_create_is_told_what_to_do(
    connection: Connection, postgres_url: str, namespace: str
) -> None:
    await connection.execute(f"CREATE ROLE {namespace} LOGIN")
    backend = PostgresBackend(as_role(postgres_url, namespace), BackendSettings(namespace))
    with pytest.raises(ConfigurationError, match="queuekit schema show"):
        await backend.open()
    await backend.close()
    await connection.execute(f"DROP ROLE {namespace}")


@pytest.fixture
async def user_url(
    backend: Backend, connection: Connection, postgres_url: str, namespace: str
) -> AsyncIterator[str]:
    """Of a role that may use the schema, and not change it."""
    await connection.execute(f"""
        CREATE ROLE {namespace} LOGIN;
        GRANT USAGE ON SCHEMA {namespace} TO {namespace};
        GRANT ALL ON ALL TABLES IN SCHEMA {namespace} TO {namespace};
        GRANT ALL ON ALL SEQUENCES IN SCHEMA {namespace} TO {namespace};
    """)
    yield as_role(postgres_url, namespace)
    await connection.execute(f"DROP OWNED BY {namespace}; DROP ROLE {namespace}")


async def test_a_role_that_may_only_use_the_schema_works(user_url: str, namespace: str) -> None:
    user = PostgresBackend(user_url, BackendSettings(namespace))
    await user.open()
    await put(user, job())
    await ack(user, succeeded(await claim_one(user)))
    await user.maintain(["default"])
    await user.close()


async def test_a_role_that_may_not_change_functions_is_told_what_to_do(
    as_build: AsBuild, user_url: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"permission denied .*queuekit schema apply"):
        await as_build(schema.BUILD + 1, "new", user_url)


async def test_a_read_only_server_is_refused_clearly(
    backend: Backend, postgres_url: str, namespace: str
) -> None:
    url = f"{postgres_url}?default_transaction_read_only=on"
    reader = PostgresBackend(url, BackendSettings(namespace))
    await reader.open()
    with pytest.raises(BackendRefused, match="read-only"):
        await reader.enqueue([job()])
    await reader.close()
    empty = PostgresBackend(url, BackendSettings(f"{namespace}_new"))
    with pytest.raises(ConfigurationError, match="queuekit schema show"):
        await empty.open()
    await empty.close()


@pytest.mark.parametrize("name", ["Queuekit", "1st", "a-b", "", 'x"; DROP', "n" * 42])
def test_a_namespace_that_is_no_schema_is_refused(postgres_url: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        PostgresBackend(postgres_url, BackendSettings(name))


@pytest.mark.parametrize("url", ["postgresql://u:secret@h:port/db", "mysql://u:secret@h/db"])
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        PostgresBackend(url, BackendSettings())
    assert "secret" not in str(refusal.value)


async def test_a_wrong_database_or_nobody_there(postgres_url: str) -> None:
    place = urlsplit(postgres_url)
    lost = PostgresBackend(urlunsplit(place._replace(path="/nowhere")), BackendSettings())
    with pytest.raises(ConfigurationError, match="nowhere"):
        await lost.open()
    await lost.close()
    nobody = PostgresBackend("postgresql://u:secret@127.0.0.1:1/db", BackendSettings())
    with pytest.raises(BackendUnavailable) as refusal:
        await nobody.open()
    assert "secret" not in str(refusal.value)
    await nobody.close()


@pytest.mark.parametrize("version", [16, 18])
async def test_other_versions_will_do(version: int, namespace: str) -> None:
    with postgres_server(version=version) as server:
        backend = PostgresBackend(server.url, BackendSettings(namespace))
        await backend.open()
        await put(backend, job(key="k"), job())
        await ack(backend, succeeded(await claim_one(backend)))
        await backend.maintain(["default"])
        await backend.close()


async def test_partitions_of_days_gone_by_are_dropped(
    backend: Backend, connection: Connection, namespace: str
) -> None:
    """But no table that is a partition of something else."""
    await connection.execute(f"""
        CREATE TABLE {namespace}.records_100 (LIKE {namespace}.records INCLUDING ALL);
        ALTER TABLE {namespace}.records ATTACH PARTITION {namespace}.records_100
          FOR VALUES FROM (8640000000000) TO (8726400000000);
        CREATE TABLE {namespace}.pages (kept_until bigint NOT NULL) PARTITION BY RANGE (kept_until);
        CREATE TABLE {namespace}.records_99 PARTITION OF {namespace}.pages FOR VALUES FROM (0) TO (1);
        SELECT {namespace}.make_partitions(20);
    """)
    pages = await connection.fetch(
        "SELECT inhrelid::regclass::text AS page FROM pg_inherits WHERE inhparent = $1::text::regclass",
        f"{namespace}.records",
    )
    names = {row["page"] for row in pages}
    assert f"{namespace}.records_100" not in names
    kept = await connection.fetchval(f"SELECT to_regclass('{namespace}.records_99')::text")
    assert kept is not None
    assert len(names) == 22
    assert isinstance(connection, asyncpg.Connection)
