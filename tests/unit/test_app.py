"""`Queuekit`: opening, enqueueing and waiting, on a store that needs no server."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from queuekit import BackendRefused, InvalidOption, PayloadTooLarge, Queuekit, State
from queuekit.worker.options import WorkerKeywords, WorkerOptions


@pytest.fixture
def qk(tmp_path: Path) -> Queuekit:
    return Queuekit(f"sqlite:///{tmp_path}/queue.db")


def add_task(qk: Queuekit) -> Any:
    @qk.task
    async def double(n: int) -> int:
        return 2 * n

    return double


async def test_nothing_to_enqueue_needs_no_store() -> None:
    assert await Queuekit("redis://127.0.0.1:1").enqueue_many([]) == []


async def test_blocks_may_be_nested(qk: Queuekit) -> None:
    double = add_task(qk)
    async with qk:
        async with qk:
            job = await double.enqueue(1)
        assert await job.status() is State.READY
        backend = await qk.backend()
        assert backend is await qk.backend()
    async with qk:
        assert await qk.backend() is not backend


async def test_opened_by_many_at_once_it_is_opened_once(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    kind = type(await qk.backend())
    await qk.close()
    await qk.close()
    real = kind.open

    async def count(backend: Any) -> None:
        opened.append(backend)
        await real(backend)

    monkeypatch.setattr(kind, "open", count)
    await asyncio.gather(*(qk.open() for _ in range(5)))
    await qk.close()
    assert len(opened) == 1


async def test_each_event_loop_has_a_backend_of_its_own(qk: Queuekit) -> None:
    found = []

    async def look() -> None:
        async with qk:
            found.append(await qk.backend())

    async with qk:
        await asyncio.to_thread(asyncio.run, look())
        assert found[0] is not await qk.backend()
        # The other loop has ended; what is known of it goes with the next one that is opened.
        await asyncio.to_thread(asyncio.run, look())
    assert found[1] is not found[0]


async def test_waiting_without_a_limit_goes_on_until_the_end(
    qk: Queuekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.store.POLL_RESULT", 0.02)
    asked = []
    double = add_task(qk)
    async with qk:
        backend = await qk.backend()
        results = backend.results

        async def count(*args: Any) -> Any:
            asked.append(args)
            return await results(*args)

        backend.results = count  # type: ignore[method-assign,assignment]
        job = await double.enqueue(4)
        waiting = asyncio.create_task(job.result())
        while len(asked) < 3:
            await asyncio.sleep(0.01)
        await qk.run_worker(burst=True)
        assert await waiting == 8


async def test_a_job_that_the_server_refuses_is_named(qk: Queuekit) -> None:
    double = add_task(qk)
    job = double.job(1)._replace(payload='1{"n":"\ud800"}')
    async with qk:
        with pytest.raises(BackendRefused, match=f"(?s){job.id}.*refused"):
            await qk.enqueue(job)
        with pytest.raises(BackendRefused, match=str(job.id)):
            await qk.enqueue_many([double.job(2), job], atomic=False)
        assert [found.state for found in await qk.inspect.list()] == [State.READY]


def test_a_connection_of_the_callers_own_needs_the_callers_loop(qk: Queuekit) -> None:
    double = add_task(qk)
    with pytest.raises(InvalidOption, match="connection= needs enqueue, not enqueue_sync"):
        double.with_options(connection=object()).enqueue_sync(1)


def test_an_app_says_where_its_jobs_go(qk: Queuekit) -> None:
    add_task(qk)
    assert repr(qk).endswith("queue.db: 1 tasks>")


@pytest.mark.parametrize("when", ["on_startup", "on_shutdown"])
def test_hooks_are_functions_without_arguments(qk: Queuekit, when: str) -> None:
    async def fine(app: object = None) -> None: ...

    def one(app: object) -> None: ...

    assert getattr(qk, when)(fine) is fine
    with pytest.raises(
        InvalidOption, match=rf"{when}: a hook is called without arguments; got .*one"
    ):
        getattr(qk, when)(one)
    with pytest.raises(InvalidOption, match=rf"{when}: a hook is a function, .*; got 5"):
        getattr(qk, when)(5)


def test_a_handle_of_a_function_that_is_no_task(qk: Queuekit) -> None:
    with pytest.raises(InvalidOption, match=r"is no task; pass what @qk.task has made"):
        qk.handle("01900000-0000-7000-8000-000000000000", task=len)  # type: ignore[call-overload]


def test_type_checkers_know_every_option_of_a_worker() -> None:
    names = [field.name for field in dataclasses.fields(WorkerOptions)]
    assert ["queues", *WorkerKeywords.__annotations__] == names


def test_other_settings_count_from_then_on() -> None:
    qk = Queuekit("sqlite://")

    @qk.task
    async def say(text: str) -> None: ...

    say.job("0123456789")
    qk.settings = qk.settings.model_copy(update={"max_payload": 20})
    with pytest.raises(PayloadTooLarge, match="limit of 20"):
        say.job("0123456789")
