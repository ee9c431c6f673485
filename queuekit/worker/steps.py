"""An async task's coroutine, run in context variables of its own without an asyncio task of its own.

An asyncio task for each run would cost as much as all else that a worker does for a job. Most short tasks end in their
first step, or wait only a few times, so the slot's asyncio task takes their steps, each in the run's context.
"""

import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from decimal import Context as DecimalContext, getcontext, setcontext
from sys import getrefcount
from typing import Any, Final
from weakref import getweakrefcount

from queuekit.codec import Call
from queuekit.context import current_run
from queuekit.worker import forks
from queuekit.worker.run import Run

DECIMAL: Final = "decimal_context"
"""The name of the context variable in which `decimal` keeps its settings, an object that tasks may change."""


class Abandoned(BaseException):
    """The run was given up while its task waited; there is nobody left to tell."""


class Clean:
    """The context variables that every run begins with: those of the moment at which this was made."""

    def __init__(self) -> None:
        self._variables = copy_context()
        known = {variable.name for variable in self._variables}
        self._decimal: DecimalContext | None = getcontext().copy() if DECIMAL in known else None

    def copy(self) -> Context:
        """For one run."""
        context = self._variables.copy()
        if self._decimal is not None:
            context.run(setcontext, self._decimal.copy())
        return context


def in_context(run: Run, context: Context, function: Callable[..., Any], call: Call) -> Any:
    """Call a sync task's function."""
    return context.run(_call, run, function, call)


async def drive(run: Run, context: Context, function: Callable[..., Any], call: Call) -> Any:
    """What an async task's function returns or raises.

    `Run.kept` says afterwards whether the code may still hold the asyncio task that took its steps: it waited, so that
    others could take it from the loop, or there are more references to it than before. A late ``task.cancel()`` would
    hit the next run in that asyncio task.
    """
    slot, here = run.slot, forks.here()
    references, weak = getrefcount(slot), getweakrefcount(slot)
    try:
        waits_for = context.run(_begin, run, function, call)
    except StopIteration as done:
        forks.leave(here)
        run.kept = (
            getrefcount(slot) != references
            or getweakrefcount(slot) != weak
            or slot.cancelling() != 0
        )
        return done.value
    except BaseException:
        forks.leave(here)
        run.kept = True
        raise
    forks.leave(here)
    run.kept = run.interruptible = True
    run.context = context
    assert run.work is not None
    return await _rest(run, context, run.work, waits_for)


def _begin(run: Run, function: Callable[..., Any], call: Call) -> Any:
    """The first step, up to what it waits for. Raises `StopIteration` with the value if it waits for nothing."""
    work = _call(run, function, call)
    if type(work) is not types.CoroutineType:
        work = _awaited(work)
    run.work = work
    return work.send(None)


def _call(run: Run, function: Callable[..., Any], call: Call) -> Any:
    current_run.set(run)
    return function(*call.args, **call.kwargs)


async def _awaited(work: Any) -> Any:
    return await work


@types.coroutine
def _rest(
    run: Run, context: Context, work: Coroutine[Any, Any, Any], waits_for: Any
) -> Generator[Any, None, Any]:
    """All further steps."""
    here = forks.here()
    while True:
        step: Callable[[Any], Any] = work.send
        value: BaseException | None = None
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancellation: it is the task's to see
            step, value = work.throw, error
        if run.abandoned:
            raise Abandoned
        try:
            waits_for = context.run(step, value)
        except StopIteration as done:
            return done.value
        finally:
            forks.leave(here)


FRAMES: Final = frozenset({drive.__code__, _rest.__code__})
"""The code that calls a task's; in a frame of it the local variable ``run`` tells which one that is."""


__all__ = ["FRAMES", "Abandoned", "Clean", "drive", "in_context"]
