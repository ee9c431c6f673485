"""The books of a demo: what a file of events must come to, and what the queue says that it came to.

The two are found independently: one by reading the file without queuekit, the other by asking the queue alone.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from queuekit.app import Queuekit
from queuekit.backend import JobFilter
from queuekit.job import FINISHED, JobInfo, Reason, State

ATTEMPTS: Final = 4
ALL: Final = 1_000_000


class Movement(NamedTuple):
    """What one event says about a charge; the newest of a charge counts."""

    charge: str
    since: int
    currency: str
    net: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The figures, in the order of events.

    Attributes:
        received: deliveries.
        accepted: well-formed ones, without repetitions.
        retried: of those that succeeded, how many needed more than one attempt.
        failed: for good.
        net: cents by currency.
    """

    received: int
    malformed: int
    duplicates: int
    accepted: int
    processed: int
    succeeded: int
    retried: int
    failed: int
    unfinished: int
    net: Mapping[str, int]


class Check(NamedTuple):
    """Two figures that must be the same."""

    what: str
    expected: int | None
    found: int | None

    @property
    def ok(self) -> bool:
        """Whether they are."""
        return self.expected == self.found


class Deliveries(NamedTuple):
    """A file of events.

    Attributes:
        bodies: as the provider sent them, one a line.
        report: what the provider says that it sent: ``deliveries``, ``events`` and ``net``; the last line.
    """

    bodies: Sequence[bytes]
    report: Mapping[str, Any]


def deliveries(data: bytes) -> Deliveries:
    """The content of a file of events; without a report if the file is cut."""
    lines = [line for line in data.splitlines() if line.strip()]
    match _loaded(lines[-1]) if lines else None:
        case {"report": {"deliveries": int(), "events": int(), "net": dict()} as report}:
            return Deliveries(lines[:-1], report)
        case _:
            return Deliveries(lines, {})


def reckoned(bodies: Sequence[bytes]) -> Books:
    """The books of deliveries, found without queuekit."""
    events = [event for body in bodies if (event := _event(body)) is not None]
    unique = {event["id"]: event for event in reversed(events)}.values()
    attempts = [_attempts(event["data"]["object"]["metadata"]) for event in unique]
    succeeded = [event for event, needed in zip(unique, attempts, strict=True) if needed]
    return Books(
        received=len(bodies),
        malformed=len(bodies) - len(events),
        duplicates=len(events) - len(unique),
        accepted=len(unique),
        processed=len(unique),
        succeeded=len(succeeded),
        retried=sum(needed is not None and needed > 1 for needed in attempts),
        failed=attempts.count(None),
        unfinished=0,
        net=_net(_movement(event) for event in succeeded),
    )


async def read_back(qk: Queuekit) -> Books:
    """The books as the queue has them: from states, attempts and results of its jobs."""
    received = await qk.inspect.list(JobFilter(tasks=["receive"]), limit=ALL)
    processed = await qk.inspect.list(JobFilter(tasks=["process"]), limit=ALL)
    succeeded = [job for job in processed if job.state is State.SUCCEEDED]
    return Books(
        received=len(received),
        malformed=sum(_is_malformed(job) for job in received),
        duplicates=sum(job.result == "duplicate" for job in received),
        accepted=sum(job.result == "accepted" for job in received),
        processed=len(processed),
        succeeded=len(succeeded),
        retried=sum(job.attempt > 1 for job in succeeded),
        failed=sum(job.state is State.FAILED for job in processed),
        unfinished=sum(job.state not in FINISHED for job in [*received, *processed]),
        net=_net(Movement(**dict(job.result)) for job in succeeded),
    )


def checks(expected: Books, found: Books, report: Mapping[str, Any]) -> list[Check]:
    """All that must agree: the queue with the file, with itself, and with the provider's report."""
    counts = [field.name for field in fields(Books) if field.name != "net"]
    sent: Mapping[str, int] = report.get("net", {})
    currencies = sorted(expected.net.keys() | found.net.keys() | sent.keys())
    return [
        *(Check(name, getattr(expected, name), getattr(found, name)) for name in counts),
        *(Check(f"net {one}", expected.net.get(one), found.net.get(one)) for one in currencies),
        Check(
            "malformed + duplicates + accepted",
            found.received,
            found.malformed + found.duplicates + found.accepted,
        ),
        Check("succeeded + failed", found.accepted, found.succeeded + found.failed),
        Check("report: deliveries", report.get("deliveries"), found.received),
        Check("report: events", report.get("events"), found.accepted),
        *(Check(f"report: net {one}", sent.get(one), found.net.get(one)) for one in currencies),
    ]


def _event(body: bytes) -> dict[str, Any] | None:
    """The event of a delivery; None if it is malformed."""
    event = _loaded(body)
    try:
        charge = event["data"]["object"]
        well_formed = (
            re.fullmatch("evt_[a-z0-9]+", event["id"])
            and event["type"] in {"charge.succeeded", "charge.refunded"}
            and _is_count(event["created"], 1)
            and re.fullmatch("ch_[a-z0-9]+", charge["id"])
            and _is_count(charge["amount"], 1)
            and _is_count(charge["amount_refunded"], 0)
            and charge["currency"] in {"eur", "usd"}
            and all(isinstance(value, str) for value in charge["metadata"].values())
        )
    except (TypeError, LookupError, AttributeError):
        return None
    return event if well_formed else None


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _is_count(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _attempts(metadata: Mapping[str, str]) -> int | None:
    """How many attempts it takes; None: all of them fail."""
    match metadata.get("simulate", "").split():
        case ["timeout", times]:
            needed = int(times) + 1
            return needed if needed <= ATTEMPTS else None
        case ["closed_account"]:
            return None
        case _:
            return 1


def _movement(event: Mapping[str, Any]) -> Movement:
    charge = event["data"]["object"]
    net = charge["amount"] - charge["amount_refunded"]
    return Movement(charge["id"], event["created"], charge["currency"], net)


def _net(movements: Iterable[Movement]) -> dict[str, int]:
    newest: dict[str, Movement] = {}
    for movement in sorted(movements, key=lambda movement: movement.since):
        newest[movement.charge] = movement
    total = Counter[str]()
    for movement in newest.values():
        total[movement.currency] += movement.net
    return dict(sorted(total.items()))


def _is_malformed(job: JobInfo) -> bool:
    return job.state is State.FAILED and job.reason == Reason.GAVE_UP
