"""Real ``queuekit worker`` processes for tests: started, signalled, watched to their end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import eventually


class Fleet:
    """One ``queuekit worker`` command, and all processes that have said that they started.

    Args:
        app: where it is, ``file:attribute``.
        arguments: of the command line.
        log: the file for what it logs.
    """

    def __init__(self, app: str, arguments: tuple[str, ...], log: Path, **env: str) -> None:
        self._log = log
        self._said = log.with_suffix(".stdout")
        with log.open("wb") as stderr, self._said.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "queuekit", "worker", app, "--json", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **env},
            )

    @property
    def pids(self) -> list[int]:
        """Of the workers that have started, in order."""
        return [event["pid"] for event in self._events() if event["event"] == "started"]

    async def started(self, count: int = 1) -> list[int]:
        """Wait until so many workers have started, and heed signals; their pids."""
        await eventually(
            lambda: len(self.logged("worker started")) >= count or self.code is not None
        )
        assert self.code is None, self.text
        return self.pids

    def said(self, event: str) -> int:
        """How often that was said on stdout."""
        return sum(one["event"] == event for one in self._events())

    def _events(self) -> Iterator[dict[str, Any]]:
        return map(json.loads, self._said.read_text().splitlines())

    @property
    def code(self) -> int | None:
        """The exit code; None: it runs."""
        return self.process.poll()

    @property
    def text(self) -> str:
        """What was logged until now."""
        return self._log.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines that say so."""
        return [line for line in self.lines if line["event"].startswith(event)]

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """To the process that was started."""
        self.process.send_signal(number)

    async def ended(self, within: float) -> int:
        """Wait for its end; the exit code. All its workers have ended by then."""
        await eventually(lambda: self.code is not None, within)
        assert not [pid for pid in self.pids if alive(pid)]
        assert self.code is not None
        return self.code

    def clear_away(self) -> None:
        """End what a failed test has left."""
        for pid in (self.process.pid, *self.pids):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        self.process.wait()


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only its zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
