"""What ``qk.worker()`` gives: a worker beside a block, anew each time it is entered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncContextDecorator,
    AsyncExitStack,
    asynccontextmanager,
)
from types import TracebackType

from queuekit.errors import InvalidOption
from queuekit.store import Store
from queuekit.worker.worker import Worker


class Beside(AbstractAsyncContextManager[Worker], AsyncContextDecorator):
    """A worker for as long as a block lasts.

    Args:
        store: open for as long.
        make: a new worker.
    """

    def __init__(self, store: Store, make: Callable[[], Worker]) -> None:
        self._store = store
        self._make = make
        self._entered: AsyncExitStack | None = None

    async def __aenter__(self) -> Worker:
        if self._entered is not None:
            raise InvalidOption(
                "this worker runs already; call qk.worker() once for each that is to run beside another"
            )
        async with AsyncExitStack() as opened:
            self._entered = opened
            try:
                worker = self._make()
                await opened.enter_async_context(self._store.opened())
                await opened.enter_async_context(_running(worker))
                self._entered = opened.pop_all()
            except BaseException:
                self._entered = None
                raise
        return worker

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        assert self._entered is not None
        try:
            return await self._entered.__aexit__(kind, raised, trace)
        finally:
            self._entered = None


@asynccontextmanager
async def _running(worker: Worker) -> AsyncIterator[None]:
    """Run beside the block; a worker that fails cancels it. What either of them raises comes out as it is."""
    raised: BaseException | None = None
    failed: BaseExceptionGroup | None = None
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(worker.run(), name="queuekit worker")
            try:
                yield
            except BaseException as error:
                raised = error
                raise
            finally:
                worker.orders.finish()
                await asyncio.shield(running)
    except BaseExceptionGroup as found:
        failed = found
    if failed is not None:
        raise _own_error(raised, failed)


def _own_error(raised: BaseException | None, failed: BaseExceptionGroup) -> BaseException:
    """What a block beside a worker has raised, else what the worker has, without the groups around a single error."""
    of_worker = [_alone(error) for error in failed.exceptions if error is not raised]
    if raised is None or isinstance(raised, asyncio.CancelledError):
        return of_worker[0]
    if of_worker:
        raised.add_note(f"The worker beside it failed, too: {of_worker[0]!r}")
    return raised


def _alone(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        (error,) = error.exceptions
    return error
