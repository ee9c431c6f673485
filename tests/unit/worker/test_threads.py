"""Threads of sync tasks: as many as are needed, up to a limit."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from queuekit.worker.threads import Threads


async def test_all_that_are_allowed_run_at_once() -> None:
    threads, together = Threads(3), threading.Barrier(3, timeout=10)
    for _ in range(500):
        await asyncio.gather(*(threads.submit(together.wait) for _ in range(3)))


async def test_never_more_than_allowed() -> None:
    threads, names = Threads(2), set[int]()
    await asyncio.gather(
        *(threads.submit(lambda: names.add(threading.get_ident())) for _ in range(50))
    )
    assert 1 <= len(names) <= 2


async def test_one_that_is_idle_is_used_again() -> None:
    threads = Threads(50)
    assert len({(await threads.submit(threading.get_ident)).value for _ in range(20)}) < 20


async def test_what_the_function_raises_goes_to_who_awaits_it() -> None:
    def fail() -> None:
        raise ValueError("mine")

    ended = await Threads(1).submit(fail)
    assert repr(ended.error) == "ValueError('mine')"


@pytest.mark.parametrize("outcome", [lambda: 5, lambda: int("five")])
async def test_who_awaits_no_more_is_not_told(outcome: Callable[[], object]) -> None:
    threads, go = Threads(1), threading.Event()

    def work() -> object:
        go.wait(10)
        return outcome()

    future = threads.submit(work)
    future.cancel()
    go.set()
    assert (await threads.submit(lambda: "next")).value == "next"


def test_a_loop_that_has_ended_is_told_nothing() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()
    threads = Threads(1)

    def work() -> None:
        begun.set()
        go.wait(10)

    async def leave() -> None:
        threads.submit(work)
        threads._waiting.put(ended.set)
        await asyncio.to_thread(begun.wait, 10)

    asyncio.run(leave())
    go.set()
    assert ended.wait(10)
