"""An app whose queue is moved: one that was told of it, and one that was not."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from queuekit import Handle, Queuekit, QueueMoved
from queuekit.config import load
from queuekit.cutover import CutoverBackend, Status, Steering
from queuekit.errors import BackendRefused

QUEUE = "default"


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    return f"sqlite:///{tmp_path}/first.db", f"sqlite:///{tmp_path}/second.db"


async def steering(qk: Queuekit) -> Steering:
    backend = cast(CutoverBackend, await qk.backend())
    return Steering(backend.pair, ("the first", "the second"))


async def test_a_result_that_is_awaited_comes_from_the_other_side(urls: tuple[str, str]) -> None:
    first, second = urls
    async with Queuekit(first, cutover_to=second) as qk:

        @qk.task
        async def double(n: int) -> int:
            return 2 * n

        before = await double.enqueue(1)
        steer = await steering(qk)
        await steer.start(QUEUE)
        mirrored = await double.enqueue(2)
        await steer.flip(QUEUE)
        after = await double.enqueue(3)
        await qk.run_worker(burst=True, signals=False)
        handles: list[Handle[int]] = [before, mirrored, after]
        assert [await one.result(timeout=30) for one in handles] == [2, 4, 6]
        found = await qk.inspect.list()
        assert {info.id for info in found} == {one.id for one in handles}


@pytest.mark.parametrize(
    ("flips", "error", "says"),
    [(1, QueueMoved, "has moved to the second"), (2, BackendRefused, "QUEUEKIT_CUTOVER_TO")],
)
async def test_who_was_told_nothing_is_told_when_a_key_can_not_be_compared(
    urls: tuple[str, str], flips: int, error: type[Exception], says: str
) -> None:
    first, second = urls
    async with Queuekit(first, cutover_to=second) as told, Queuekit(first) as untold:

        @untold.task
        async def noop() -> None:
            pass

        steer = await steering(told)
        steps: list[Callable[[str], Awaitable[Status]]] = [steer.start, *[steer.flip] * flips]
        for step in steps:
            await step(QUEUE)
        await noop.enqueue()
        with pytest.raises(error, match=says):
            await noop.with_options(key="k").enqueue()


def test_the_other_url_is_read_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "secret")
    settings = load(url="sqlite://", cutover_to="postgres://me:${DB_PASSWORD}@host/db")
    assert settings.cutover_to == "postgres://me:secret@host/db"
    assert "secret" not in repr(settings)
