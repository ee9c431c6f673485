"""``queuekit demo``: a real workload, live, and its books settled from the queue."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from queuekit.cli import options
from queuekit.cli.errors import FAILED
from queuekit.cli.output import console, emit, say, table
from queuekit.cli.store import open_app

if TYPE_CHECKING:
    from queuekit.demo.books import Check
    from queuekit.demo.run import Settlement


class DemoBackend(StrEnum):
    """Where the demo's jobs live."""

    SQLITE = "sqlite"
    REDIS = "redis"
    POSTGRES = "postgres"


def demo(
    backend: Annotated[
        DemoBackend, typer.Option(help="Other than sqlite: on a throwaway server.")
    ] = DemoBackend.SQLITE,
    events: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="A file like the demo's own, which is the default."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Watch a stream of webhook events being validated, deduplicated and processed with retries.

    The summary is read back from the queue; where its figures don't add up the exit code is 1.
    """
    data = (
        events.read_bytes()
        if events
        else files("queuekit.demo").joinpath("events.jsonl").read_bytes()
    )
    with _store(backend) as url:
        settlement = _run(data, url, quiet=as_json)
    if as_json:
        _emit(backend, settlement)
    else:
        _show(backend, settlement)
    if not all(check.ok for check in settlement.checks):
        raise typer.Exit(FAILED)


def _run(data: bytes, url: str, *, quiet: bool) -> "Settlement":
    # Not sooner, as the app reads its settings when it is imported.
    qk = open_app("queuekit.demo.app:qk", url)
    from queuekit.demo.books import deliveries
    from queuekit.demo.run import run
    from queuekit.demo.view import view

    with nullcontext(lambda _: None) if quiet else view(console()) as shown:
        return asyncio.run(run(qk, deliveries(data), shown))


@contextmanager
def _store(backend: DemoBackend) -> Iterator[str]:
    """The URL of an empty store that is gone afterwards."""
    from queuekit.testing.servers import postgres_server, redis_server

    match backend:
        case DemoBackend.SQLITE:
            with tempfile.TemporaryDirectory(prefix="queuekit-demo-") as folder:
                yield f"sqlite:///{folder}/demo.db"
        case DemoBackend.REDIS:
            with redis_server(own=True, appendonly="everysec") as server:
                yield server.url
        case DemoBackend.POSTGRES:
            with postgres_server(own=True) as server:
                yield server.url


def _emit(backend: DemoBackend, settlement: "Settlement") -> None:
    emit(
        {
            "ok": all(check.ok for check in settlement.checks),
            "backend": backend,
            "seconds": round(settlement.seconds, 2),
            "figures": settlement.found,
            "checks": [
                {"what": what, "expected": expected, "found": found, "ok": expected == found}
                for what, expected, found in settlement.checks
            ],
        }
    )


def _show(backend: DemoBackend, settlement: "Settlement") -> None:
    rows = [
        (
            check.what,
            _figure(check.what, check.expected),
            _figure(check.what, check.found),
            _mark(check),
        )
        for check in settlement.checks
    ]
    table(["read back from the queue", "expected", "found", ""], rows)
    wrong = [check.what for check in settlement.checks if not check.ok]
    if wrong:
        say(f"{len(wrong)} figures don't add up: {', '.join(wrong)}")
    else:
        say(f"all figures add up, after {settlement.seconds:.1f} s on {backend}")


def _figure(what: str, value: int | None) -> str:
    if value is None:
        return "missing"
    return f"{value / 100:,.2f}" if "net" in what else f"{value:,}"


def _mark(check: "Check") -> str:
    return "" if check.ok else "differs"
