"""What only this store can get wrong when whole jobs come to it."""

from collections.abc import Sequence
from typing import Any

import pytest

from queuekit.backend import Backend, Change, Refusal
from queuekit.errors import BackendRefused
from queuekit.job import KeyPolicy, State
from queuekit.record import JobRecord, Life, Times
from queuekit.testing.conformance._make import answers_of, claim, job, put, running
from queuekit_redis.statements import Call, Scripts


def ready(payload: str = "1") -> JobRecord:
    made = job(payload)
    return JobRecord(job=made._replace(fresh=False), life=Life(State.READY), times=Times(1))


async def test_what_the_server_refuses_as_a_whole_is_halved(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [ready(str(number)) for number in range(9)]
    guilty, run, scripts = records[5].job.id.bytes, Scripts.run, 0

    async def picky(self: Scripts, calls: Sequence[Call], **options: Any) -> list[Any]:
        nonlocal scripts
        scripts += len(calls)
        innocent = [call for call in calls if guilty not in call.arguments]
        replies = iter(await run(self, innocent, **options) if innocent else [])
        return [next(replies) if call in innocent else BackendRefused("no") for call in calls]

    monkeypatch.setattr(Scripts, "run", picky)
    changes = await backend.transfer.store(records)
    monkeypatch.undo()
    assert answers_of(changes) == ["stored"] * 5 + [Refusal.UNSTORABLE] + ["stored"] * 3
    assert (changes[5].ref, changes[5].detail) == (records[5].ref, "no")
    assert len(await claim(backend, 8)) == 8
    assert scripts < 12


async def test_a_job_has_one_successor(backend: Backend) -> None:
    holder = await running(backend, key="k")
    first = job(key="k", key_policy=KeyPolicy.REPLACE)
    await put(backend, first)
    second = JobRecord(
        job=job(key="k")._replace(fresh=False),
        life=Life(State.WAITING),
        times=Times(1),
        follows=holder.token.id,
    )
    (change,) = await backend.transfer.store([second])
    assert change == Change(second.ref, None, None, refused=Refusal.KEY_HELD, holder=first.id)


async def test_large_records_go_in_several_scripts(backend: Backend) -> None:
    records = [ready('"' + 3_000_000 * "x" + '"') for _ in range(3)]
    assert answers_of(await backend.transfer.store(records)) == ["stored"] * 3
    assert len(await claim(backend, 3)) == 3
