"""Both backends as one pass the suite of one backend, in the phases of a cutover."""

import os
from itertools import permutations
from typing import Final, cast

import pytest

from queuekit.backend import Backend
from queuekit.cutover import Phase
from queuekit.testing.conformance import Conformance, LosingReplies, Lossy
from tests.cutover.conftest import MakeTwo, bring

WHOLE: Final = os.environ.get("QUEUEKIT_TEST_CUTOVER") == "whole"
QUEUES: Final = ("default", "left", "right", "other", "a", "b")
"""Those of most cases."""
PHASES: Final = (Phase.NONE, Phase.MIRROR, Phase.MOVED, Phase.SEALED)
PAIRS: Final = [*permutations(("redis", "postgres", "sqlite"), 2)]
FEW: Final = [("sqlite", "redis", Phase.MOVED)]
"""What each run of all tests takes; `make cutover` takes all."""


@pytest.fixture(
    params=[(*pair, phase) for pair in PAIRS for phase in PHASES] if WHOLE else FEW,
    ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}",
)
def case(request: pytest.FixtureRequest) -> tuple[str, str, Phase]:
    """From where, to where, and how far."""
    return cast("tuple[str, str, Phase]", request.param)


class TestCutover(Conformance):
    @pytest.fixture
    async def backend(self, make_two: MakeTwo, case: tuple[str, str, Phase]) -> Backend:
        first, second, phase = case
        two = await make_two(first, second)
        await bring(two, QUEUES, phase)
        return cast(Backend, two.backend)

    @pytest.fixture
    async def other(
        self, backend: Backend, make_two: MakeTwo, case: tuple[str, str, Phase]
    ) -> Backend:
        return cast(Backend, (await make_two(*case[:2])).backend)

    @pytest.fixture
    async def lossy(
        self, backend: Backend, make_two: MakeTwo, case: tuple[str, str, Phase]
    ) -> Lossy:
        return LosingReplies(cast(Backend, (await make_two(*case[:2])).backend))
