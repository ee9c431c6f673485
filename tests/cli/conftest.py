"""A small shop, a store of its own for each test, and the command line on both."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from queuekit import Queuekit
from queuekit.cli import app
from queuekit.loading import load_app

SHOP = '''
import asyncio, os, sys, threading, time
from datetime import date
from typing import Annotated
from pydantic import AfterValidator
from queuekit import Context, GiveUp, Queuekit, fixed

qk = Queuekit()

@qk.task(queue="email", max_attempts=2, backoff=fixed(60))
async def send(to: str, times: int = 1) -> str:
    """Letters to nobody are refused."""
    if to == "nobody":
        raise GiveUp("no such address")
    return to * times

@qk.task(tags=["slow"])
async def import_day(day: date, raw: bytes = b"") -> int:
    return day.year + len(raw)

@qk.task
async def charge(cents: Annotated[int, AfterValidator(lambda euros: euros * 100)]) -> int:
    return cents

@qk.task
async def whoami() -> int:
    return os.getpid()

@qk.task(queue="threads")
def block(seconds: float) -> None:
    time.sleep(seconds)

@qk.task(queue="notes")
async def talkative(ctx: Context) -> None:
    await ctx.progress(0.5, "half way")
    await ctx.log("said \\x1b[31msomething")
'''


class Done(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """JSON lines on stdout; nothing else may be there."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        (found,) = self.lines
        return found


Cli = Callable[..., Done]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop's file, in a folder of its own that is the working directory; the store is beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUEUEKIT_URL", f"sqlite:///{tmp_path}/shop.db")
    monkeypatch.setenv("QUEUEKIT_APP", f"{tmp_path}/shop.py:qk")
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path / "shop.py"


@pytest.fixture
def cli(shop: Path) -> Cli:
    """Run a command line in this process."""

    def run(*arguments: object, stdin: str = "") -> Done:
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def process(shop: Path) -> Cli:
    """Run a command line in a process of its own."""

    def run(*arguments: object) -> Done:
        command = [sys.executable, "-m", "queuekit", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def qk(shop: Path) -> Queuekit:
    """The shop's app."""
    return load_app()


@pytest.fixture
def work(qk: Queuekit) -> Callable[[], None]:
    """Let a worker run all that is ready."""
    return lambda: asyncio.run(qk.run_worker(burst=True, signals=False))
