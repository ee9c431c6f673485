"""Making the schema, and checking it."""

from typing import Final

from queuekit.errors import BackendRefused, ConfigurationError
from queuekit_postgres.connections import Connection, Lanes
from queuekit_postgres.statements import Migration, Statements

OLDEST_SERVER: Final = (13, 0)
DAYS_AHEAD: Final = 16
"""Partitions of the records that are made in advance: failed ones stay 14 days by default."""


async def migrate(lanes: Lanes, statements: Statements) -> list[str]:
    """Bring the schema up to date; the names of the migrations that ran.

    Raises:
        ConfigurationError: the server is too old, the schema too new, or the role may not make it.
    """

    async def run(connection: Connection) -> list[str]:
        _check_server(connection)
        if not await _missing(connection, statements):
            return []
        async with connection.transaction():
            # The first process makes the schema, the others wait and find it made.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", statements.schema
            )
            missing = await _missing(connection, statements)
            await _apply(connection, statements, missing)
        return [migration.name for migration in missing]

    try:
        ran = await lanes.run(run)
        await lanes.fetch(statements["turn_pages"], DAYS_AHEAD)
    except BackendRefused as error:
        raise ConfigurationError(
            f"The schema {statements.schema} can't be made: {error}. Let somebody who may do it run the script that "
            "`queuekit schema show` prints, or point the URL at the primary."
        ) from error
    return ran


def script(statements: Statements) -> str:
    """The whole schema, to be applied by hand."""
    steps = [
        f"{migration.script}\n{_note(statements, migration)};"
        for migration in statements.migrations()
    ]
    return "\n".join([f"BEGIN;\nCREATE SCHEMA {statements.schema};\n", *steps, "COMMIT;\n"])


def _check_server(connection: Connection) -> None:
    version = connection.get_server_version()
    if version[:2] < OLDEST_SERVER:
        raise ConfigurationError(
            f"Postgres {version.major}.{version.minor} is too old: queuekit needs 13 or newer."
        )


async def _missing(connection: Connection, statements: Statements) -> list[Migration]:
    known = statements.migrations()
    if (
        await connection.fetchval("SELECT to_regclass($1)", f"{statements.schema}.migrations")
        is None
    ):
        return known
    applied = await connection.fetchval(f"SELECT max(version) FROM {statements.schema}.migrations")  # noqa: S608
    if applied > known[-1].version:
        raise ConfigurationError(
            f"The schema {statements.schema} is of version {applied}, this queuekit knows {known[-1].version}: "
            "upgrade queuekit."
        )
    return [migration for migration in known if migration.version > applied]


async def _apply(connection: Connection, statements: Statements, missing: list[Migration]) -> None:
    schema = statements.schema
    exists = "SELECT true FROM pg_namespace WHERE nspname = $1"
    if missing and not await connection.fetchval(exists, schema.strip('"')):
        await connection.execute(f"CREATE SCHEMA {schema}")
    for migration in missing:
        await connection.execute(migration.script)
        await connection.execute(_note(statements, migration))


def _note(statements: Statements, migration: Migration) -> str:
    version, name, _ = migration
    return (
        f"INSERT INTO {statements.schema}.migrations (version, name) VALUES ({version}, '{name}')"  # noqa: S608
    )
