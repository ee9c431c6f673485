"""A connection made ready: settings, and a schema that is there and known."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from queuekit.codes import digest
from queuekit.errors import ConfigurationError
from queuekit_sqlite.statements import MIGRATIONS

_OURS: Final = 0x71756B69
"""The application_id of our files."""
_OLDEST: Final = 3, 35, 0


def prepare(db: sqlite3.Connection) -> list[str]:
    """Set up a connection, and make or check the schema; the names of the migrations that ran. May be repeated.

    Raises:
        ConfigurationError: SQLite is too old, the file is another program's, or its schema is newer than this code.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise ConfigurationError(
            f"SQLite {sqlite3.sqlite_version} is too old: queuekit needs 3.35 or newer."
        )
    # longer waiting is the store's business
    db.execute("PRAGMA busy_timeout = 5")
    with _transaction(db, "BEGIN"):
        _check(db)
    mode = _value(db, "PRAGMA journal_mode = WAL")
    if mode not in {"wal", "memory"}:
        raise ConfigurationError(
            f"The file system can't do SQLite's WAL (it stays in {mode} mode): choose another folder."
        )
    db.execute("PRAGMA synchronous = FULL")
    with _transaction(db, "BEGIN IMMEDIATE"):
        _check(db)
        return _migrate(db)


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def _check(db: sqlite3.Connection) -> None:
    """Refuse a file that is not ours. In one transaction: between two looks another process may make it ours."""
    if _value(db, "PRAGMA application_id") != _OURS:
        if _value(db, "SELECT count(*) FROM sqlite_master"):
            raise ConfigurationError(
                "The SQLite file belongs to another program: give queuekit a file of its own."
            )
        return
    applied = _applied(db)
    if len(applied) > len(MIGRATIONS):
        raise ConfigurationError(
            f"The SQLite file has schema {len(applied)}, this queuekit knows {len(MIGRATIONS)}: "
            "a newer queuekit made it, so upgrade this one."
        )
    if not applied or applied != [digest(script) for script in MIGRATIONS.values()][: len(applied)]:
        raise ConfigurationError(
            "The SQLite file was made by an unreleased build of queuekit, and can't be read: "
            "move it away, or give queuekit another one."
        )


def _applied(db: sqlite3.Connection) -> list[str]:
    """The digests of the migrations that ran."""
    if not _value(db, "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'"):
        return []
    return [found for (found,) in db.execute("SELECT digest FROM migrations ORDER BY version")]


def _migrate(db: sqlite3.Connection) -> list[str]:
    done = len(_applied(db))
    missing = list(MIGRATIONS.items())[done:]
    for version, (name, script) in enumerate(missing, done + 1):
        for statement in _split(script):
            db.execute(statement)
        db.execute("INSERT INTO migrations VALUES (?, ?, ?)", (version, name, digest(script)))
    if not done:
        db.execute(f"PRAGMA application_id = {_OURS}")
    return [name for name, _ in missing]


def _split(script: str) -> Iterator[str]:
    """The statements of a script, so that they can run in a transaction that is already open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _value(db: sqlite3.Connection, query: str) -> Any:
    return db.execute(query).fetchone()[0]
