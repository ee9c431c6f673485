"""Losing the replies of a backend."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from queuekit.backend import Backend
from queuekit.errors import ReplyLost
from queuekit.testing.proxy import Proxy


class Lossy(Protocol):
    """A backend whose replies can be lost; the fixture ``lossy`` gives one.

    Attributes:
        backend: opened, on the same store as the fixtures ``backend`` and ``other``.
    """

    backend: Backend

    def lose_reply(self, *, after: int = 0) -> None:
        """The server carries out the next request of `backend`, and its reply is lost; `after` so many that pass."""
        ...

    def heal(self) -> None:
        """Lose nothing more."""
        ...


class LosingProxy:
    """Replies lost on their way through a proxy.

    Args:
        backend: opened, with a URL that leads through `proxy`.
        proxy: between it and the server.
    """

    def __init__(self, backend: Backend, proxy: Proxy) -> None:
        self.backend = backend
        self._proxy = proxy

    def lose_reply(self, *, after: int = 0) -> None:
        """Lose the reply to the next request, `after` so many that pass."""
        self._proxy.swallow_next_reply(after=after)

    def heal(self) -> None:
        """Lose nothing more."""
        self._proxy.resume()


class LosingReplies:
    """Replies lost without a network: a call is carried out, then `ReplyLost` is raised.

    Args:
        backend: opened.
    """

    def __init__(self, backend: Backend) -> None:
        self._after: int | None = None
        self.backend = cast("Backend", _Wrapped(backend, self))

    def lose_reply(self, *, after: int = 0) -> None:
        """Lose the reply of the next call, `after` so many that pass."""
        self._after = after

    def heal(self) -> None:
        """Lose nothing more."""
        self._after = None

    async def carry_out(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call, and perhaps lose the answer."""
        answer = await call()
        if self._after is None:
            return answer
        self._after -= 1
        if self._after >= 0:
            return answer
        self._after = None
        raise ReplyLost("The reply was dropped on purpose.")


class _Wrapped:
    def __init__(self, inner: object, losing: LosingReplies) -> None:
        self._inner = inner
        self._losing = losing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in {"inspector", "schedules", "transfer"}:
            return _Wrapped(found, self._losing)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._losing.carry_out(lambda: found(*args, **kwargs))

        return call
