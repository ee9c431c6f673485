"""Making the schema, and checking it."""

from typing import Final

from queuekit.errors import BackendRefused, ConfigurationError
from queuekit_postgres.connection import Connection, Lanes
from queuekit_postgres.errors import Pooled
from queuekit_postgres.statements import Migration, Statements

DAYS_AHEAD: Final = 16
"""Partitions of the records that are made in advance: failed ones stay 14 days by default."""


async def apply(lanes: Lanes, statements: Statements) -> list[str]:
    """Bring the schema up to date; the names of the migrations that ran.

    Raises:
        ConfigurationError: the schema is too new, or the role may not make it.
    """

    async def run(connection: Connection) -> list[str]:
        missing = await _missing(connection, statements)
        if missing:
            async with connection.transaction():
                missing = await _apply_locked(connection, statements)
        await connection.execute(statements["turn_pages"], DAYS_AHEAD)
        return [migration.name for migration in missing]

    try:
        ran = await lanes.run(run)
    except Pooled as error:
        raise ConfigurationError(str(error)) from error
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


async def _missing(connection: Connection, statements: Statements) -> list[Migration]:
    known = statements.migrations()
    # Not by to_regclass: its cache does not know what was committed while we waited for the lock.
    made = "SELECT true FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations'"
    if not await connection.fetchval(made, _name(statements)):
        return known
    # As JSON, because the oldest builds had no such column.
    noted = f"SELECT version, to_jsonb(m) ->> 'digest' FROM {statements.schema}.migrations m"  # noqa: S608
    applied = {version: digest for version, digest in await connection.fetch(noted)}  # noqa: C416  # of records
    newest = max(applied, default=0)
    if newest > known[-1].version:
        raise ConfigurationError(
            f"The schema {statements.schema} is of version {newest}, this queuekit knows {known[-1].version}: "
            "upgrade queuekit."
        )
    if any(applied.get(one.version, one.digest) != one.digest for one in known):
        raise ConfigurationError(
            f"The schema {statements.schema} was made by an unreleased build of queuekit, and can't be read: drop it "
            f"(DROP SCHEMA {statements.schema} CASCADE), or choose another namespace."
        )
    return [migration for migration in known if migration.version not in applied]


async def _apply_locked(connection: Connection, statements: Statements) -> list[Migration]:
    """The first process makes the schema, the others wait and find it made."""
    schema = statements.schema
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", schema)
    missing = await _missing(connection, statements)
    exists = "SELECT true FROM pg_namespace WHERE nspname = $1"
    if missing and not await connection.fetchval(exists, _name(statements)):
        await connection.execute(f"CREATE SCHEMA {schema}")
    for migration in missing:
        await connection.execute(migration.script)
        await connection.execute(_note(statements, migration))
    return missing


def _name(statements: Statements) -> str:
    return statements.schema.strip('"')


def _note(statements: Statements, migration: Migration) -> str:
    version, name, _, digest = migration
    return (
        f"INSERT INTO {statements.schema}.migrations (version, name, digest) "  # noqa: S608
        f"VALUES ({version}, '{name}', '{digest}')"
    )
