"""Jobs that take the place of another one of their key, or wait for its end."""

import asyncio

import pytest

from queuekit.backend import Ask, Backend, Change, Refusal
from queuekit.job import Keep, KeyPolicy, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    REPLACED,
    STORED,
    Settling,
    ack,
    answer_of,
    answers_of,
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
    put,
    record,
    released,
    retried,
    running,
    state_of,
    succeeded,
)

KEY = "invoice-42"


class ReplaceCases:
    """Keys whose holder gets the newer payload."""

    async def test_a_ready_job_is_replaced(self, backend: Backend) -> None:
        one = job("1", key=KEY)
        await put(backend, one)
        (answer,) = await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE)])
        assert (answer_of(answer), answer.holder) == (REPLACED, one.id)
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
        assert (
            found.job.options.priority,
            found.job.options.max_attempts,
            found.job.options.extra,
        ) == (-9, 2, '{"m":2}')
        assert list(found.job.options.tags) == ["new"]
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
        assert (found.state, found.job.payload) == (State.SCHEDULED, "2")
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
        before = (await record(backend, one.id)).times.scheduled_at
        await asyncio.sleep(0.01)
        again = job("2", key=KEY, key_policy=KeyPolicy.DEBOUNCE, delay=LONG)
        (answer,) = await backend.enqueue([again])
        assert (answer_of(answer), answer.holder) == (REPLACED, one.id)
        found = await record(backend, one.id)
        assert (found.state, found.job.payload) == (State.SCHEDULED, "2")
        assert before is not None
        assert found.times.scheduled_at is not None
        assert found.times.scheduled_at > before

    async def test_a_job_that_was_put_off_is_due_when_its_replacement_says(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY)
        await give_back(backend, retried(one, delay=LONG))
        before = (await record(backend, one.token.ref)).times.scheduled_at
        await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE, delay=3 * LONG)])
        found = (await record(backend, one.token.ref)).times.scheduled_at
        assert before is not None
        assert found is not None
        assert found > before + LONG

    async def test_a_job_that_was_put_off_may_be_replaced_by_one_for_now(
        self, backend: Backend
    ) -> None:
        one = await running(backend, key=KEY)
        await give_back(backend, retried(one, delay=LONG))
        await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE)])
        found = await record(backend, one.token.ref)
        assert (found.state, found.times.scheduled_at) == (State.READY, None)

    async def test_a_replaced_job_holds_its_key_as_long_as_the_new_one_says(
        self, backend: Backend
    ) -> None:
        await put(backend, job("1", key=KEY))
        await backend.enqueue([job("2", key=KEY, key_policy=KeyPolicy.REPLACE, key_until=LONG)])
        await ack(backend, succeeded(await claim_one(backend)))
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD

    async def test_two_jobs_of_a_key_in_a_batch_are_one_with_the_second_payload(
        self, backend: Backend
    ) -> None:
        first, second = (job(text, key=KEY, key_policy=KeyPolicy.REPLACE) for text in "12")
        answers = await backend.enqueue([first, second])
        assert [answer_of(answer) for answer in answers] == [STORED, REPLACED]
        assert answers[1].holder == first.id
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
        assert again == [Change(old.ref, State.RUNNING, State.RUNNING, holder=old.id)]
        await ack(backend, succeeded(one))
        (answer,) = await backend.enqueue([new._replace(fresh=False)])
        assert answer_of(answer) is Refusal.KNOWN
        await claims_nothing(backend)

    async def test_a_replacement_that_was_replaced_is_done_when_it_is_sent_again(
        self, backend: Backend
    ) -> None:
        first, second = (job(p, key=KEY, key_policy=KeyPolicy.REPLACE) for p in "12")
        await put(backend, job("0", key=KEY))
        await backend.enqueue([first])
        await backend.enqueue([second])
        (answer,) = await backend.enqueue([first._replace(fresh=False)])
        assert answer_of(answer) is Refusal.KNOWN
        assert [one.payload for one in await claim(backend, 1)] == ["2"]

    async def test_the_time_of_a_key_counts_from_the_first_enqueue(self, backend: Backend) -> None:
        await put(backend, job("0", key=KEY, delay=LONG, key_until=LONG))
        await asyncio.sleep(0.06)
        new = job(
            "1", key=KEY, delay=LONG, key_until=50 * MILLISECOND, key_policy=KeyPolicy.REPLACE
        )
        assert answers_of(await backend.enqueue([new])) == [REPLACED]
        await put(backend, job("2", key=KEY))

    async def test_a_finished_job_is_not_replaced(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        await ack(backend, succeeded(one))
        await put(backend, job("2", key=KEY, key_policy=KeyPolicy.REPLACE))
        assert (await record(backend, one.token.id)).job.payload == "1"


class SuccessorCases:
    """Keys whose holder is running when the newer job comes."""

    async def test_a_running_job_is_left_alone_and_gets_a_successor(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        answer = await self._succeed(backend, "2")
        assert (answer_of(answer), answer.now) == (STORED, State.WAITING)
        found = await record(backend, one.token.id)
        assert (found.state, found.job.payload) == (State.RUNNING, "1")
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
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
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
        assert answer == Change(first.ref, State.WAITING, State.WAITING, holder=first.id)
        await ack(backend, succeeded(one))
        last = await claim_one(backend)
        assert last.payload == "3"
        await ack(backend, succeeded(last))
        await claims_nothing(backend)

    async def test_a_successors_replacement_does_not_shorten_the_holders_time(
        self, backend: Backend
    ) -> None:
        one = await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        new = job("3", key=KEY, key_policy=KeyPolicy.REPLACE, key_until=BRIEF)
        assert answer_of((await backend.enqueue([new]))[0]) is REPLACED
        await asyncio.sleep(0.03)
        (answer,) = await backend.enqueue([job(key=KEY)])
        assert (answer_of(answer), answer.holder) == (Refusal.KEY_HELD, one.token.id)

    async def test_a_successors_replacement_that_is_sent_again_changes_nothing(
        self, backend: Backend
    ) -> None:
        await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        new = job("3", key=KEY, key_policy=KeyPolicy.REPLACE)
        first = await backend.enqueue([new])
        assert await backend.enqueue([new._replace(fresh=False)]) == first
        assert first[0].now is State.WAITING

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
            fetched = await backend.fetch(Ask(["default"], 1, claimant(), LONG))
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
        assert answer_of((await backend.enqueue([job(key=KEY)]))[0]) is Refusal.KEY_HELD
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
        assert answer == Change(heir.ref, State.READY, State.READY, holder=heir.id)
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
        (change,) = await backend.inspector.steer(Event.CANCEL, [successor.ref])
        assert (change.found, change.done) == (State.WAITING, True)
        await ack(backend, succeeded(one))
        await claims_nothing(backend)
        await put(backend, job("3", key=KEY))

    async def test_a_deleted_successor_does_not_run(self, backend: Backend) -> None:
        one = await running(backend, "1", key=KEY)
        successor = job("2", key=KEY, key_policy=KeyPolicy.REPLACE)
        await put(backend, successor)
        await backend.inspector.steer(Event.DELETE, [successor.ref])
        await ack(backend, succeeded(one))
        await claims_nothing(backend)
        await put(backend, job("3", key=KEY))

    async def test_a_rejected_job_is_a_duplicate_while_a_successor_waits(
        self, backend: Backend
    ) -> None:
        await running(backend, "1", key=KEY)
        await self._succeed(backend, "2")
        assert answer_of((await backend.enqueue([job("3", key=KEY)]))[0]) is Refusal.KEY_HELD

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
                backend.fetch(Ask(["default"], 1, claimant(), LONG)),
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

    async def _succeed(self, backend: Backend, payload: str) -> Change:
        successor = job(payload, key=KEY, key_policy=KeyPolicy.REPLACE)
        (answer,) = await backend.enqueue([successor])
        return answer

    async def _run_one(self, backend: Backend) -> str:
        one = await claim_one(backend)
        await ack(backend, succeeded(one))
        return one.payload
