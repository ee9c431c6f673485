"""A file that is deleted, moved or replaced while it is open."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from queuekit import Queuekit
from queuekit.backend import Ask, Backend, Presence
from queuekit.errors import BackendRefused, StoreGone
from queuekit.job import Return, ReturnKind
from queuekit.testing.conformance._make import (
    ALICE,
    LONG,
    STORED,
    answer_of,
    claimant,
    eventually,
    job,
    numbered,
    put,
    running,
    state_of,
    succeeded,
)
from tests.backends.sqlite.conftest import Make

Calamity = Callable[[Path], None]


def delete(file: Path) -> None:
    file.unlink()


def delete_all(file: Path) -> None:
    for one in file.parent.glob(f"{file.name}*"):
        one.unlink()


def move(file: Path) -> None:
    file.rename(file.with_name("elsewhere.db"))


def replace(file: Path) -> None:
    backup = file.with_name("backup.db")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    backup.replace(file)


def delete_wal(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def delete_shm(file: Path) -> None:
    file.with_name(f"{file.name}-shm").unlink()


async def is_asleep(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as db:
        (sleepers,) = db.execute("SELECT count(*) FROM sleepers").fetchone()
    return bool(sleepers)


CALAMITIES = [delete, delete_all, move, replace, delete_wal, delete_shm]
each_calamity = pytest.mark.parametrize("calamity", CALAMITIES)


@each_calamity
async def test_an_enqueue_is_not_accepted(backend: Backend, file: Path, calamity: Calamity) -> None:
    await put(backend, *numbered(3))
    calamity(file)
    with pytest.raises(BackendRefused, match=r"queue\.db .*deleted.*Stop all processes"):
        await backend.enqueue([job()])
    with pytest.raises(BackendRefused, match="deleted"):
        await backend.enqueue([job(key="k")], atomic=True)


@each_calamity
async def test_every_call_says_so(backend: Backend, file: Path, calamity: Calamity) -> None:
    held = await running(backend)
    calamity(file)
    presence = Presence(process=ALICE, host="here", pid=1, version="1", queues=["default"])
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "fetch": lambda: backend.fetch(Ask(["default"], 1, claimant(), LONG)),
        "ack": lambda: backend.ack([succeeded(held)]),
        "retry": lambda: backend.retry([Return(held.token, ReturnKind.RELEASE)]),
        "heartbeat": lambda: backend.heartbeat([held.token]),
        "present": lambda: backend.present(presence),
        "maintain": lambda: backend.maintain(["default"]),
        "wait": lambda: backend.wait(["default"], 30, ALICE),
        "results": lambda: backend.results([held.token.ref], 30),
        "get": lambda: backend.inspector.get([held.token.ref]),
        "queues": backend.inspector.queues,
    }
    for call in calls.values():
        with pytest.raises(BackendRefused, match="deleted"):
            await asyncio.wait_for(call(), 5)


@each_calamity
async def test_who_waits_hears_of_it(backend: Backend, file: Path, calamity: Calamity) -> None:
    waiting = asyncio.create_task(backend.wait(["default"], 30, ALICE))
    await eventually(lambda: is_asleep(file))
    calamity(file)
    with pytest.raises(BackendRefused, match="deleted"):
        await asyncio.wait_for(waiting, 5)


async def test_opened_anew_it_works(backend: Backend, file: Path, url: str) -> None:
    delete_all(file)
    with pytest.raises(BackendRefused):
        await backend.enqueue([job()])
    await backend.close()
    await backend.open()
    await put(backend, job())


async def test_leaving_a_replaced_file_harms_nothing_in_the_new_one(
    make_backend: Make, backend: Backend, file: Path, url: str
) -> None:
    delete_all(file)
    new = await make_backend(url)
    one = job()
    await put(new, one)
    await backend.close()
    again = await make_backend(url)
    assert await state_of(again, one.id) is not None


async def test_another_working_directory_changes_nothing(
    make_backend: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = await make_backend("sqlite:///queue.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    await put(backend, job())


async def test_a_link_may_lead_to_the_file_but_not_elsewhere_later(
    make_backend: Make, tmp_path: Path
) -> None:
    link = tmp_path / "link.db"
    (tmp_path / "real").mkdir()
    link.symlink_to(tmp_path / "real" / "queue.db")
    backend = await make_backend(f"sqlite:///{link}")
    await put(backend, job())
    link.unlink()
    shutil.copy(tmp_path / "real" / "queue.db", tmp_path / "other.db")
    link.symlink_to(tmp_path / "other.db")
    with pytest.raises(BackendRefused, match="deleted"):
        await backend.enqueue([job()])


async def test_other_programs_may_write_and_leave(
    make_backend: Make, backend: Backend, file: Path, url: str
) -> None:
    for _ in range(3):
        other = await make_backend(url)
        await put(other, *numbered(3))
        await other.close()
        with closing(sqlite3.connect(file, isolation_level=None)) as third:
            third.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            third.execute("VACUUM")
        (answer,) = await backend.enqueue([job()])
        assert answer_of(answer) is STORED


async def test_a_worker_ends_with_it_and_runs_nothing(url: str, file: Path) -> None:
    ran: list[int] = []
    qk = Queuekit(url)

    @qk.task
    def note(number: int) -> None:
        ran.append(number)

    async def serve() -> None:
        async with qk.worker():
            await (await note.enqueue(1)).result(timeout=50)
            delete_all(file)
            with pytest.raises(BackendRefused):
                await note.enqueue(2)
            await asyncio.Event().wait()

    async with qk:
        with pytest.raises(StoreGone, match="was deleted"):
            await serve()
    assert ran == [1]
