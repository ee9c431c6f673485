"""Loops beside a block, single pieces of work, and the event loop of callers without one."""

import asyncio
import threading
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from queuekit.loops import (
    LoopEnded,
    Portal,
    background,
    call,
    current_task,
    ended_within,
    first_of,
    start,
)

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Loop:
    """A loop that is seen to run and to end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.going, self.over = asyncio.Event(), asyncio.Event()
        self.task: asyncio.Task[Any] | None = None
        self.error = error

    async def run(self) -> None:
        self.task = asyncio.current_task()
        self.going.set()
        try:
            if self.error is not None:
                raise self.error
            await asyncio.Event().wait()
        finally:
            self.over.set()


# Beside a block


async def test_loops_run_as_long_as_the_block() -> None:
    loops = [Loop(), Loop()]
    async with background(*(loop.run for loop in loops)):
        for loop in loops:
            await asyncio.wait_for(loop.going.wait(), 10)
            assert not loop.over.is_set()
    assert all(loop.over.is_set() for loop in loops)


async def test_a_loop_that_fails_cancels_the_block_and_the_others() -> None:
    other, cause = Loop(), KeyError("why")
    failing = Loop(ValueError("mine"))
    assert failing.error is not None
    failing.error.__cause__ = cause
    with pytest.raises(ValueError, match="mine") as error:
        async with background(other.run, failing.run):
            await asyncio.Event().wait()
    assert error.value is failing.error
    assert error.value.__cause__ is cause
    assert other.over.is_set()


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    loop = Loop()

    async def block() -> None:
        await loop.going.wait()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        async with background(loop.run):
            await block()
    assert loop.over.is_set()


async def test_two_errors_come_out_together() -> None:
    loop = Loop(ValueError("of the loop"))

    async def block() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError("of the block") from None

    with pytest.raises(ExceptionGroup) as errors:
        async with background(loop.run):
            await block()
    assert sorted(map(repr, errors.value.exceptions)) == [
        "KeyError('of the block')",
        "ValueError('of the loop')",
    ]


async def test_a_loop_that_others_cancel_is_an_error() -> None:
    loop, other = Loop(), Loop()

    async def cancelled_by_others() -> None:
        await loop.going.wait()
        assert loop.task is not None
        loop.task.cancel()
        await asyncio.Event().wait()

    with pytest.raises(LoopEnded, match=r"other code of this process has cancelled Loop\.run"):
        async with background(loop.run, other.run):
            await cancelled_by_others()
    assert other.over.is_set()


async def test_a_block_that_is_cancelled_ends_its_loops() -> None:
    loop = Loop()

    async def block() -> None:
        async with background(loop.run):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(block())
    await loop.going.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.over.is_set()


async def test_loops_survive_the_end_of_all_generators() -> None:
    loop = Loop()
    async with background(loop.run):
        await loop.going.wait()
        await asyncio.get_running_loop().shutdown_asyncgens()
        assert not loop.over.is_set()


# Pieces of work


async def test_a_piece_of_work_has_a_name_and_may_have_variables_of_its_own() -> None:
    async def work() -> str:
        return f"{current_task().get_name()}: {NAME.get()}"

    context = copy_context()
    context.run(NAME.set, "somebody")
    assert await start(work(), "a name", context) == "a name: somebody"
    assert await start(work(), "a name") == "a name: nobody"


async def test_functions_and_coroutine_functions_are_called() -> None:
    seen = list[str]()

    async def later() -> None:
        await asyncio.sleep(0)
        seen.append("async")

    await call(lambda: seen.append("sync"))
    await call(later)
    assert seen == ["sync", "async"]


async def test_work_that_ends_in_time() -> None:
    async def fails() -> None:
        raise ValueError("mine")

    assert await ended_within(10, asyncio.sleep(0), "work")
    with pytest.raises(ValueError, match="mine"):
        await ended_within(10, fails(), "work")


async def test_work_that_does_not_end_in_time_is_cancelled_and_not_waited_for() -> None:
    told, go = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.set()
            await go.wait()

    assert not await ended_within(0.01, stubborn(), "work")
    await asyncio.wait_for(told.wait(), 10)
    go.set()


async def test_the_first_of_several_ends_the_others() -> None:
    loop, done = Loop(), asyncio.Event()
    done.set()
    await asyncio.wait_for(first_of(loop.run(), done.wait()), 10)
    assert loop.over.is_set()


async def test_the_error_of_the_first_comes_through() -> None:
    loop = Loop()
    with pytest.raises(ValueError, match="mine"):
        await first_of(loop.run(), Loop(ValueError("mine")).run())
    assert loop.over.is_set()


async def test_who_waits_for_several_and_is_cancelled_ends_them() -> None:
    loop = Loop()
    waiting = asyncio.ensure_future(first_of(loop.run()))
    await loop.going.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert loop.over.is_set()


# Callers without an event loop


async def where() -> tuple[str, asyncio.AbstractEventLoop]:
    return threading.current_thread().name, asyncio.get_running_loop()


def portals() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "queuekit-portal"]


def test_calls_share_a_loop_in_a_thread_that_can_be_stopped() -> None:
    portal, before = Portal(), len(portals())
    first, second = portal.call(where), portal.call(where)
    assert first == second
    assert first[0] == "queuekit-portal"
    assert len(portals()) == before + 1

    portal.stop()
    portal.stop()

    assert len(portals()) == before
    assert first[1].is_closed()
    assert portal.call(where)[1] is not first[1]
    portal.stop()


def test_what_is_called_raises_to_its_caller() -> None:
    async def fails() -> None:
        raise ValueError("mine")

    portal = Portal()
    with pytest.raises(ValueError, match="mine"):
        portal.call(fails)
    portal.stop()


def test_threads_that_come_at_once_share_one_loop() -> None:
    portal, together, found = Portal(), threading.Barrier(8, timeout=10), list[Any]()

    def ask() -> None:
        together.wait()
        found.append(portal.call(where)[1])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    portal.stop()
    assert len(found) == 8
    assert len(set(found)) == 1


async def test_a_call_that_would_block_an_event_loop_is_refused() -> None:
    portal, called = Portal(), list[str]()

    async def work() -> None:
        called.append("work")

    with pytest.raises(RuntimeError, match="would block this thread's event loop"):
        portal.call(work)
    assert called == []
    name, _ = await asyncio.to_thread(portal.call, where)
    assert name == "queuekit-portal"
    portal.stop()
