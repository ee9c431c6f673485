from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from queuekit.backend import Backend
from queuekit.testing.conformance import Conformance, LosingReplies, Lossy, SideConformance

Make = Callable[[str], Awaitable[Backend]]


class TestSqlite(Conformance, SideConformance):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/queue.db"

    @pytest.fixture
    async def backend(self, make_backend: Make, url: str) -> Backend:
        return await make_backend(url)

    @pytest.fixture
    async def other(self, backend: Backend, make_backend: Make, url: str) -> Backend:
        return await make_backend(url)

    @pytest.fixture
    async def lossy(self, backend: Backend, make_backend: Make, url: str) -> Lossy:
        return LosingReplies(await make_backend(url))
