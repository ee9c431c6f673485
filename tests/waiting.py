"""Waiting for what must happen."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

LOOK_EVERY = 0.02


async def eventually(happened: Callable[[], Any], within: float = 50.0) -> None:
    """Wait for a condition, which may be a coroutine function's. Raises `TimeoutError`."""
    end = time.monotonic() + within
    while True:
        answer = happened()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() > end:
            raise TimeoutError(f"{happened.__qualname__}: not within {within:g} s")
        await asyncio.sleep(LOOK_EVERY)
