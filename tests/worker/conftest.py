"""Every test of the worker runs on all three backends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from queuekit import Queuekit

SETTINGS = {"grace": 5.0, "lease": 10.0}


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue.db"
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def qk(url: str, namespace: str) -> Queuekit:
    return Queuekit(url, namespace=namespace, **SETTINGS)


@pytest.fixture
def another(url: str, namespace: str) -> Callable[[], Queuekit]:
    """An app of its own on the same store, as in another process."""
    return lambda: Queuekit(url, namespace=namespace, **SETTINGS)
