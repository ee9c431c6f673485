"""Doorbells, seen from the inside."""

import asyncio
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from queuekit.backend import Backend, Presence
from queuekit.testing.conformance._make import claim_one, eventually, job, put, succeeded

Make = Callable[..., Awaitable[Backend]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where doorbells are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


async def test_a_socket_is_private_and_goes_on_close(backend: Backend, folder: Path) -> None:
    assert not list(folder.glob("queuekit-*"))
    await backend.wait(["default"], 0.01, "sleeper")
    (bell,) = folder.glob("queuekit-*")
    assert stat.S_IMODE(bell.stat().st_mode) == 0o600
    await backend.close()
    assert not bell.exists()


async def test_what_killed_processes_left_is_swept_away(backend: Backend, folder: Path) -> None:
    dead, alive = folder / "queuekit-bell-dead", folder / "queuekit-bell-alive"
    no_socket = folder / "queuekit-bell-note"
    no_socket.touch()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held,
    ):
        left.bind(str(dead))
        held.bind(str(alive))
        left.close()
        await backend.wait(["default"], 0.01, "sleeper")
        assert not dead.exists()
        assert alive.exists()
        assert no_socket.exists()


async def test_without_a_folder_for_sockets_ticks_must_do(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/" + "far" * 50)
    waiting = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
    await asyncio.sleep(0.02)
    await put(backend, job())
    await asyncio.wait_for(waiting, 10)


async def test_a_wake_is_heard_without_sockets(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit_sqlite.doorbell.sockets.HAVE_SOCKETS", False)
    waiting, another = (
        asyncio.create_task(backend.wait(["default"], 30, name)) for name in ("sleeper", "another")
    )
    await asyncio.sleep(0.02)
    await backend.wake("sleeper")
    await asyncio.wait_for(waiting, 10)
    assert not another.done()
    another.cancel()


async def test_a_lone_sleeper_sleeps_through_ticks(backend: Backend) -> None:
    begun = time.monotonic()
    waiting = asyncio.create_task(backend.wait(["default"], 0.5, "sleeper"))
    while not waiting.done():
        await backend.maintain(["default"])
        await asyncio.sleep(0.02)
    assert time.monotonic() - begun >= 0.5


async def test_a_wake_before_the_wait_is_not_lost(backend: Backend) -> None:
    waiting = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await backend.wake("sleeper")
    await asyncio.wait_for(backend.wait(["default"], 30, "sleeper"), 10)


async def test_a_wake_of_a_process_that_never_slept_is_not_lost(backend: Backend) -> None:
    me = Presence(process="me", host="here", pid=1, version="0", queues=["default"])
    await backend.present(me)
    await backend.wake("me")
    await asyncio.wait_for(backend.wait(["default"], 30, "me"), 10)


async def test_a_ring_is_not_sent_twice(backend: Backend) -> None:
    waiting = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
    await asyncio.sleep(0.02)
    await put(backend, job())
    await waiting
    rung: list[object] = []

    def hears(tx: object) -> None:
        rung.extend(tx.all("find_sleepers"))  # type: ignore[attr-defined]

    await backend._store.read(hears)  # type: ignore[attr-defined]
    assert rung == []


async def test_a_thousand_waiters_are_told_each_for_itself(backend: Backend) -> None:
    jobs = [job(str(number)) for number in range(1000)]
    await put(backend, *jobs)
    waiting = [asyncio.create_task(backend.results([one.ref], 30)) for one in jobs]
    claim = await claim_one(backend)

    async def registered() -> bool:
        found: list[tuple[int]] = await backend._store.read(  # type: ignore[attr-defined]
            lambda tx: tx.all("find_awaited", tx.now)
        )
        return len(found) == len(jobs)

    await eventually(registered)
    await backend.ack([succeeded(claim)])
    first = jobs.index(next(one for one in jobs if one.id == claim.token.id))
    assert claim.token.ref in await asyncio.wait_for(waiting[first], 10)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_waiting_costs_almost_nothing(backend: Backend) -> None:
    process = psutil.Process()
    before = process.num_ctx_switches().voluntary
    await backend.wait(["default"], 1.0, "sleeper")
    # Twenty looks, and little else: this thread waits for each.
    assert process.num_ctx_switches().voluntary - before < 60


async def test_closing_in_mid_wait(backend: Backend) -> None:
    waiting = asyncio.create_task(backend.wait(["default"], 30, "sleeper"))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await backend.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
