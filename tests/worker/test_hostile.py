"""Random hostile tasks among innocents: these succeed, every job ends, and the worker stops within its grace."""

import asyncio
import importlib
import os
import random
import shutil
import time
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

from queuekit import Handle, State
from queuekit.backend import JobFilter
from queuekit.job import FINISHED, JobRef
from tests.worker import hostile

SEED = int(os.environ.get("QUEUEKIT_HOSTILE_SEED", random.SystemRandom().randrange(2**32)))
"""Printed with a failure; set it to run the same jobs again."""
FULL = os.environ.get("QUEUEKIT_CHAOS") == "full"
GRACE = 2.0


def jobs_of(kind: str, acts: dict[str, Any]) -> st.SearchStrategy[tuple[str, Any]]:
    act = st.tuples(st.sampled_from(sorted(acts)), st.integers(0, 1_000))
    return st.tuples(
        st.just(kind), st.tuples(st.lists(act, min_size=1, max_size=4), st.integers(0, 1_000))
    )


KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "hostile_async": (60, hostile.ASYNC),
    "hostile_thread": (30, hostile.SYNC),
    "hostile_child": (1, hostile.IN_CHILDREN),
}
"""How often each kind comes, as children take long to start."""
hostile_jobs = st.sampled_from(
    [kind for kind, (share, _) in KINDS.items() for _ in range(share)]
).flatmap(lambda kind: jobs_of(kind, KINDS[kind][1]))


@pytest.fixture
def app(url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hostile app under a name of its own, so that children find it with this test's store."""
    name = f"hostile_{uuid4().hex[:8]}"
    assert hostile.__file__ is not None
    shutil.copy(hostile.__file__, tmp_path / f"{name}.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("QUEUEKIT_URL", url)
    monkeypatch.setenv("QUEUEKIT_NAMESPACE", namespace)
    return importlib.import_module(name)


@pytest.mark.timeout(3_600 if FULL else 600)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # of tasks' coroutines
def test_no_task_ends_or_blocks_a_worker(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queuekit.worker.run.HEED_WITHIN", 0.2)
    print(f"QUEUEKIT_HOSTILE_SEED={SEED}")  # noqa: T201

    @seed(SEED)
    @settings(
        max_examples=40 if FULL else 3,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )
    @given(
        st.lists(hostile_jobs, min_size=150, max_size=250),
        st.integers(4, 20),
        st.randoms(use_true_random=False),
    )
    def run(jobs: list[tuple[str, Any]], concurrency: int, chance: random.Random) -> None:
        asyncio.run(among_innocents(app, jobs, concurrency, chance))

    run()


async def among_innocents(
    app: ModuleType, jobs: list[tuple[str, Any]], concurrency: int, chance: random.Random
) -> None:
    innocents = ["innocent_async"] * 90 + ["innocent_thread"] * 45 + ["innocent_child"]
    mixed: list[tuple[str, Any]] = [
        *jobs,
        *((chance.choice(innocents), (n, chance.random() < 0.5)) for n in range(2 * len(jobs))),
    ]
    chance.shuffle(mixed)
    async with app.qk:
        made = [app.qk.tasks.find(name).job(*arguments) for name, arguments in mixed]
        handles: list[Handle[Any]] = await app.qk.enqueue_many(made)
        async with app.qk.worker(
            concurrency=concurrency, threads=4, children=2, grace=GRACE
        ) as worker:
            await asyncio.wait_for(all_end(app, handles), 1_200 if FULL else 500)
            stopping = time.monotonic()
        assert time.monotonic() - stopping < GRACE + 8, worker
        for handle, (name, arguments) in zip(handles, mixed, strict=True):
            if name.startswith("innocent"):
                assert await handle.result(timeout=1) == (arguments[0], [])
        unfinished = JobFilter(states=tuple(set(State) - FINISHED))
        assert await app.qk.inspect.list(unfinished, limit=1_000) == []


async def all_end(app: ModuleType, handles: list[Handle[Any]]) -> None:
    """Wait for the end of every job."""
    backend = await app.qk.backend()
    for handle in handles:
        while not await backend.results([JobRef(handle.queue or "", handle.id)], 5):
            pass
