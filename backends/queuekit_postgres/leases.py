"""What a process says of itself and of the jobs that it runs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from queuekit.backend import LOGS_KEPT, Held, Presence, Pulse, Report
from queuekit.job import Token
from queuekit_postgres.connection import Lanes
from queuekit_postgres.errors import Unstorable, halved
from queuekit_postgres.statements import Statements


class Leases:
    """Renews leases, keeps reports, registers processes."""

    def __init__(self, statements: Statements, lanes: Lanes) -> None:
        self._statements = statements
        self._lanes = lanes

    async def heartbeat(self, tokens: Sequence[Token]) -> Pulse:
        """Extend leases."""
        if not tokens:
            return Pulse([], [])
        runs = sorted((token.address, token.delivery) for token in tokens)
        rows = await self._lanes.fetch(
            self._statements["heartbeat"], [seq for seq, _ in runs], [d for _, d in runs]
        )
        held = {(row["seq"], row["delivery"]): row["cancel_requested"] for row in rows}
        return Pulse(
            lost=[t for t in tokens if (t.address, t.delivery) not in held],
            cancels=[t for t in tokens if held.get((t.address, t.delivery))],
        )

    async def held(self, process: str) -> list[Held]:
        """All leases that a process holds."""
        rows = await self._lanes.fetch(self._statements["leases"], process)
        return [Held(Token(*run), number) for *run, number in rows]

    async def report(self, reports: Sequence[Report]) -> None:
        """Keep progress and log lines; what can't be stored is left out."""
        if reports:
            await halved(self._report, _leave_out, _merged(reports))

    async def present(self, presence: Presence) -> None:
        """Register a process."""
        text = json.dumps(asdict(presence))
        await self._lanes.execute(self._statements["present"], presence.process, text, presence.ttl)

    async def absent(self, process: str) -> None:
        """The process leaves."""
        await self._lanes.execute(self._statements["absent"], process)

    async def unserved(self) -> list[str]:
        """Queues that nobody serves."""
        return [name for (name,) in await self._lanes.fetch(self._statements["unserved"])]

    async def _report(self, given: Sequence[Report]) -> dict[int, None]:
        reports = sorted(given, key=lambda report: (report.token.address, report.token.delivery))
        await self._lanes.execute(
            self._statements["report"],
            [r.token.address for r in reports],
            [r.token.delivery for r in reports],
            [r.progress for r in reports],
            [json.dumps(list(r.logs)) for r in reports],
            LOGS_KEPT,
        )
        return {}


async def _leave_out(_report: Report, _error: Unstorable) -> None:
    return None


def _merged(reports: Sequence[Report]) -> list[Report]:
    """One report a token."""
    merged: dict[Token, Report] = {}
    for newer in reports:
        older = merged.get(newer.token)
        if older is not None:
            progress = older.progress if newer.progress is None else newer.progress
            newer = Report(newer.token, progress, [*older.logs, *newer.logs])  # noqa: PLW2901
        merged[newer.token] = newer
    return list(merged.values())
