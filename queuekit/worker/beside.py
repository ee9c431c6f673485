"""What ``qk.worker()`` gives: a worker beside a block, anew each time it is entered."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncContextDecorator, AsyncExitStack
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
                await opened.enter_async_context(worker.beside())
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
