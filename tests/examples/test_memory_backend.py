"""The backend of examples/memory_backend.py is one: it passes the suite, and is short enough to be read."""

from pathlib import Path

import memory_backend
import pytest
from memory_backend import MemoryBackend

from queuekit.backend import Backend, BackendSettings
from queuekit.testing.conformance import Conformance, LosingReplies, Lossy


def opened(namespace: str) -> Backend:
    return MemoryBackend("memory://", BackendSettings(namespace))


class TestMemory(Conformance):
    @pytest.fixture
    async def backend(self, namespace: str) -> Backend:
        return opened(namespace)

    @pytest.fixture
    async def other(self, namespace: str) -> Backend:
        return opened(namespace)

    @pytest.fixture
    async def lossy(self, namespace: str) -> Lossy:
        return LosingReplies(opened(namespace))


def test_it_is_short() -> None:
    assert len(Path(memory_backend.__file__).read_text().splitlines()) <= 400
