"""Unique keys."""

import asyncio

import pytest

from queuekit.backend import Answer, Backend, Stored
from queuekit.job import Keep, KeyPolicy, State, new_id
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    Settling,
    ack,
    cancelled,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    eventually,
    failed,
    give_back,
    job,
    lapse,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    state_of,
    succeeded,
)

KEY = "invoice-42"


class RejectCases:
    """Keys that refuse a second job."""

    async def test_a_second_job_of_a_key_is_a_duplicate(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer.kind, answer.id) == (Stored.DUPLICATE, one.id)
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
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

    async def test_a_running_job_holds_its_key(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer.kind, answer.id) == (Stored.DUPLICATE, one.token.id)

    async def test_a_retried_job_holds_its_key(self, backend: Backend) -> None:
        await give_back(backend, retried(await running(backend, key=KEY), LONG))
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

    async def test_a_lapsed_job_holds_its_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY))
        await lapse(backend, await claim_one(backend, lease=BRIEF))
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_the_end_of_a_job_frees_its_key(self, backend: Backend, end: Settling) -> None:
        await ack(backend, end(await running(backend, key=KEY)))
        await put(backend, job(key=KEY))
        await claim_one(backend)

    async def test_the_end_of_a_job_without_record_frees_its_key(self, backend: Backend) -> None:
        await ack(backend, succeeded(await running(backend, key=KEY, keep=Keep(0))))
        await put(backend, job(key=KEY))

    async def test_a_cancel_frees_the_key(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        await backend.inspector.cancel([one.id])
        await put(backend, job(key=KEY))

    async def test_a_delete_frees_the_key(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        await backend.inspector.delete([one.id])
        await put(backend, job(key=KEY))

    async def test_a_drain_frees_the_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY))
        await backend.inspector.drain("default")
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
        assert [answer.kind for answer in answers] == [
            Stored.STORED,
            Stored.STORED,
            Stored.DUPLICATE,
        ]
        assert answers[2].id == first.id

    async def test_a_known_id_is_known_and_no_duplicate_of_itself(self, backend: Backend) -> None:
        one = job(key=KEY)
        await put(backend, one)
        assert await backend.enqueue([one]) == [Answer(Stored.KNOWN, State.READY)]

    async def test_a_known_finished_id_does_not_take_its_key_again(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, succeeded(one))
        again = job(id=one.token.id, key=KEY)
        assert (await backend.enqueue([again]))[0].kind is Stored.KNOWN
        await put(backend, job(key=KEY))

    async def test_a_remembered_id_is_known_though_another_job_holds_its_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, keep=Keep(0))
        await ack(backend, succeeded(one))
        await put(backend, job(key=KEY))
        again, new = job(id=one.token.id, key=KEY), job(id=new_id(), key=KEY)
        kinds = [answer.kind for answer in await backend.enqueue([again, new])]
        assert kinds == [Stored.KNOWN, Stored.DUPLICATE]

    async def test_of_many_at_once_one_gets_the_key(self, backend: Backend, other: Backend) -> None:
        jobs = [job(str(number), key=KEY) for number in range(20)]
        stores = [backend, other] * 10
        answers = await asyncio.gather(
            *(store.enqueue([one]) for store, one in zip(stores, jobs, strict=True))
        )
        kinds = [answer.kind for (answer,) in answers]
        assert kinds.count(Stored.STORED) == 1
        assert kinds.count(Stored.DUPLICATE) == 19
        winner = jobs[kinds.index(Stored.STORED)]
        assert {answer.id for (answer,) in answers} - {None} == {winner.id}
        assert (await claim_one(backend)).token.id == winner.id
        await claims_nothing(backend)

    @pytest.mark.parametrize("key", ["k" * 255, "ключ 🔑 \t\n'\"{}%s:*", " ", "0"])
    async def test_a_key_is_any_text(self, backend: Backend, key: str) -> None:
        one = job(key=key)
        await put(backend, one)
        assert (await record(backend, one.id)).key == key
        assert (await backend.enqueue([job(key=key)]))[0].id == one.id

    async def test_a_duplicate_in_a_batch_of_500_fails_no_other(self, backend: Backend) -> None:
        holder = job(key=KEY)
        await put(backend, holder)
        batch = numbered(500)
        batch[250] = job(key=KEY)
        kinds = [answer.kind for answer in await backend.enqueue(batch)]
        assert kinds.pop(250) is Stored.DUPLICATE
        assert kinds == [Stored.STORED] * 499


class KeyUntilCases:
    """How long a key is held."""

    async def test_until_started_a_claim_frees_the_key(self, backend: Backend) -> None:
        await put(backend, job("1", key=KEY, key_until="started"))
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE
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
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

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
        assert (answer.kind, answer.id) == (Stored.DUPLICATE, holder.id)

    async def test_for_a_time_the_key_outlives_the_job(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG)
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer.kind, answer.id) == (Stored.DUPLICATE, one.token.id)

    async def test_for_a_time_the_key_outlives_the_record(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG, keep=Keep(0))
        await ack(backend, succeeded(one))
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

    async def test_for_a_time_the_key_outlives_every_tick(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG)
        await ack(backend, succeeded(one))
        for _ in range(3):
            await backend.maintain(["default"])
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

    async def test_for_a_time_the_key_outlives_a_deleted_job(self, backend: Backend) -> None:
        one = job(key=KEY, key_until=LONG)
        await put(backend, one)
        await backend.inspector.delete([one.id])
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

    async def test_the_time_of_an_earlier_holder_does_not_end_a_key(self, backend: Backend) -> None:
        await put(backend, job(key=KEY, key_until=20 * MILLISECOND))
        await asyncio.sleep(0.03)
        await put(backend, job(key=KEY))
        await backend.maintain(["default"])
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE

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
        assert (answer.kind, answer.id) == (Stored.DUPLICATE, one.token.id)
        assert (await record(backend, one.token.id)).payload == "1"
        await claims_nothing(backend)

    async def test_throttled_jobs_are_duplicates(self, backend: Backend) -> None:
        one = job(key=KEY, key_policy=KeyPolicy.THROTTLE, key_until=LONG)
        await put(backend, one)
        again = [job(key=KEY, key_policy=KeyPolicy.THROTTLE, key_until=LONG) for _ in range(5)]
        answers = await backend.enqueue(again)
        assert {(answer.kind, answer.id) for answer in answers} == {(Stored.DUPLICATE, one.id)}


class ReplaceCases:
    """Keys whose holder gets the newer payload."""

    async def test_a_ready_job_is_replaced(self, backend: Backend) -> None:
        one = job("1", key=KEY)
        await put(backend, one)
        (answer,) = await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE)])
        assert (answer.kind, answer.id) == (Stored.REPLACED, one.id)
        found = await claim_one(backend)
        assert (found.token.id, found.payload) == (one.id, "2")
        await claims_nothing(backend)

    async def test_a_replaced_job_has_the_new_options(self, backend: Backend) -> None:
        one = job("1", key=KEY)
        await put(backend, one)
        await backend.enqueue(
            [
                job(
                    "2",
                    task="other",
                    key=KEY,
                    key_policy=KeyPolicy.REPLACE,
                    priority=-9,
                    max_attempts=2,
                    tags=("new",),
                    extra='{"m":2}',
                )
            ]
        )
        found = await record(backend, one.id)
        assert (found.priority, found.max_attempts, found.extra) == (-9, 2, '{"m":2}')
        assert list(found.tags) == ["new"]
        await put(backend, job("usual"))
        assert (await claim_one(backend)).payload == "2"

    async def test_a_replaced_job_gets_a_new_place_in_line(self, backend: Backend) -> None:
        await put(backend, job("1", key=KEY), job("between"))
        await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE)])
        assert [one.payload for one in await claim(backend, 2)] == ["between", "2"]

    async def test_a_ready_job_can_be_put_off(self, backend: Backend) -> None:
        one = job("1", key=KEY)
        await put(backend, one)
        await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE, delay=LONG)])
        found = await record(backend, one.id)
        assert (found.state, found.payload) == (State.SCHEDULED, "2")
        await claims_nothing(backend)

    async def test_a_scheduled_job_can_be_brought_forward(self, backend: Backend) -> None:
        one = job("1", key=KEY, delay=LONG)
        await put(backend, one)
        await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE)])
        found = await claim_one(backend)
        assert (found.token.id, found.payload) == (one.id, "2")

    async def test_a_debounced_job_waits_anew(self, backend: Backend) -> None:
        one = job("1", key=KEY, key_policy=KeyPolicy.DEBOUNCE, delay=LONG)
        await put(backend, one)
        before = (await record(backend, one.id)).scheduled_at
        await asyncio.sleep(0.01)
        again = job("2", key=KEY, key_policy=KeyPolicy.DEBOUNCE, delay=LONG)
        (answer,) = await backend.enqueue([again])
        assert (answer.kind, answer.id) == (Stored.REPLACED, one.id)
        found = await record(backend, one.id)
        assert (found.state, found.payload) == (State.SCHEDULED, "2")
        assert before is not None
        assert found.scheduled_at is not None
        assert found.scheduled_at > before

    async def test_two_jobs_of_a_key_in_a_batch_are_one_with_the_second_payload(
        self, backend: Backend
    ) -> None:
        first, second = (job(text, key=KEY, key_policy=KeyPolicy.REPLACE) for text in "12")
        answers = await backend.enqueue([first, second])
        assert [answer.kind for answer in answers] == [Stored.STORED, Stored.REPLACED]
        assert answers[1].id == first.id
        found = await claim_one(backend)
        assert (found.token.id, found.payload) == (first.id, "2")
        await claims_nothing(backend)

    async def test_a_replacement_that_is_sent_again_changes_nothing(self, backend: Backend) -> None:
        new = job("new", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, job("old", key=KEY))
        first = await backend.enqueue([new])
        await put(backend, job("2"))
        assert await backend.enqueue([new._replace(fresh=False)]) == first
        assert [one.payload for one in await claim(backend, 2)] == ["new", "2"]

    async def test_a_replacement_that_is_sent_again_is_no_second_job(
        self, backend: Backend
    ) -> None:
        old, new = job("old", key=KEY), job("new", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, old)
        await backend.enqueue([new])
        one = await claim_one(backend)
        again = await backend.enqueue([new._replace(fresh=False)])
        assert again == [Answer(Stored.REPLACED, State.RUNNING, old.id)]
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([new._replace(fresh=False)])
        assert answer.kind is Stored.KNOWN
        await claims_nothing(backend)

    async def test_a_replacement_that_was_replaced_is_done_when_it_is_sent_again(
        self, backend: Backend
    ) -> None:
        first, second = (job(p, key=KEY, key_policy=KeyPolicy.REPLACE) for p in "12")
        await put(backend, job("0", key=KEY))
        await backend.enqueue([first])
        await backend.enqueue([second])
        (answer,) = await backend.enqueue([first._replace(fresh=False)])
        assert answer.kind is Stored.KNOWN
        assert [one.payload for one in await claim(backend, 1)] == ["2"]

    async def test_a_finished_job_is_not_replaced(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        await ack(backend, succeeded(one))
        await put(backend, job("2", key=KEY, key_policy=KeyPolicy.REPLACE))
        assert (await record(backend, one.token.id)).payload == "1"


class SuccessorCases:
    """Keys whose holder is running when the newer job comes."""

    async def test_a_running_job_is_left_alone_and_gets_a_successor(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        answer = await self._succeed(backend, "2")
        assert (answer.kind, answer.state) == (Stored.STORED, State.WAITING)
        found = await record(backend, one.token.id)
        assert (found.state, found.payload) == (State.RUNNING, "1")
        await claims_nothing(backend)

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_a_successor_runs_when_the_holder_has_finished(
        self, backend: Backend, end: Settling
    ) -> None:
        one = await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        await ack(backend, end(one))
        assert (await claim_one(backend)).payload == "2"
        await claims_nothing(backend)

    async def test_a_successor_runs_when_the_holder_has_crashed(self, backend: Backend) -> None:
        await put(backend, job("1", key=KEY, max_lapses=1))
        one = await claim_one(backend, lease=BRIEF)
        await self._succeed(backend, "2")
        await lapse(backend, one)
        assert (await claim_one(backend)).payload == "2"

    async def test_a_successor_runs_when_the_holder_was_cancelled_on_its_return(
        self, backend: Backend
    ) -> None:
        one = await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        await backend.inspector.cancel([one.token.id])
        await give_back(backend, released(one))
        assert (await claim_one(backend)).payload == "2"

    async def test_a_successor_waits_while_the_holder_is_tried_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        await give_back(backend, retried(one))
        again = await claim_one(backend)
        assert again.token.id == one.token.id
        await claims_nothing(backend)
        await ack(backend, succeeded(again))
        assert (await claim_one(backend)).payload == "2"

    async def test_a_successor_waits_when_the_holders_lease_lapsed(self, backend: Backend) -> None:
        await put(backend, job("1", key=KEY))
        one = await claim_one(backend, lease=BRIEF)
        await self._succeed(backend, "2")
        await lapse(backend, one)
        again = await claim_one(backend)
        assert again.payload == "1"
        await claims_nothing(backend)

    async def test_a_second_successor_replaces_the_first(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        first = job("2", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, first)
        answer = await self._succeed(backend, "3")
        assert answer == Answer(Stored.REPLACED, State.WAITING, first.id)
        await ack(backend, succeeded(one))
        last = await claim_one(backend)
        assert last.payload == "3"
        await ack(backend, succeeded(last))
        await claims_nothing(backend)

    async def test_a_successors_replacement_that_is_sent_again_changes_nothing(
        self, backend: Backend
    ) -> None:
        await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        new = job("3", key=KEY, key_policy=KeyPolicy.REPLACE)
        first = await backend.enqueue([new])
        assert await backend.enqueue([new._replace(fresh=False)]) == first
        assert first[0].state is State.WAITING

    async def test_a_second_successor_waits_as_the_first_one_did(self, backend: Backend) -> None:
        await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        await self._succeed(backend, "3")
        await claims_nothing(backend)

    async def test_the_newest_payload_runs_last(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        await give_back(backend, released(one))
        await self._succeed(backend, "3")
        payloads: list[str] = []

        async def all_done() -> bool:
            fetched = await backend.fetch(["default"], 1, claimant(), lease=LONG)
            payloads.extend(each.payload for each in fetched.claims)
            await ack(backend, *(succeeded(each) for each in fetched.claims))
            (queue,) = await backend.inspector.queues()
            return set(queue.counts) == {State.SUCCEEDED}

        await eventually(all_done)
        assert payloads[-1] == "3"

    async def test_of_two_successors_in_a_batch_the_second_runs(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        await backend.enqueue([job(p, key=KEY, key_policy=KeyPolicy.REPLACE) for p in "23"])
        await ack(backend, succeeded(one))
        assert await self._run_one(backend) == "3"
        await claims_nothing(backend)

    async def test_a_delayed_successor_is_not_due_before_its_time(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        later = job("2", key=KEY, key_policy=KeyPolicy.DEBOUNCE, delay=LONG)
        await put(backend, later)
        assert await state_of(backend, later.id) is State.WAITING
        await ack(backend, succeeded(one))
        assert await state_of(backend, later.id) is State.SCHEDULED
        await claims_nothing(backend)

    async def test_a_successor_holds_the_key_once_it_is_ready(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        await ack(backend, succeeded(one))
        assert (await backend.enqueue([job(key=KEY)]))[0].kind is Stored.DUPLICATE
        await ack(backend, succeeded(await claim_one(backend)))
        await put(backend, job(key=KEY))

    async def test_a_successor_takes_over_a_key_that_is_held_for_a_time(
        self, backend: Backend
    ) -> None:
        one = await running(backend, "1", key=KEY, key_until=LONG)
        heir = job("2", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, heir)
        await ack(backend, succeeded(one))
        answer = await self._succeed(backend, "3")
        assert answer == Answer(Stored.REPLACED, State.READY, heir.id)
        assert await self._run_one(backend) == "3"
        await put(backend, job(key=KEY))

    async def test_a_successor_without_record_of_its_holder_runs(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY, keep=Keep(0))
        await self._succeed(backend, "2")
        await ack(backend, succeeded(one))
        assert (await claim_one(backend)).payload == "2"

    async def test_a_cancelled_successor_does_not_run(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        successor = job("2", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, successor)
        (change,) = await backend.inspector.cancel([successor.id])
        assert (change.state, change.done) == (State.WAITING, True)
        await ack(backend, succeeded(one))
        await claims_nothing(backend)
        await put(backend, job("3", key=KEY))

    async def test_a_deleted_successor_does_not_run(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        successor = job("2", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, successor)
        await backend.inspector.delete([successor.id])
        await ack(backend, succeeded(one))
        await claims_nothing(backend)
        await put(backend, job("3", key=KEY))

    async def test_a_rejected_job_is_a_duplicate_while_a_successor_waits(
        self, backend: Backend
    ) -> None:
        await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        assert (await backend.enqueue([job("3", key=KEY)]))[0].kind is Stored.DUPLICATE

    async def test_a_debounced_job_succeeds_a_running_one(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        await put(backend, job("2", key=KEY, key_policy=KeyPolicy.DEBOUNCE))
        await ack(backend, succeeded(one))
        assert (await claim_one(backend)).payload == "2"

    async def test_replacing_and_claiming_at_once_runs_the_new_payload_last(
        self, backend: Backend, other: Backend
    ) -> None:
        for round_ in range(10):
            key = f"{KEY}-{round_}"
            await put(backend, job("old", key=key))
            fetched, _ = await asyncio.gather(
                backend.fetch(["default"], 1, claimant(), lease=LONG),
                other.enqueue([job("new", key=key, key_policy=KeyPolicy.REPLACE)]),
            )
            ran = [one.payload for one in fetched.claims]
            await ack(backend, *(succeeded(one) for one in fetched.claims))
            ran += [await self._run_one(backend) for _ in range(1 - ran.count("new"))]
            assert ran in (["new"], ["old", "new"])
            await claims_nothing(backend)

    async def test_ending_and_succeeding_at_once_loses_no_successor(
        self, backend: Backend, other: Backend
    ) -> None:
        for round_ in range(10):
            key = f"{KEY}-{round_}"
            one = await running(backend, "1", key=key)
            await asyncio.gather(
                backend.ack([succeeded(one)]),
                other.enqueue([job("2", key=key, key_policy=KeyPolicy.REPLACE)]),
            )
            assert await self._run_one(backend) == "2"

    async def _succeed(self, backend: Backend, payload: str) -> Answer:
        successor = job(payload, key=KEY, key_policy=KeyPolicy.REPLACE)
        (answer,) = await backend.enqueue([successor])
        return answer

    async def _run_one(self, backend: Backend) -> str:
        one = await claim_one(backend)
        await ack(backend, succeeded(one))
        return one.payload


class KeyAndRerunCases:
    """Keys and a person's retry."""

    async def test_a_rerun_takes_its_key_again(self, backend: Backend) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, failed(one))
        await backend.inspector.retry([one.token.id])
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer.kind, answer.id) == (Stored.DUPLICATE, one.token.id)

    async def test_a_rerun_is_refused_while_another_job_holds_the_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY)
        await ack(backend, failed(one))
        holder = job(key=KEY)
        await put(backend, holder)
        (change,) = await backend.inspector.retry([one.token.id])
        assert (change.state, change.done) == (State.FAILED, False)
        assert str(holder.id) in (change.why or "")
        assert await state_of(backend, one.token.id) is State.FAILED

    async def test_a_rerun_takes_a_key_that_it_still_holds(self, backend: Backend) -> None:
        one = await running(backend, key=KEY, key_until=LONG)
        await ack(backend, failed(one))
        (change,) = await backend.inspector.retry([one.token.id])
        assert change.done
        assert (await claim_one(backend)).token.id == one.token.id

    async def test_until_started_a_rerun_is_refused_while_another_job_holds_the_key(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, key_until="started")
        await put(backend, job(key=KEY))
        await ack(backend, failed(one))
        (change,) = await backend.inspector.retry([one.token.id])
        assert not change.done

    async def test_until_started_a_rerun_does_not_take_the_key_again(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY, key_until="started")
        await ack(backend, failed(one))
        (change,) = await backend.inspector.retry([one.token.id])
        assert change.done
        await put(backend, job(key=KEY))
