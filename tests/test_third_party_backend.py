"""A backend from elsewhere needs an entry point and nothing else."""

import sys
from pathlib import Path

import pytest

from queuekit import ConfigurationError, Queuekit
from queuekit.backend import BackendSettings
from queuekit.job import JobRef, new_id
from queuekit.registry import backend_class

MODULE = '''
"""Jobs that are noted on their way in: a backend of its own, on top of one that is there."""

from collections.abc import Sequence
from typing import Any

from queuekit.backend import BackendSettings, Changes
from queuekit.job import Job
from queuekit_sqlite import SqliteBackend


class NotingBackend(SqliteBackend):
    def __init__(self, url: str, settings: BackendSettings) -> None:
        super().__init__(url.replace("noting://", "sqlite://"), settings)
        self.noted: list[str] = []

    async def enqueue(self, jobs: Sequence[Job[Any]], **options: Any) -> Changes:
        self.noted += [job.task for job in jobs]
        return await super().enqueue(jobs, **options)
'''
DISTRIBUTION = {
    "METADATA": "Metadata-Version: 2.1\nName: queuekit-noting\nVersion: 1.0\n",
    "entry_points.txt": "[queuekit.backends]\nnoting = queuekit_noting:NotingBackend\n",
}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As pip would leave it."""
    (tmp_path / "queuekit_noting.py").write_text(MODULE)
    metadata = tmp_path / "queuekit_noting-1.0.dist-info"
    metadata.mkdir()
    for name, text in DISTRIBUTION.items():
        (metadata / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "queuekit_noting", raising=False)
    return tmp_path


def test_it_is_found_by_its_scheme() -> None:
    found = backend_class("noting://")
    assert (found.__module__, found.__name__) == ("queuekit_noting", "NotingBackend")
    assert backend_class("sqlite://").__name__ == "SqliteBackend"


def test_it_is_named_among_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="noting"):
        backend_class("nothing://")


async def test_an_app_works_on_it() -> None:
    qk = Queuekit("noting://")

    @qk.task
    async def double(x: int) -> int:
        return 2 * x

    async with qk, qk.worker():
        handle = await double.enqueue(21)
        assert await handle.result(timeout=50) == 42


async def test_it_can_be_asked_about_its_jobs() -> None:
    backend = backend_class("noting://")("noting://", BackendSettings())
    await backend.open()
    assert await backend.inspector.get([JobRef("default", new_id())]) == [None]
    await backend.close()
