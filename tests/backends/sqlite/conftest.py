"""What the tests of this folder share."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from queuekit.backend import Backend

Make: TypeAlias = Callable[..., Awaitable[Backend]]
Start: TypeAlias = Callable[..., AbstractContextManager["subprocess.Popen[str]"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
async def backend(make_backend: Make, url: str) -> Backend:
    return await make_backend(url)


@pytest.fixture
def start(url: str) -> Start:
    """Start an act of ``other_process.py`` on this test's file; whatever happens it ends with the block."""

    @contextmanager
    def start(
        act: str, *arguments: object, url: str = url, **options: Any
    ) -> Iterator["subprocess.Popen[str]"]:
        script = Path(__file__).with_name("other_process.py")
        command = [sys.executable, str(script), url, act, *map(str, arguments)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **options) as process:
            try:
                yield process
            finally:
                process.kill()

    return start
