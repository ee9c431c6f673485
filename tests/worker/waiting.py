"""Waiting for what must happen."""

import asyncio
from collections.abc import Callable
from typing import Any


async def eventually(check: Callable[[], Any], within: float = 10.0) -> None:
    """Wait for a condition, which may be a coroutine function's."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        result = check()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert loop.time() < end, "the condition did not come true"
        await asyncio.sleep(0.01)
