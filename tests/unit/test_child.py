"""The child's side of a job in a process of its own: what it is sent, and what it answers."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from queuekit import Context, Queuekit
from queuekit.child import Pipe, serve
from queuekit.job import Claim, Job, Token
from queuekit.worker.children import _plain
from queuekit.worker.run import Run
from tests.waiting import eventually


class Parent:
    """Sends lines to a child that runs in this process, and reads its answers."""

    def __init__(self, app: Queuekit) -> None:
        theirs, self._send_to = os.pipe()
        self._orders = os.fdopen(theirs, "rb")
        self._number = 0
        self._out = io.BytesIO()
        self._app = app

    @asynccontextmanager
    async def child(self) -> AsyncIterator["Parent"]:
        """A child for as long as the block lasts; it must end by itself when the parent is gone."""
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(self._app, self._orders, Pipe(self._out), os.getppid()))
            yield self
            os.close(self._send_to)

    def tell(self, message: dict[str, Any]) -> None:
        os.write(self._send_to, json.dumps(message).encode() + b"\n")

    def claim(self, job: Job[Any]) -> None:
        token = Token("q", job.id, 7)
        claim = Claim(token, job.task, job.payload, 1, 3, 0, 0, 30_000_000, None, "")
        self._number += 1
        self.tell({"claim": _plain(Run(cast("Any", None), claim, 0.0)), "run": self._number})

    @property
    def answers(self) -> list[Any]:
        return [json.loads(line) for line in self._out.getvalue().splitlines()]


class Broken(io.BytesIO):
    """A parent that has gone."""

    def write(self, data: object) -> int:
        raise BrokenPipeError


@pytest.fixture
def qk() -> Queuekit:
    return Queuekit("sqlite://")


async def test_a_job_its_reports_and_its_outcome(qk: Queuekit) -> None:
    @qk.task
    async def task(ctx: Context) -> str:
        await ctx.log("a line")
        return "done"

    async with Parent(qk).child() as parent:
        for n in (1, 2):
            parent.claim(task.job())
            await eventually(lambda n=n: len(parent.answers) == 2 * n)  # type: ignore[misc]
    assert parent.answers == [
        answer
        for n in (1, 2)
        for answer in (
            {"report": [None, ["a line"]], "run": n},
            {"outcome": ["Succeeded", '"done"'], "run": n},
        )
    ]


async def test_an_interrupt_reaches_the_job(qk: Queuekit) -> None:
    started = asyncio.Event()

    @qk.task
    async def task() -> None:
        started.set()
        await asyncio.Event().wait()

    async with Parent(qk).child() as parent:
        # Nothing runs yet that it could mean.
        parent.tell({"interrupt": "CANCELLED"})
        parent.claim(task.job())
        await eventually(started.is_set)
        parent.tell({"interrupt": "CANCELLED"})
        await eventually(lambda: parent.answers)
    assert parent.answers == [{"outcome": ["Cancelled", "cancelled on request"], "run": 1}]


async def test_a_child_ends_with_its_parent(qk: Queuekit) -> None:
    seen = []
    started = asyncio.Event()

    @qk.on_startup
    def up() -> None:
        seen.append("startup")

    @qk.on_shutdown
    def down() -> None:
        seen.append("shutdown")

    @qk.task
    async def task() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")

    async with Parent(qk).child() as parent:
        parent.claim(task.job())
        await eventually(started.is_set)
    await eventually(lambda: parent.answers)
    assert sorted(seen) == ["cancelled", "shutdown", "startup"]
    assert parent.answers == [{"outcome": ["Released"], "run": 1}]


def test_what_nobody_reads_any_more_is_dropped() -> None:
    Pipe(Broken()).tell(None)
