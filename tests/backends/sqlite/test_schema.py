"""What opening a file finds out, and says."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from queuekit.backend import Backend, BackendSettings, HasSchema
from queuekit.errors import ConfigurationError
from queuekit.testing.conformance._make import job, put, state_of
from queuekit_sqlite import SqliteBackend
from queuekit_sqlite.schema import prepare
from queuekit_sqlite.statements import MIGRATIONS

from .conftest import Start

Make = Callable[..., Awaitable[Backend]]


async def test_a_newer_schema(backend: Backend, make_backend: Make, file: Path, url: str) -> None:
    await backend.close()
    with closing(sqlite3.connect(file)) as db:
        db.execute("INSERT INTO migrations VALUES (99, 'later', '')")
        db.commit()
    with pytest.raises(
        ConfigurationError, match=rf"schema {len(MIGRATIONS) + 1}.*upgrade this one"
    ):
        await make_backend(url)


@pytest.mark.parametrize("change", ["DROP TABLE migrations", "UPDATE migrations SET digest = '0'"])
async def test_a_schema_of_before_the_first_release(
    backend: Backend, make_backend: Make, file: Path, url: str, change: str
) -> None:
    await backend.close()
    with closing(sqlite3.connect(file)) as db:
        db.execute(change)
        db.commit()
    with pytest.raises(ConfigurationError, match=r"unreleased build.*move it away"):
        await make_backend(url)


async def test_another_programs_database(make_backend: Make, file: Path, url: str) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE jobs (id)")
    with pytest.raises(ConfigurationError, match="a file of its own"):
        await make_backend(url)


async def test_no_database_at_all(make_backend: Make, file: Path, url: str) -> None:
    file.write_text("a diary, and quite a long one, at that: " * 100)
    with pytest.raises(ConfigurationError, match="not a database"):
        await make_backend(url)


async def test_a_failed_open_may_be_repeated(make_backend: Make, file: Path, url: str) -> None:
    file.write_text("no database" * 100)
    backend = SqliteBackend(url, BackendSettings())
    with pytest.raises(ConfigurationError):
        await backend.open()
    file.unlink()
    await backend.open()
    await backend.close()


async def test_jobs_outlive_the_connection(backend: Backend, make_backend: Make, url: str) -> None:
    one = job()
    await put(backend, one)
    await backend.close()
    assert await state_of(await make_backend(url), one.id)


async def test_apply_and_show(file: Path, url: str) -> None:
    backend = SqliteBackend(url, BackendSettings())
    assert isinstance(backend, HasSchema)
    assert await backend.schema_apply() == list(MIGRATIONS)
    assert await backend.schema_apply() == []
    await backend.open()
    assert await backend.schema_apply() == []
    await backend.close()
    with closing(sqlite3.connect(file)) as made, closing(sqlite3.connect(":memory:")) as shown:
        shown.executescript(backend.schema_show())
        query = "SELECT name, sql FROM sqlite_master ORDER BY name"
        assert made.execute(query).fetchall() == shown.execute(query).fetchall()


def test_many_processes_make_it_at_once(start: Start) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(start("open")) for _ in range(4)]
        assert [process.communicate()[0] for process in processes] == ["opened\n"] * 4


class Overtaken(sqlite3.Connection):
    """Lets another connection make the schema just before one of its statements, if locks allow that."""

    before = 0
    ran = 0

    def execute(self, *statement: Any) -> sqlite3.Cursor:
        if self.ran == self.before:
            (_, _, file), *_ = super().execute("PRAGMA database_list")
            other = sqlite3.connect(file, isolation_level=None)
            with closing(other), suppress(sqlite3.OperationalError):
                prepare(other)
        self.ran += 1
        return super().execute(*statement)


def test_another_process_makes_it_between_any_two_steps(tmp_path: Path) -> None:
    for step in count():
        file = tmp_path / f"{step}.db"
        with closing(sqlite3.connect(file, isolation_level=None, factory=Overtaken)) as db:
            db.before = step
            prepare(db)
            assert prepare(db) == []
            if db.ran <= step:
                break
