"""What ``qk.worker()`` gives: a worker beside a block, anew each time it is entered."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncContextDecorator
from types import TracebackType

from queuekit.errors import InvalidOption
from queuekit.worker.worker import Worker


class Beside(AbstractAsyncContextManager[Worker], AsyncContextDecorator):
    """A worker for as long as a block lasts.

    Args:
        make: a new one, to be entered once.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Worker]]) -> None:
        self._make = make
        self._entered: AbstractAsyncContextManager[Worker] | None = None

    async def __aenter__(self) -> Worker:
        if self._entered is not None:
            raise InvalidOption(
                "this worker runs already; call qk.worker() once for each that is to run beside another"
            )
        self._entered = self._make()
        try:
            return await self._entered.__aenter__()
        except BaseException:
            self._entered = None
            raise

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
