"""What a backend must do, as tests: a backend that passes them is a backend.

    class TestMyBackend(Conformance):
        @pytest.fixture
        async def backend(self) -> AsyncIterator[Backend]:  # opened, on an empty namespace
            ...

        @pytest.fixture
        async def other(self, backend: Backend) -> AsyncIterator[Backend]:  # a second object on the same store
            ...

        @pytest.fixture
        async def lossy(self, backend: Backend) -> AsyncIterator[Lossy]:  # a third one, whose replies can be lost
            ...

There are no optional cases. A backend that can take part in a cutover (`queuekit.backend.HasSides`) passes
`SideConformance` besides: ``class TestMyBackend(Conformance, SideConformance)``. `docs/writing-a-backend.md` says more.
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from queuekit.testing.conformance._lossy import LosingProxy, LosingReplies, Lossy  # noqa: E402  # rewriting comes first
from queuekit.testing.conformance._suite import Conformance, SideConformance  # noqa: E402

__all__ = ["Conformance", "LosingProxy", "LosingReplies", "Lossy", "SideConformance"]
