"""One bad element never fails its companions."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from queuekit_postgres.errors import Unstorable

T = TypeVar("T")
A = TypeVar("A")


async def halved(
    send: Callable[[Sequence[T]], Awaitable[list[A]]],
    refuse: Callable[[T, Unstorable], Awaitable[A]],
    batch: Sequence[T],
) -> list[A]:
    """Send a batch; what the server refuses is halved until the guilty element stands alone."""
    try:
        return await send(batch)
    except Unstorable as error:
        if len(batch) == 1:
            return [await refuse(batch[0], error)]
    middle = len(batch) // 2
    return [
        *await halved(send, refuse, batch[:middle]),
        *await halved(send, refuse, batch[middle:]),
    ]
