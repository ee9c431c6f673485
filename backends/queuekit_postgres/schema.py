"""Making the schema, and checking it.

``schema/`` has the steps that make what lasts: tables, types, indexes. A released step never changes; what is new comes
in another one.

``functions/`` has one body for each function. A file whose digest differs from what the schema notes is applied again,
as a whole, which can't change a signature. A function that needs another one gets a ``_v2`` beside it, as processes of
the build before call the old one until they end; a later release drops that in a step.
"""

from typing import Final, NamedTuple

from queuekit.errors import BackendRefused, ConfigurationError
from queuekit_postgres.connection import Connection, Lanes
from queuekit_postgres.errors import Pooled
from queuekit_postgres.statements import Statements

BUILD: Final = 1
"""The number of the functions' bodies. A release that changes one raises it, so that none puts back older ones."""
FUNCTIONS: Final = (
    "record",
    "sides",
    "notes",
    "doorbell",
    "line",
    "keys",
    "retention",
    "life",
    "leases",
    "enqueue",
    "schedules",
    "maintain",
    "inspect",
    "transfer",
)
"""Their files in an order in which each finds what it refers to."""
DAYS_AHEAD: Final = 16
"""Partitions of the records that are made in advance: failed ones stay 14 days by default."""


class Step(NamedTuple):
    """What is applied once.

    Attributes:
        digest: of its file; another one is another step, whatever its name.
        note: the statement that notes it in the schema.
    """

    name: str
    script: str
    digest: str
    note: str


async def apply(lanes: Lanes, statements: Statements) -> list[str]:
    """Bring the schema up to date; the names of the steps that ran.

    Raises:
        ConfigurationError: the schema is of another build, or the role may not make it.
    """

    async def run(connection: Connection) -> list[str]:
        missing = await _missing(connection, statements)
        if missing:
            async with connection.transaction():
                missing = await _apply_locked(connection, statements)
        await connection.execute(statements["make_partitions"], DAYS_AHEAD)
        return [step.name for step in missing]

    try:
        return await lanes.run(run)
    except Pooled as error:
        raise ConfigurationError(str(error)) from error
    except BackendRefused as error:
        raise ConfigurationError(
            f"The schema {statements.schema} can't be brought up to date: {error}. Let somebody who may do it run "
            "`queuekit schema apply` (or, to make it, what `queuekit schema show` prints), or point the URL at the "
            "primary."
        ) from error


def script(statements: Statements) -> str:
    """The whole schema, to be applied by hand."""
    steps = [*_tables(statements).values(), *_functions(statements).values()]
    texts = [f"{step.script}\n{step.note};\n" for step in steps]
    return "\n".join([f"BEGIN;\nCREATE SCHEMA {statements.schema};\n", *texts, "COMMIT;\n"])


def _tables(statements: Statements) -> dict[int, Step]:
    """The steps that make what lasts, by version."""
    steps = {}
    for name, text, digest in statements.scripts("schema"):
        version = int(name[:3])
        note = (
            f"INSERT INTO {statements.schema}.migrations (version, name, digest) "  # noqa: S608
            f"VALUES ({version}, '{name}', '{digest}')"
        )
        steps[version] = Step(name, text, digest, note)
    return steps


def _functions(statements: Statements) -> dict[str, Step]:
    """The files of functions, by name, in order."""
    steps = {}
    files = statements.scripts("functions")
    for name, text, digest in sorted(files, key=lambda file: FUNCTIONS.index(file.name)):
        note = (
            f"INSERT INTO {statements.schema}.functions (name, digest, build) "  # noqa: S608
            f"VALUES ('{name}', '{digest}', {BUILD}) ON CONFLICT (name) DO UPDATE "
            "SET digest = excluded.digest, build = excluded.build, applied_at = now()"
        )
        steps[name] = Step(f"functions/{name}", text, digest, note)
    return steps


async def _missing(connection: Connection, statements: Statements) -> list[Step]:
    tables, functions = _tables(statements), _functions(statements)
    # Not by to_regclass: its cache does not know what was committed while we waited for the lock.
    made = "SELECT true FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations'"
    if not await connection.fetchval(made, _name(statements)):
        return [*tables.values(), *functions.values()]
    # As JSON, because the oldest builds had no such column.
    noted = f"SELECT version, to_jsonb(m) ->> 'digest' FROM {statements.schema}.migrations m"  # noqa: S608
    applied = {version: digest for version, digest in await connection.fetch(noted)}  # noqa: C416  # of records
    if any(applied.get(version, step.digest) != step.digest for version, step in tables.items()):
        raise _unreleased(statements)
    newest = max(applied, default=0)
    if newest > max(tables):
        raise ConfigurationError(
            f"The schema {statements.schema} is of version {newest}, this queuekit knows {max(tables)}: "
            "upgrade queuekit."
        )
    missing = [step for version, step in tables.items() if version not in applied]
    return missing + await _changed(connection, statements, functions)


async def _changed(
    connection: Connection, statements: Statements, functions: dict[str, Step]
) -> list[Step]:
    noted = f"SELECT name, digest, build FROM {statements.schema}.functions"  # noqa: S608
    rows = await connection.fetch(noted)
    build = max((row["build"] for row in rows), default=0)
    if build > BUILD:
        return []  # the bodies of a newer build serve us, too
    digests = {row["name"]: row["digest"] for row in rows}
    changed = [step for name, step in functions.items() if digests.get(name) != step.digest]
    if changed and build == BUILD:
        raise _unreleased(statements)
    return changed


async def _apply_locked(connection: Connection, statements: Statements) -> list[Step]:
    """The first process makes the schema, the others wait and find it made."""
    schema = statements.schema
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", schema)
    missing = await _missing(connection, statements)
    exists = "SELECT true FROM pg_namespace WHERE nspname = $1"
    if missing and not await connection.fetchval(exists, _name(statements)):
        await connection.execute(f"CREATE SCHEMA {schema}")
    for step in missing:
        await connection.execute(step.script)
        await connection.execute(step.note)
    return missing


def _unreleased(statements: Statements) -> ConfigurationError:
    schema = statements.schema
    return ConfigurationError(
        f"The schema {schema} was made by an unreleased build of queuekit, and can't be read: drop it "
        f"(DROP SCHEMA {schema} CASCADE), or choose another namespace."
    )


def _name(statements: Statements) -> str:
    return statements.schema.strip('"')
