"""What every backend is told besides its URL."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from queuekit.backend import Backend
from queuekit.job import Keep, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    ack,
    cancelled,
    claim_one,
    dead,
    failed,
    give_back,
    job,
    lapse,
    put,
    running,
    state_of,
    succeeded,
)

Make = Callable[..., Awaitable[Backend]]


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.db"
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.mark.parametrize(("kept", "keeps"), [(Keep(LONG), True), (Keep(0), False)])
async def test_successes_and_failures_have_retentions_of_their_own(
    make_backend: Make, url: str, kept: Keep, keeps: bool
) -> None:
    other = Keep(0) if keeps else Keep(LONG)
    backend = await make_backend(url, keep_succeeded=other, keep_failed=kept)
    bad = [await running(backend) for _ in range(3)]
    good = await running(backend)
    await ack(backend, failed(bad[0]), cancelled(bad[1]), succeeded(good))
    await backend.inspector.steer(Event.CANCEL, [bad[2].token.ref])
    await give_back(backend, dead(bad[2]))
    expired, crashed, deleted = job(expires=1), job(max_lapses=1, queue="other"), job(delay=LONG)
    await put(backend, crashed, deleted, expired)
    await lapse(backend, await claim_one(backend, queue="other", lease=BRIEF))
    await backend.inspector.steer(Event.CANCEL, [deleted.ref])
    await backend.maintain(["default"])
    ids = [*(one.token.id for one in bad), expired.id, crashed.id, deleted.id]
    kept_ids = [await state_of(backend, id_) is not None for id_ in ids]
    assert kept_ids == [keeps] * len(ids)
    assert (await state_of(backend, good.token.id) is State.SUCCEEDED) != keeps
