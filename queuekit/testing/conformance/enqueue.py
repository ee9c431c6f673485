"""Storing jobs."""

import asyncio
from typing import Any

import pytest

from queuekit.backend import Backend, Change, Refusal
from queuekit.errors import BackendRefused
from queuekit.job import Job, Keep, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    LONG,
    SECOND,
    STORED,
    UNSTORABLE,
    ack,
    answer_of,
    claim,
    claim_one,
    claims_nothing,
    job,
    numbered,
    put,
    record,
    running,
    state_of,
    succeeded,
)


class EnqueueCases:
    """`Backend.enqueue`."""

    async def test_a_job_is_stored_as_ready(self, backend: Backend) -> None:
        one = job()
        assert await backend.enqueue([one]) == [Change(one.ref, None, State.READY)]
        assert await state_of(backend, one.id) is State.READY

    async def test_a_record_holds_all_that_was_given(self, backend: Backend) -> None:
        one = job(
            '{"v":1,"a":{"to":"a@b.c"}}',
            task="mails.send",
            queue="mail:eu-1",
            key="a@b.c",
            priority=-7,
            max_attempts=3,
            tags=("billing", "eu"),
            extra='{"timeout":5}',
        )
        await put(backend, one)
        found = await record(backend, one.id)
        assert (found.job.id, found.job.task, found.job.options.queue) == (
            one.id,
            "mails.send",
            "mail:eu-1",
        )
        assert (found.job.payload, found.job.options.extra) == (one.payload, '{"timeout":5}')
        assert (found.job.options.priority, found.job.options.max_attempts, found.job.key) == (
            -7,
            3,
            "a@b.c",
        )
        assert sorted(found.job.options.tags) == ["billing", "eu"]

    async def test_a_new_job_has_no_past(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        found = await record(backend, one.id)
        assert (
            found.life.attempt,
            found.life.lapses,
            found.life.crashes,
            found.life.generation,
        ) == (0, 0, 0, 0)
        assert (
            found.life.reason,
            found.notes.result,
            found.times.started_at,
            found.times.finished_at,
        ) == (None,) * 4
        assert not [*found.notes.errors, *found.notes.history, *found.notes.logs]
        assert not found.life.cancel_requested

    async def test_another_object_sees_the_job(self, backend: Backend, other: Backend) -> None:
        one = job()
        await put(backend, one)
        assert await state_of(other, one.id) is State.READY

    async def test_an_empty_batch_has_no_answers(self, backend: Backend) -> None:
        assert await backend.enqueue([]) == []

    async def test_answers_come_in_the_order_of_the_jobs(self, backend: Backend) -> None:
        known = job(key="taken")
        await put(backend, known)
        answers = await backend.enqueue(
            [job(), known._replace(fresh=False), job(key="taken"), job(delay=LONG)]
        )
        assert [answer_of(answer) for answer in answers] == [
            STORED,
            Refusal.KNOWN,
            Refusal.KEY_HELD,
            STORED,
        ]

    async def test_a_thousand_jobs_in_one_batch_keep_their_order(self, backend: Backend) -> None:
        await put(backend, *numbered(1000))
        claims = await claim(backend, 1000)
        assert [one.payload for one in claims] == [str(number) for number in range(1000)]

    async def test_jobs_of_several_queues_in_one_batch(self, backend: Backend) -> None:
        await put(backend, *(job(queue=f"q{number % 3}") for number in range(9)))
        for queue in ("q0", "q1", "q2"):
            assert len(await claim(backend, 3, queues=[queue])) == 3

    async def test_a_delayed_job_is_scheduled(self, backend: Backend) -> None:
        one = job(delay=LONG)
        assert await backend.enqueue([one]) == [Change(one.ref, None, State.SCHEDULED)]
        found = await record(backend, one.id)
        assert found.times.scheduled_at == found.times.enqueued_at + LONG

    async def test_a_due_time_is_kept_to_the_microsecond(self, backend: Backend) -> None:
        due = 4_102_444_800_123_457
        one = job(due=due)
        await put(backend, one)
        assert await state_of(backend, one.id) is State.SCHEDULED
        assert (await record(backend, one.id)).times.scheduled_at == due

    async def test_a_due_time_in_the_past_means_at_once(self, backend: Backend) -> None:
        one = job(due=SECOND)
        assert (await backend.enqueue([one]))[0].now is State.READY
        assert (await claim_one(backend)).token.id == one.id

    async def test_a_job_is_in_its_own_queue_only(self, backend: Backend) -> None:
        await put(backend, job(queue="left"))
        await claims_nothing(backend, "right")

    async def test_a_known_id_changes_nothing(self, backend: Backend) -> None:
        one = job("1")
        await put(backend, one)
        again = job("2", id=one.id, priority=5)
        assert await backend.enqueue([again]) == [_known(one, State.READY)]
        found = await record(backend, one.id)
        assert (found.job.payload, found.job.options.priority) == ("1", 0)
        await claim_one(backend)
        await claims_nothing(backend)

    async def test_a_fresh_id_that_is_known_changes_nothing(self, backend: Backend) -> None:
        one = job("1")
        await put(backend, one)
        (answer,) = await backend.enqueue([one._replace(payload="2")])
        assert answer_of(answer) is Refusal.KNOWN
        assert (await record(backend, one.id)).job.payload == "1"

    async def test_the_id_of_a_scheduled_job_is_known(self, backend: Backend) -> None:
        one = job(delay=LONG)
        await put(backend, one)
        assert await backend.enqueue([job(id=one.id)]) == [_known(one, State.SCHEDULED)]

    async def test_the_id_of_a_running_job_is_known(self, backend: Backend) -> None:
        one = await running(backend)
        again = job(id=one.token.id)
        assert await backend.enqueue([again]) == [_known(again, State.RUNNING)]
        await claims_nothing(backend)

    async def test_the_id_of_a_finished_job_is_known(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        again = job(id=one.token.id)
        assert await backend.enqueue([again]) == [_known(again, State.SUCCEEDED)]
        await claims_nothing(backend)

    async def test_the_id_of_a_job_without_record_stays_remembered(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(0))
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert answer_of(answer) is Refusal.KNOWN
        await claims_nothing(backend)

    async def test_the_id_of_a_deleted_job_stays_remembered(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await backend.inspector.steer(Event.DELETE, [one.ref])
        (answer,) = await backend.enqueue([job(id=one.id)])
        assert answer_of(answer) is Refusal.KNOWN
        await claims_nothing(backend)

    async def test_an_id_of_ones_own_that_nobody_knows_is_stored(self, backend: Backend) -> None:
        await put(backend, job(id=new_id()))
        await claim_one(backend)

    async def test_one_id_twice_in_a_batch_is_one_job(self, backend: Backend) -> None:
        one = job("1")
        first, second = await backend.enqueue([one, one._replace(payload="2")])
        assert (answer_of(first), answer_of(second)) == (STORED, Refusal.KNOWN)
        assert (await claim_one(backend)).payload == "1"
        await claims_nothing(backend)

    async def test_one_id_in_two_queues_is_two_jobs(self, backend: Backend) -> None:
        left = job("1", queue="left")
        await put(backend, left, job("2", queue="right", id=left.id))
        assert (await claim_one(backend, queue="left")).payload == "1"
        assert (await claim_one(backend, queue="right")).payload == "2"

    async def test_one_id_sent_by_many_at_once_is_one_job(
        self, backend: Backend, other: Backend
    ) -> None:
        one = job(id=new_id())
        answers = await asyncio.gather(
            *(store.enqueue([one]) for store in (backend, other) for _ in range(8))
        )
        kinds = [answer_of(answer) for (answer,) in answers]
        assert kinds.count(STORED) == 1
        assert kinds.count(Refusal.KNOWN) == 15
        await claim_one(backend)
        await claims_nothing(backend)

    async def test_one_bad_job_of_500_is_refused_alone(self, backend: Backend) -> None:
        batch = numbered(500)
        batch[321] = job(UNSTORABLE)
        answers = await backend.enqueue(batch)
        kinds = [answer_of(answer) for answer in answers]
        assert kinds.pop(321) is Refusal.UNSTORABLE
        assert kinds == [STORED] * 499
        assert answers[321].detail
        assert len(await claim(backend, 499)) == 499
        await claims_nothing(backend)

    async def test_an_atomic_batch_with_a_bad_job_is_refused_whole(self, backend: Backend) -> None:
        batch = [*numbered(5), job(UNSTORABLE), *numbered(5)]
        with pytest.raises(BackendRefused, match="5"):
            await backend.enqueue(batch, atomic=True)
        await claims_nothing(backend)

    async def test_an_atomic_batch_is_stored(self, backend: Backend) -> None:
        answers = await backend.enqueue(numbered(10), atomic=True)
        assert [answer_of(answer) for answer in answers] == [STORED] * 10
        assert len(await claim(backend, 10)) == 10

    async def test_rare_options_in_a_batch_of_plain_jobs_are_kept(self, backend: Backend) -> None:
        tagged, delayed = job(tags=("a",), extra='{"x":1}'), job(delay=LONG)
        await put(backend, *numbered(5), tagged, delayed, *numbered(5))
        assert list((await record(backend, tagged.id)).job.options.tags) == ["a"]
        assert (await record(backend, tagged.id)).job.options.extra == '{"x":1}'
        assert await state_of(backend, delayed.id) is State.SCHEDULED
        assert len(await claim(backend, 11)) == 11


def _known(one: Job[Any], state: State) -> Change:
    return Change(one.ref, state, state, refused=Refusal.KNOWN)
