"""What running jobs need: fresh leases, and what their runs report."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from queuekit.backend import LOGS_KEPT, Held, Pulse, Report
from queuekit.job import Token
from queuekit_redis.connection import Argument
from queuekit_redis.rows import SEPARATOR, address_of, read_held
from queuekit_redis.statements import Scripts, by_queue

AT_ONCE: Final = 1000


async def heartbeat(scripts: Scripts, tokens: Sequence[Token]) -> Pulse:
    """Extend leases by their own length from now."""
    parts = [
        (some, scripts.call("leases_heartbeat", queue, _renewed(some)))
        for queue, some in by_queue(tokens, lambda token: token.queue, AT_ONCE)
    ]
    lost: list[Token] = []
    cancels: list[Token] = []
    answers = await scripts.run_all([call for _, call in parts])
    for (some, _), (gone, asked) in zip(parts, answers, strict=True):
        lost += [some[index] for index in gone]
        cancels += [some[index] for index in asked]
    return Pulse(lost, cancels)


def _renewed(tokens: Sequence[Token]) -> Iterator[Argument]:
    yield len(tokens)
    yield from (token.id.bytes for token in tokens)
    yield from (address_of(token) for token in tokens)


async def held(scripts: Scripts, process: str) -> list[Held]:
    """All leases that a process holds."""
    queues = await scripts.queues()
    answers = await scripts.run_everywhere("leases_held", queues, process)
    return list(chain.from_iterable(map(read_held, queues, answers)))


async def report(scripts: Scripts, reports: Sequence[Report]) -> None:
    """Keep progress and log lines of running jobs; what can't be stored is left out."""
    usable = [report for report in reports if _is_text(report.progress or "")]
    await scripts.run_all(
        [
            scripts.call("leases_report", queue, chain.from_iterable(map(_reported, some)))
            for queue, some in by_queue(usable, lambda report: report.token.queue, AT_ONCE)
        ]
    )


def _is_text(value: str) -> bool:
    """Whether the server can be sent it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reported(report: Report) -> Iterator[Argument]:
    yield report.token.id.bytes
    yield address_of(report.token)
    yield report.progress or ""
    yield SEPARATOR.join(map(json.dumps, report.logs[-LOGS_KEPT:]))
