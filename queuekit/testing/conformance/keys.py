"""Unique keys: whom they keep out, and how long they are held."""

import asyncio

import pytest

from queuekit.backend import Backend, Change, Refusal
from queuekit.job import Keep, KeyPolicy, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    STORED,
    Settling,
    ack,
    answer_of,
    answers_of,
    cancelled,
    claim,
    claim_one,
    claims_nothing,
    failed,
    give_back,
    job,
    lapse,
    numbered,
    put,
    record,
    retried,
    running,
    state_of,
    succeeded,
    sweep,
)

KEY = "invoice-42"


class RejectCases:
    """Keys that refuse a second job."""

    async def test_a_second_job_of_a_key_is_a_duplicate(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, one.id)
        await claim_one(backend)
        await claims_nothing(backend)

    async def test_a_duplicate_changes_nothing(self, backend: Backend) -> None:
        one = job("1", key=KEY)
        await put(backend, one)
        before = await record(backend, one.id)
        await backend.enqueue([job("2", key=KEY, priority=-5, delay=LONG)])
        assert await record(backend, one.id) == before

    async def test_other_keys_are_free(self, backend: Backend) -> None:
        await put(backend, *(job(key=key) for key in ("a", "b", "A", "a ", "ab")))
        assert len(await claim(backend, 5)) == 5

    async def test_a_scheduled_job_holds_its_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY, delay=LONG))
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_a_running_job_holds_its_key(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, one.token.id)

    async def test_a_retried_job_holds_its_key(self, backend: Backend) -> None:
        await give_back(backend, retried(await running(backend, key=KEY), LONG))
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_a_lapsed_job_holds_its_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY))
        await lapse(backend, await claim_one(backend, lease=BRIEF))
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_the_end_of_a_job_frees_its_key(self, backend: Backend, end: Settling) -> None:
        await ack(backend, end(await running(backend, key=KEY)))
        await put(backend, job(key=KEY))
        await claim_one(backend)

    async def test_the_end_of_a_job_frees_no_other_key(self, backend: Backend) -> None:
        one, other = await running(backend, key=KEY), job(key="another")
        await put(backend, other)
        await ack(backend, succeeded(one))
        answers = await backend.enqueue([job(key="another"), job(key=KEY)])
        assert [answer_of(answer) for answer in answers] == [Refusal.KEY_HELD, STORED]

    async def test_the_end_of_a_job_without_record_frees_its_key(self, backend: Backend) -> None:
        await ack(backend, succeeded(await running(backend, key=KEY, keep=Keep(0))))
        await put(backend, job(key=KEY))

    async def test_a_cancel_frees_the_key(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        await backend.inspector.steer(Event.CANCEL, [one.ref])
        await put(backend, job(key=KEY))

    async def test_a_delete_frees_the_key(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        await backend.inspector.steer(Event.DELETE, [one.ref])
        await put(backend, job(key=KEY))

    async def test_a_drain_frees_the_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY))
        await sweep(backend, Event.DRAIN)
        await put(backend, job(key=KEY))

    async def test_a_crash_frees_the_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY, max_lapses=1))
        await lapse(backend, await claim_one(backend, lease=BRIEF))
        await put(backend, job(key=KEY))

    async def test_an_expiry_frees_the_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY, expires=MILLISECOND))
        await asyncio.sleep(0.01)
        await claims_nothing(backend)
        await put(backend, job(key=KEY))

    async def test_keys_are_per_queue(self, backend: Backend) -> None:
        await put(backend, job(key=KEY, queue="left"), job(key=KEY, queue="right"))
        assert len(await claim(backend, 2, queues=["left", "right"])) == 2

    async def test_two_jobs_of_a_key_in_a_batch_are_one_and_a_duplicate(
        self, backend: Backend
    ) -> None:
        first, second = job("1", key=KEY), job("2", key=KEY)
        answers = await backend.enqueue([first, job(), second])
        assert [answer_of(answer) for answer in answers] == [
            STORED,
            STORED,
            Refusal.KEY_HELD,
        ]
        assert answers[2].holder == first.id

    async def test_a_known_id_is_known_and_no_duplicate_of_itself(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        assert answers_of(await backend.enqueue([one])) == [Refusal.KNOWN]

    async def test_a_known_finished_id_does_not_take_its_key_again(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, succeeded(one))
        again = job(id=one.token.id, key=KEY)
        assert answer_of((await backend.enqueue([again]))[0]) is Refusal.KNOWN
        await put(backend, job(key=KEY))

    async def test_a_remembered_id_is_known_though_another_job_holds_its_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, keep=Keep(0))
        await ack(backend, succeeded(one))
        await put(backend, job(key=KEY))
        again, new = job(id=one.token.id, key=KEY), job(id=new_id(), key=KEY)
        kinds = [answer_of(answer) for answer in await backend.enqueue([again, new])]
        assert kinds == [Refusal.KNOWN, Refusal.KEY_HELD]

    async def test_of_many_at_once_one_gets_the_key(self, backend: Backend, other: Backend) -> None:
        jobs = [job(str(number), key=KEY) for number in range(20)]
        stores = [backend, other] * 10
        answers = await asyncio.gather(
            *(store.enqueue([one]) for store, one in zip(stores, jobs, strict=True))
        )
        kinds = [answer_of(answer) for (answer,) in answers]
        assert kinds.count(STORED) == 1
        assert kinds.count(Refusal.KEY_HELD) == 19
        winner = jobs[kinds.index(STORED)]
        assert {answer.holder for (answer,) in answers} - {None} == {winner.id}
        assert (await claim_one(backend)).token.id == winner.id
        await claims_nothing(backend)

    @pytest.mark.parametrize("key", ["k" * 255, "ключ 🔑 \t\n'\"{}%s:*", " ", "0"])
    async def test_a_key_is_any_text(self, backend: Backend, key: str) -> None:
        one = job(key=key)
        await put(backend, one)
        assert (await record(backend, one.id)).job.key == key
        assert (await backend.enqueue([job(key=key)]))[0].holder == one.id

    async def test_a_duplicate_in_a_batch_of_500_fails_no_other(self, backend: Backend) -> None:
        holder = job(key=KEY)
        await put(backend, holder)
        batch = numbered(500)
        batch[250] = job(key=KEY)
        kinds = [answer_of(answer) for answer in await backend.enqueue(batch)]
        assert kinds.pop(250) is Refusal.KEY_HELD
        assert kinds == [STORED] * 499


class KeyUntilCases:
    """How long a key is held."""

    async def test_until_started_a_claim_frees_the_key(self, backend: Backend) -> None:
        await put(backend, job("1", key=KEY, key_until="started"))
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD
        await claim_one(backend)
        await put(backend, job("2", key=KEY, key_until="started"))
        assert (await claim_one(backend)).payload == "2"

    async def test_until_started_a_retried_job_does_not_take_the_key_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend, "1", key=KEY, key_until="started")
        await give_back(backend, retried(one))
        await put(backend, job("2", key=KEY, key_until="started"))
        assert {found.payload for found in await claim(backend, 2)} == {"1", "2"}

    async def test_until_started_a_second_claim_does_not_free_anothers_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, key_until="started")
        await put(backend, job(key=KEY, priority=50))
        await give_back(backend, retried(one))
        assert (await claim_one(backend)).token.id == one.token.id
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_until_started_anothers_end_leaves_a_run_alone(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until="started")
        another = await running(backend, key=KEY)
        await ack(backend, succeeded(another))
        assert await state_of(backend, one.token.id) is State.RUNNING
        assert not (await backend.heartbeat([one.token])).lost

    async def test_until_started_an_end_does_not_free_anothers_key(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY, key_until="started")
        holder = job("2", key=KEY)
        await put(backend, holder)
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([job("3", key=KEY)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, holder.id)

    async def test_for_a_time_the_key_outlives_the_job(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG)
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, one.token.id)

    async def test_for_a_time_the_key_outlives_the_record(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG, keep=Keep(0))
        await ack(backend, succeeded(one))
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_for_a_time_the_key_outlives_every_tick(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG)
        await ack(backend, succeeded(one))
        for _ in range(3):
            await backend.maintain(["default"])
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_for_a_time_the_key_outlives_a_deleted_job(self, backend: Backend) -> None:
        one = job(key=KEY, key_until=LONG)
        await put(backend, one)
        await backend.inspector.steer(Event.DELETE, [one.ref])
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_the_time_of_an_earlier_holder_does_not_end_a_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY, key_until=20 * MILLISECOND))
        await asyncio.sleep(0.03)
        await put(backend, job(key=KEY))
        await backend.maintain(["default"])
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_after_its_time_the_key_is_free(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=20 * MILLISECOND)
        await ack(backend, succeeded(one))
        await asyncio.sleep(0.03)
        await put(backend, job(key=KEY))
        await claim_one(backend)

    async def test_after_its_time_the_key_of_an_unfinished_job_is_free(
        self, backend: Backend
    ) -> None:
        await put(backend, job("1", key=KEY, key_until=MILLISECOND))
        await asyncio.sleep(0.01)
        await put(backend, job("2", key=KEY, key_until=MILLISECOND))
        assert [one.payload for one in await claim(backend, 2)] == ["1", "2"]

    @pytest.mark.parametrize("policy", list(KeyPolicy))
    async def test_a_finished_job_whose_key_is_still_held_is_not_replaced(
        self, backend: Backend, policy: KeyPolicy
    ) -> None:
        one = await running(backend, "1", key=KEY, key_until=LONG)
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([job("2", key=KEY, key_policy=policy)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, one.token.id)
        assert (await record(backend, one.token.id)).job.payload == "1"
        await claims_nothing(backend)

    async def test_throttled_jobs_are_duplicates(self, backend: Backend) -> None:
        one = job(key=KEY, key_policy=KeyPolicy.THROTTLE, key_until=LONG)
        await put(backend, one)
        again = [job(key=KEY, key_policy=KeyPolicy.THROTTLE, key_until=LONG) for _ in range(5)]
        answers = await backend.enqueue(again)
        assert {(answer_of(answer), answer.holder) for answer in answers} == {
            (Refusal.KEY_HELD, one.id)
        }


class KeyAndRerunCases:
    """Keys and a person's retry."""

    async def test_a_rerun_takes_its_key_again(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, failed(one))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, one.token.id)

    async def test_a_rerun_is_refused_while_another_job_holds_the_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, failed(one))
        holder = job(key=KEY)
        await put(backend, holder)
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        refused = Change(one.token.ref, State.FAILED, State.FAILED, 0, Refusal.KEY_HELD, holder.id)
        assert change == refused
        assert await state_of(backend, one.token.id) is State.FAILED

    async def test_a_rerun_takes_a_key_that_it_still_holds(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG)
        await ack(backend, failed(one))
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert change.done
        assert (await claim_one(backend)).token.id == one.token.id

    async def test_a_rerun_does_not_mind_who_holds_the_key_in_another_queue(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, failed(one))
        await put(backend, job(key=KEY, queue="other"))
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert change.done

    async def test_a_rerun_takes_a_key_whose_time_is_over(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, failed(one))
        await ack(backend, succeeded(await running(backend, key=KEY, key_until=BRIEF)))
        await asyncio.sleep(0.03)
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert change.done
        assert (await backend.enqueue([job(key=KEY)]))[0].holder == one.token.id

    async def test_until_started_a_rerun_is_refused_while_another_job_holds_the_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, key_until="started")
        await put(backend, job(key=KEY))
        await ack(backend, failed(one))
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert not change.done

    async def test_until_started_a_rerun_does_not_take_the_key_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, key_until="started")
        await ack(backend, failed(one))
        (change,) = await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert change.done
        await put(backend, job(key=KEY))
