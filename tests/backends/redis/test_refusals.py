"""What can't be stored is refused alone, and leaves nothing behind."""

from collections.abc import Awaitable, Callable

import pytest

from queuekit.backend import Backend, Refusal
from queuekit.errors import BackendRefused, InvalidOption
from queuekit.testing.conformance._make import (
    STORED,
    UNSTORABLE,
    answer_of,
    claim,
    claims_nothing,
    job,
)

Make = Callable[..., Awaitable[Backend]]


@pytest.mark.parametrize(
    "guilty",
    [
        job(UNSTORABLE),
        job(key=UNSTORABLE),
        job(tags=(UNSTORABLE,)),
        job(extra=UNSTORABLE),
    ],
    ids=["payload", "key", "tags", "extra"],
)
async def test_text_that_is_no_unicode(backend: Backend, guilty: object) -> None:
    answers = await backend.enqueue([job("0"), guilty, job("2")])  # type: ignore[list-item]
    assert [answer_of(answer) for answer in answers] == [STORED, Refusal.UNSTORABLE, STORED]
    assert "utf-8" in (answers[1].detail or "")
    assert [one.payload for one in await claim(backend, 2)] == ["0", "2"]
    with pytest.raises(BackendRefused, match="Job 1 of the batch"):
        await backend.enqueue([job("0"), guilty], atomic=True)  # type: ignore[list-item]
    await claims_nothing(backend)


async def test_a_callers_transaction(backend: Backend) -> None:
    with pytest.raises(InvalidOption, match="without connection"):
        await backend.enqueue([job()], connection=object())
