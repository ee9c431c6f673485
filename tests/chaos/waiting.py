"""Waiting for what must happen."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

LOOK_EVERY = 0.02


async def until(happened: Callable[[], bool | Awaitable[bool]], patience: float = 60) -> None:
    """Wait for a condition. Raises `TimeoutError`."""
    end = time.monotonic() + patience
    while True:
        answer = happened()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{happened.__qualname__}: not within {patience:g} s")
        await asyncio.sleep(LOOK_EVERY)
