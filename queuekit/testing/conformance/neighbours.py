"""Two jobs that are easily taken for each other: one id in two queues, or two ids of one queue and one moment."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from queuekit.backend import Backend, Refusal, Report
from queuekit.job import Claim, Job, Keep, KeyPolicy, Return, State, new_id
from queuekit.lifecycle import Event
from queuekit.record import JobRecord
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    REPLACED,
    STORED,
    Settling,
    ack,
    answer_of,
    answers_of,
    cancelled,
    claim,
    claim_one,
    dead,
    failed,
    give_back,
    job,
    lapse,
    put,
    record,
    released,
    retried,
    running,
    snoozed,
    state_of,
    succeeded,
)

Queues: TypeAlias = tuple[str, str]

KEEPS = [(None, None), (Keep(0), None), (None, Keep(0))]
"""The job's own retention, and the one its ack asks for."""

one_of_two = pytest.mark.parametrize("acted", [0, 1], ids=["first", "second"])
each_pair = pytest.mark.parametrize(
    "queues", [("left", "right"), ("left", "left")], ids=["one id", "one queue"]
)


class NeighbourCases:
    """What is done to one job is not done to its neighbour."""

    @each_pair
    @one_of_two
    @pytest.mark.parametrize(("own", "asked"), KEEPS, ids=["kept", "own none", "asked none"])
    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_an_ack_ends_one_job(
        self,
        backend: Backend,
        queues: Queues,
        acted: int,
        own: Keep | None,
        asked: Keep | None,
        end: Settling,
    ) -> None:
        one, other = await self._two(backend, queues, acted, keep=own)
        await ack(backend, end(one)._replace(keep=asked))
        kept = None if own or asked else end(one).state
        assert await self._states(backend, one, other) == [kept, State.RUNNING]
        await give_back(backend, released(other))
        assert answers_of(await backend.ack([end(other)._replace(keep=asked)])) == [Refusal.LOST]
        assert await self._states(backend, one, other) == [kept, State.READY]

    @each_pair
    @one_of_two
    async def test_how_a_job_that_is_gone_was_settled_is_its_own(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted, keep=Keep(0))
        await ack(backend, succeeded(one))
        await ack(backend, failed(other))
        answers = [
            await backend.ack([end(of)]) for of in (one, other) for end in (succeeded, failed)
        ]
        told = [answers_of(answer)[0] for answer in answers]
        assert told == ["done", Refusal.LOST, Refusal.LOST, "done"]

    @each_pair
    @one_of_two
    @pytest.mark.parametrize("back", [retried, snoozed, released, dead])
    async def test_a_return_puts_one_job_back(
        self, backend: Backend, queues: Queues, acted: int, back: Callable[[Claim], Return]
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        await give_back(backend, back(one))
        assert await self._states(backend, one, other) == [State.READY, State.RUNNING]
        assert not (await self._record(backend, other)).notes.history

    @each_pair
    @one_of_two
    @pytest.mark.parametrize("back", [retried, snoozed, released, dead])
    async def test_a_late_return_is_lost_though_the_neighbours_was_not(
        self, backend: Backend, queues: Queues, acted: int, back: Callable[[Claim], Return]
    ) -> None:
        one, other = await self._two(backend, queues, acted, lease=BRIEF)
        await give_back(backend, back(one))
        await lapse(backend, other)
        assert answers_of(await backend.retry([back(other)])) == [Refusal.LOST]

    @each_pair
    @one_of_two
    @pytest.mark.parametrize("back", [retried, snoozed, released, dead])
    async def test_a_return_ends_one_job_of_two_that_are_to_be_cancelled(
        self, backend: Backend, queues: Queues, acted: int, back: Callable[[Claim], Return]
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await backend.inspector.steer(Event.CANCEL, [other.token.ref])
        await give_back(backend, back(one))
        assert await self._states(backend, one, other) == [State.CANCELLED, State.RUNNING]

    @each_pair
    @one_of_two
    async def test_a_heartbeat_extends_one_lease(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        before = await self._record(backend, other)
        await asyncio.sleep(0.01)
        await backend.heartbeat([one.token])
        assert await self._record(backend, other) == before
        assert (await self._record(backend, one)).times.leased_until != before.times.leased_until

    @each_pair
    @one_of_two
    async def test_a_report_tells_of_one_run(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        before = await self._record(backend, other)
        await backend.report([Report(one.token, "0.5", ["half"])])
        assert await self._record(backend, other) == before
        assert (await self._record(backend, one)).notes.progress == "0.5"

    @each_pair
    @one_of_two
    async def test_a_cancel_asks_one_run(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        pulse = await backend.heartbeat([one.token, other.token])
        assert (list(pulse.cancels), list(pulse.lost)) == ([one.token], [])

    @each_pair
    @one_of_two
    async def test_a_delete_removes_one_job(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        await ack(backend, failed(one), failed(other))
        await backend.inspector.steer(Event.DELETE, [one.token.ref])
        assert await self._states(backend, one, other) == [None, State.FAILED]

    @each_pair
    @one_of_two
    async def test_a_persons_retry_runs_one_job_again(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        await ack(backend, failed(one), failed(other))
        await backend.inspector.steer(Event.RERUN, [one.token.ref])
        assert await self._states(backend, one, other) == [State.READY, State.FAILED]

    @each_pair
    @one_of_two
    async def test_who_waits_for_one_end_keeps_no_other_record(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted, keep=Keep(0))
        await backend.results([one.token.ref], 0.02)
        await ack(backend, succeeded(other), succeeded(one))
        assert await self._states(backend, one, other) == [State.SUCCEEDED, None]

    @each_pair
    @one_of_two
    async def test_who_waits_for_two_ends_gets_the_second(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted, keep=Keep(0))
        for waited in (one, other):
            await backend.results([waited.token.ref], 0.02)
        await ack(backend, succeeded(one))
        await ack(backend, succeeded(other))
        assert await self._states(backend, one, other) == [State.SUCCEEDED] * 2

    @one_of_two
    async def test_an_end_in_one_queue_leaves_the_key_of_another(
        self, backend: Backend, acted: int
    ) -> None:
        one, other = await self._two(backend, ("left", "right"), acted, key="k")
        await ack(backend, succeeded(one))
        key = (await self._record(backend, one)).job.key
        again = [job(queue=held.token.queue, key=key) for held in (one, other)]
        kinds = [answer_of(answer) for answer in await backend.enqueue(again)]
        assert kinds == [STORED, Refusal.KEY_HELD]

    @pytest.mark.parametrize(("own", "foreign"), [("left", "right"), ("right", "left")])
    async def test_a_claim_in_one_queue_frees_no_key_of_another(
        self, backend: Backend, own: str, foreign: str
    ) -> None:
        id_ = new_id()
        await put(
            backend, *(job(id=id_, queue=q, key="k", key_until="started") for q in (own, foreign))
        )
        one = await claim_one(backend, queue=own)
        await put(backend, job(queue=own, key="k"))
        await ack(backend, succeeded(one))
        again = await backend.enqueue([job(queue=queue, key="k") for queue in (own, foreign)])
        assert [answer_of(answer) for answer in again] == [Refusal.KEY_HELD] * 2

    @one_of_two
    async def test_a_replacement_in_one_queue_changes_no_job_of_another(
        self, backend: Backend, acted: int
    ) -> None:
        two = await self._twins(backend)
        one, other = two[acted], two[1 - acted]
        queue = one.options.queue
        held = await claim_one(backend, queue=other.options.queue)
        new = job("2", queue=queue, key="k", key_policy=KeyPolicy.REPLACE, key_until=LONG)
        (change,) = await backend.enqueue([new])
        assert (change.ref, change.found) == (one.ref, State.READY)
        replaced = await claim_one(backend, queue=queue)
        assert (replaced.payload, held.payload) == ("2", "1")
        await ack(backend, succeeded(replaced), succeeded(held))
        again = await backend.enqueue([job(queue=j.options.queue, key="k") for j in (one, other)])
        assert [answer_of(answer) for answer in again] == [Refusal.KEY_HELD, STORED]

    @one_of_two
    async def test_a_key_whose_time_is_over_in_one_queue_is_held_in_another(
        self, backend: Backend, acted: int
    ) -> None:
        two = await self._twins(backend, brief=acted)
        await asyncio.sleep(0.03)
        answers = await backend.enqueue([job(queue=one.options.queue, key="k") for one in two])
        kinds = [answer_of(answer) for answer in answers]
        assert (kinds[acted], kinds[1 - acted]) == (STORED, Refusal.KEY_HELD)

    async def test_a_replacement_in_two_queues_is_known_in_each(self, backend: Backend) -> None:
        olds = [job(queue=queue, key="k") for queue in ("left", "right")]
        await put(backend, *olds)
        new = [
            job(id=id_, queue=old.options.queue, key="k", key_policy=KeyPolicy.REPLACE)
            for id_ in [new_id()]
            for old in olds
        ]
        for answers in (await backend.enqueue(new), await backend.enqueue(new)):
            assert [answer_of(answer) for answer in answers] == [REPLACED] * 2
            assert [answer.holder for answer in answers] == [old.id for old in olds]

    @each_pair
    @one_of_two
    async def test_an_end_frees_its_own_successor(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted, key="k")
        heirs = [
            job(queue=held.job.options.queue, key=held.job.key, key_policy=KeyPolicy.REPLACE)
            for held in (await self._record(backend, one), await self._record(backend, other))
        ]
        await put(backend, *(heirs if acted == 0 else heirs[::-1]))  # in their holders' order
        await ack(backend, succeeded(one))
        states = [await state_of(backend, heir.ref) for heir in heirs]
        assert states == [State.READY, State.WAITING]

    @pytest.mark.parametrize("keep", [None, Keep(0)])
    async def test_an_id_is_known_in_its_queue_only(
        self, backend: Backend, keep: Keep | None
    ) -> None:
        one = await running(backend, queue="left", keep=keep)
        await ack(backend, succeeded(one))
        answers = await backend.enqueue(
            [job(id=one.token.id, queue=queue) for queue in ("right", "left")]
        )
        assert [answer_of(answer) for answer in answers] == [STORED, Refusal.KNOWN]

    @each_pair
    @one_of_two
    async def test_acts_on_a_finished_job_tell_of_that_one(
        self, backend: Backend, queues: Queues, acted: int
    ) -> None:
        one, other = await self._two(backend, queues, acted)
        await ack(backend, failed(one), succeeded(other))
        for event in (Event.CANCEL, Event.PROMOTE):
            changes = await backend.inspector.steer(event, [one.token.ref, other.token.ref])
            assert [change.found for change in changes] == [State.FAILED, State.SUCCEEDED]

    async def test_an_act_on_jobs_of_several_queues(self, backend: Backend) -> None:
        old, new = job(queue="left", delay=LONG), job(queue="right", delay=LONG)
        await put(backend, old)
        await asyncio.sleep(0.002)
        await put(backend, new)
        changes = await backend.inspector.steer(Event.PROMOTE, [old.ref, new.ref])
        assert [change.done for change in changes] == [True] * 2
        changes = await backend.inspector.steer(Event.CANCEL, [old.ref, new.ref])
        assert [change.done for change in changes] == [True] * 2

    async def _twins(self, backend: Backend, *, brief: int | None = None) -> list[Job[Any]]:
        """One id that holds one key in two queues, in one of them perhaps for a moment only."""
        twins = [
            job("1", queue=queue, id=id_, key="k", key_until=BRIEF if n == brief else "finished")
            for id_ in [new_id()]
            for n, queue in enumerate(("left", "right"))
        ]
        await put(backend, *twins)
        return twins

    async def _two(
        self, backend: Backend, queues: Queues, acted: int, **options: Any
    ) -> tuple[Claim, Claim]:
        """Two running jobs, the one that is acted on first; of one delivery, where the backend's claims allow that."""
        pair = await self._pair(backend, queues, **options)
        for _ in range(4):
            if pair[0].token.delivery == pair[1].token.delivery:
                break
            pair = await self._pair(backend, queues, **options)
        return pair[acted], pair[1 - acted]

    async def _pair(
        self, backend: Backend, queues: Queues, key: str | None = None, **options: Any
    ) -> list[Claim]:
        first = new_id()
        ids = [first, new_id() if queues[0] == queues[1] else first]
        two = [
            job(id=id_, queue=queue, key=key and key + str(id_), **options)
            for id_, queue in zip(ids, queues, strict=True)
        ]
        await put(backend, *two)
        claims = await claim(backend, 2, queues=sorted(set(queues)))
        order = [(one.id, one.options.queue) for one in two]
        return sorted(claims, key=lambda one: order.index((one.token.id, one.token.queue)))

    async def _record(self, backend: Backend, one: Claim) -> JobRecord:
        return await record(backend, one.token.ref)

    async def _states(self, backend: Backend, *claims: Claim) -> list[State | None]:
        return [await state_of(backend, one.token.ref) for one in claims]
