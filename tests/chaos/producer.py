"""A process that enqueues in every way there is until it is killed, and notes each id that was acknowledged.

``python -m tests.chaos.producer``
"""

import asyncio
import random

from queuekit import Handle
from tests.chaos import ledger
from tests.chaos.app import qk, work

MS = 5.0


async def produce() -> None:
    async with qk:
        while True:
            await random.choice([_alone, _together, _at_once, _without_a_loop])()
            await asyncio.sleep(random.uniform(0, 0.05))


async def _alone() -> None:
    _acknowledged(await work.enqueue(MS))


async def _together() -> None:
    await asyncio.gather(*(_alone() for _ in range(5)))


async def _at_once() -> None:
    _acknowledged(*await qk.enqueue_many([work.job(MS) for _ in range(5)]))


async def _without_a_loop() -> None:
    _acknowledged(await asyncio.to_thread(work.enqueue_sync, MS))


def _acknowledged(*handles: Handle[int]) -> None:
    for handle in handles:
        ledger.note("acknowledged", handle.id)


if __name__ == "__main__":
    asyncio.run(produce())
