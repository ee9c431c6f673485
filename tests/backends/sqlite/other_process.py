"""What another process does in the tests: ``python other_process.py URL ACT ...``; it says line by line what it did."""

import asyncio
import os
import sys
import time
from typing import Any

from queuekit.backend import Ask, BackendSettings
from queuekit.job import Ack, Claimant, Job, JobOptions, State, new_id
from queuekit_sqlite import SqliteBackend
from queuekit_sqlite.connection import Transaction

OPTIONS = JobOptions()


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def some(count: int) -> list[Job[Any]]:
    return [Job(new_id(), "send", '{"v":1,"a":{}}', OPTIONS) for _ in range(count)]


async def enqueue(backend: SqliteBackend, batches: int, size: int) -> None:
    """Store jobs and say their ids once that is acknowledged."""
    for _ in range(batches):
        jobs = some(size)
        await backend.enqueue(jobs)
        say(*(job.id for job in jobs))


async def enqueue_when_told(backend: SqliteBackend) -> None:
    """For each line read store a job and say when that was done."""
    say("ready")
    while await asyncio.to_thread(sys.stdin.readline):
        await backend.enqueue(some(1))
        say(time.monotonic())


async def half_done(backend: SqliteBackend) -> None:
    """Stop for ever in the middle of a transaction that has claimed and stored something."""

    def body(tx: Transaction) -> None:
        ((seqs,),) = tx.all("find_ready", "default", 0, 10)
        assert tx.run("claim", seqs, tx.now, "half", 1, 60_000_000) == 3
        tx.run("insert_plain", new_id().bytes, "half", "{}", "default", tx.now, 0, 5)
        say("half done")
        time.sleep(3600)

    await backend._store.write(body)


async def work(backend: SqliteBackend, name: str) -> None:
    """Run jobs until there are none left, and say their ids."""
    number = 0
    outcomes: list[Ack] = []
    while True:
        number += 1
        fetched = await backend.fetch(
            Ask(["default"], 7, Claimant(name, number), 60_000_000), settle=outcomes
        )
        outcomes = [Ack(c.token, c.task, State.SUCCEEDED, "null") for c in fetched.claims]
        say(*(claim.token.id for claim in fetched.claims))
        if not outcomes:
            return


async def main(url: str, act: str, *arguments: str) -> None:
    if act == "open_unprivileged" and os.geteuid() == 0:
        os.seteuid(65534)
    backend = SqliteBackend(url, BackendSettings())
    await backend.open()
    match act, arguments:
        case "enqueue", (batches, size):
            await enqueue(backend, int(batches), int(size))
        case "enqueue_when_told", ():
            await enqueue_when_told(backend)
        case "half_done", ():
            await half_done(backend)
        case "work", (name,):
            await work(backend, name)
        case "open" | "open_unprivileged", ():
            say("opened")
        case _:
            raise SystemExit(f"unknown act: {act} {arguments}")
    await backend.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
