"""An async task's coroutine, step by step, in its slot's asyncio task.

An asyncio task for each run would cost a quarter of all that a worker does for a job. Short runs don't need one: they
end in their first step and leave nothing behind. `Run.kept` tells which do.
"""

import types
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import Context, copy_context
from decimal import Context as DecimalContext, getcontext, setcontext
from sys import getrefcount
from types import CoroutineType
from typing import Any, Final
from weakref import getweakrefcount

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
        """For one slot, or one run in a thread."""
        return self._variables.copy()

    def begin(self, run: Run) -> None:
        """Set what a run must not share with others; inside of a copy."""
        current_run.set(run)
        if self._decimal is not None:
            setcontext(self._decimal.copy())

    def call(
        self,
        run: Run,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """Call a sync task's function; inside of a copy."""
        self.begin(run)
        return function(*args, **kwargs)


def first(
    run: Run, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[bool, Any]:
    """Take the first step of an async task, in a context where the run has begun.

    `Run.kept` says afterwards whether it may have left something behind: it has changed context variables, has waited,
    so that others could take its asyncio task from the loop, or there are more references to that than before. With any
    of these a late ``task.cancel()`` or a variable would hit the next run of that asyncio task.

    Returns:
        True and what the task returned, or False and what it waits for.
    """
    slot, variables = run.slot, copy_context()
    references, weak = getrefcount(slot), getweakrefcount(slot)
    try:
        work = function(*args, **kwargs)
        if type(work) is not CoroutineType:
            work = _awaited(work)
        waits_for = work.send(None)
    except StopIteration as done:
        try:
            if (
                getrefcount(slot) != references
                or getweakrefcount(slot) != weak
                or slot.cancelling()
                or variables != copy_context()
            ):
                run.kept = True
        except BaseException:  # noqa: BLE001  # of a value that does not like to be compared
            run.kept = True
        return True, done.value
    except BaseException:
        run.kept = True
        raise
    forks.leave(run.here)
    run.kept = True
    run.work, run.context, run.interruptible = work, copy_context(), True
    return False, waits_for


@types.coroutine
def others(run: Run, waits_for: Any) -> Generator[Any, None, Any]:
    """Take all further steps; what the task returned."""
    work = run.work
    assert work is not None
    while True:
        thrown: BaseException | None = None
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  # a cancellation: it is the task's to see
            thrown = error
        if run.abandoned:
            raise Abandoned
        try:
            waits_for = work.send(None) if thrown is None else work.throw(thrown)
        except BaseException as error:
            run.interruptible = False
            if isinstance(error, StopIteration):
                return error.value
            raise
        finally:
            forks.leave(run.here)


async def _awaited(work: Any) -> Any:
    return await work


FRAMES: Final = frozenset({first.__code__, others.__code__})
"""The code that calls a task's; in a frame of it the local variable ``run`` tells which one that is."""


__all__ = ["FRAMES", "Abandoned", "Clean", "first", "others"]
