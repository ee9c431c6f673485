"""How long the records of finished jobs stay."""

import asyncio

import pytest

from queuekit.backend import Backend, Refusal
from queuekit.job import Keep, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    Settling,
    ack,
    answer_of,
    answers_of,
    cancelled,
    claim,
    claim_one,
    eventually,
    failed,
    find_all,
    job,
    lapse,
    numbered,
    put,
    record,
    running,
    state_of,
    succeeded,
)


class RetentionCases:
    """`Keep`, and `Backend.maintain` that prunes."""

    async def test_a_record_is_kept_unless_somebody_says_otherwise(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one))
        await backend.maintain(["default"])
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    @pytest.mark.parametrize("end", [succeeded, failed, cancelled])
    async def test_a_job_that_keeps_none_leaves_no_record(
        self, backend: Backend, end: Settling
    ) -> None:
        one = await running(backend, keep=Keep(0))
        await ack(backend, end(one))
        assert await state_of(backend, one.token.id) is None

    async def test_a_worker_may_keep_none(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, succeeded(one, keep=Keep(0)))
        assert await state_of(backend, one.token.id) is None

    async def test_a_jobs_own_retention_goes_before_the_workers(self, backend: Backend) -> None:
        kept, dropped = (
            await running(backend, keep=Keep(LONG)),
            await running(backend, keep=Keep(0)),
        )
        await ack(backend, succeeded(kept, keep=Keep(0)), succeeded(dropped, keep=Keep(LONG)))
        assert await state_of(backend, kept.token.id) is State.SUCCEEDED
        assert await state_of(backend, dropped.token.id) is None

    async def test_a_batch_mixes_retentions(self, backend: Backend) -> None:
        await put(backend, *numbered(4))
        claims = await claim(backend, 4)
        keeps = (None, Keep(0), Keep(LONG), Keep(0))
        acks = [succeeded(one, keep=keep) for one, keep in zip(claims, keeps, strict=True)]
        await ack(backend, *acks)
        states = [await state_of(backend, one.token.id) for one in claims]
        assert states == [State.SUCCEEDED, None, State.SUCCEEDED, None]

    async def test_a_record_past_its_age_is_pruned(self, backend: Backend) -> None:
        gone, kept = await running(backend, keep=Keep(MILLISECOND)), await running(backend)
        await ack(backend, succeeded(gone), succeeded(kept))

        async def pruned() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, gone.token.id) is None

        await eventually(pruned)
        assert await state_of(backend, kept.token.id) is State.SUCCEEDED

    async def test_a_failure_past_its_age_is_pruned(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(MILLISECOND))
        await ack(backend, failed(one))

        async def pruned() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, one.token.id) is None

        await eventually(pruned)

    async def test_the_id_of_a_pruned_record_stays_remembered(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(MILLISECOND))
        await ack(backend, succeeded(one))

        async def pruned() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, one.token.id) is None

        await eventually(pruned)
        (answer,) = await backend.enqueue([job(id=one.token.id)])
        assert answer_of(answer) is Refusal.KNOWN

    async def test_ids_outlive_every_tick(self, backend: Backend) -> None:
        acked, deleted = await running(backend, keep=Keep(0)), job()
        await ack(backend, succeeded(acked))
        await put(backend, deleted)
        await backend.inspector.steer(Event.DELETE, [deleted.ref])
        for _ in range(3):
            await backend.maintain(["default"])
        answers = await backend.enqueue([job(id=acked.token.id), job(id=deleted.id)])
        assert [answer_of(answer) for answer in answers] == [Refusal.KNOWN] * 2

    async def test_no_more_successes_are_kept_than_counted(self, backend: Backend) -> None:
        keep = Keep(LONG, count=3)
        await put(backend, *numbered(10, keep=keep))
        for one in await claim(backend, 10):
            await ack(backend, succeeded(one))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return len(await self._payloads(backend)) == 3

        await eventually(trimmed)
        assert sorted(await self._payloads(backend)) == ["7", "8", "9"]

    @pytest.mark.parametrize("keyed", [False, True])
    async def test_of_a_batch_that_ended_at_once_as_many_stay_as_are_counted(
        self, backend: Backend, *, keyed: bool
    ) -> None:
        keep = Keep(LONG, count=3)
        await put(backend, *(job(keep=keep, key=f"key {n}" if keyed else None) for n in range(10)))
        await ack(backend, *(succeeded(one) for one in await claim(backend, 10)))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return len(await self._payloads(backend)) <= 3

        await eventually(trimmed)
        assert len(await self._payloads(backend)) == 3

    async def test_a_count_cuts_those_first_whose_retention_ends_first(
        self, backend: Backend
    ) -> None:
        ages = [3, 1, 4, 2]
        for place, age in enumerate(ages):
            one = await running(backend, payload=str(place), keep=Keep(age * LONG, count=2))
            await ack(backend, succeeded(one))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return len(await self._payloads(backend)) == 2

        await eventually(trimmed)
        assert sorted(await self._payloads(backend)) == ["0", "2"]

    async def test_a_late_ack_is_lost_when_a_count_has_cut_the_record(
        self, backend: Backend
    ) -> None:
        await put(backend, job(keep=Keep(LONG, count=0)))
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        present = await claim_one(backend)
        await ack(backend, succeeded(present))

        async def cut() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, late.token.id) is None

        await eventually(cut)
        assert answers_of(await backend.ack([succeeded(late)])) == [Refusal.LOST]
        await ack(backend, succeeded(present))

    async def test_every_task_has_a_count_of_its_own(self, backend: Backend) -> None:
        for task, count in (("a", 1), ("b", 3)):
            await put(backend, *numbered(4, task=task, keep=Keep(LONG, count=count)))
        for one in await claim(backend, 8):
            await ack(backend, succeeded(one))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return len(await self._payloads(backend)) == 4

        await eventually(trimmed)
        assert sorted(await self._payloads(backend)) == ["1", "2", "3", "3"]

    async def test_every_queue_has_a_count_of_its_own(self, backend: Backend) -> None:
        for queue, count in (("left", 1), ("right", 3)):
            await put(backend, *numbered(4, queue=queue, keep=Keep(LONG, count=count)))
        for one in await claim(backend, 8, queues=["left", "right"]):
            await ack(backend, succeeded(one))

        async def trimmed() -> bool:
            await backend.maintain(["left", "right"])
            return len(await self._payloads(backend)) == 4

        await eventually(trimmed)
        assert sorted(await self._payloads(backend)) == ["1", "2", "3", "3"]

    async def test_without_a_count_all_stay(self, backend: Backend) -> None:
        cut = await running(backend, task="cut", keep=Keep(LONG, count=0))
        await put(backend, *numbered(3, keep=Keep(LONG)))
        await ack(backend, *(succeeded(one) for one in [*await claim(backend, 3), cut]))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, cut.token.id) is None

        await eventually(trimmed)
        assert sorted(await self._payloads(backend)) == ["0", "1", "2"]

    async def test_a_count_is_for_successes_only(self, backend: Backend) -> None:
        await put(backend, *numbered(5, keep=Keep(LONG, count=2)))
        claims = await claim(backend, 5)
        await ack(backend, *(succeeded(one) for one in claims[:2]))
        await ack(backend, *(failed(one) for one in claims[2:]))
        for _ in range(3):
            await backend.maintain(["default"])
        assert len(await self._payloads(backend)) == 5

    async def test_a_failure_cuts_no_successes(self, backend: Backend) -> None:
        await ack(backend, succeeded(await running(backend, keep=Keep(LONG, count=1))))
        await ack(backend, failed(await running(backend, keep=Keep(LONG, count=0))))
        for _ in range(3):
            await backend.maintain(["default"])
        (queue,) = await backend.inspector.queues()
        assert queue.counts == {State.SUCCEEDED: 1, State.FAILED: 1}

    async def test_a_waited_for_failure_with_a_count_is_one(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(LONG, count=0))
        await backend.results([one.token.ref], 0.02)
        await ack(backend, failed(one))
        await backend.maintain(["default"])
        (queue,) = await backend.inspector.queues()
        assert queue.counts == {State.FAILED: 1}

    @pytest.mark.parametrize("end", [failed, cancelled])
    async def test_a_count_passes_over_the_oldest_and_the_newest_if_they_are_no_success(
        self, backend: Backend, end: Settling
    ) -> None:
        await put(backend, *numbered(4))
        claims = first, second, third, fourth = await claim(backend, 4)
        await ack(backend, end(first))
        for one in (second, third):
            await ack(backend, succeeded(one, keep=Keep(LONG, count=1)))
        await ack(backend, end(fourth))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, claims[1].token.id) is None

        await eventually(trimmed)
        assert sorted(await self._payloads(backend)) == ["0", "2", "3"]

    @pytest.mark.parametrize("kinds", ["a.x a.y", "a.y a.x", "a.x b.x", "b.x a.x"])
    async def test_records_of_every_kind_go_when_their_time_comes(
        self, backend: Backend, kinds: str
    ) -> None:
        """And nothing has to be added for that."""
        early, late = (kind.split(".") for kind in kinds.split())
        ages = [(early, 1), (late, 100), (late, 200)]
        for (queue, task), age in ages:
            keep = Keep(age * MILLISECOND)
            await ack(backend, succeeded(await running(backend, queue=queue, task=task, keep=keep)))

        async def all_gone() -> bool:
            await backend.maintain(["a", "b"])
            return not await self._payloads(backend)

        await eventually(all_gone)

    async def test_the_record_of_a_waited_for_job_is_not_pruned_at_once(
        self, backend: Backend
    ) -> None:
        one = await running(backend, keep=Keep(0))
        await backend.results([one.token.ref], 0.05)
        await ack(backend, succeeded(one))
        for _ in range(3):
            await backend.maintain(["default"])
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    @pytest.mark.parametrize("tasks", ["same", "another"])
    async def test_the_record_of_a_waited_for_job_is_not_cut_by_a_count(
        self, backend: Backend, tasks: str
    ) -> None:
        keep = Keep(LONG, count=0)
        waited = await running(backend, task="same", keep=keep)
        cut = await running(backend, task=tasks, keep=keep)
        await backend.results([waited.token.ref], 0.02)
        await ack(backend, succeeded(waited), succeeded(cut))

        async def trimmed() -> bool:
            await backend.maintain(["default"])
            return await state_of(backend, cut.token.id) is None

        await eventually(trimmed)
        await ack(backend, succeeded(await running(backend, task="same", keep=keep)))
        await backend.maintain(["default"])
        assert await state_of(backend, waited.token.id) is State.SUCCEEDED

    async def test_who_waits_is_remembered_over_ticks(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(0))
        await backend.results([one.token.ref], 0.02)
        for _ in range(3):
            await backend.maintain(["default"])
        await ack(backend, succeeded(one))
        assert await state_of(backend, one.token.id) is State.SUCCEEDED

    async def test_a_cancelled_unstarted_job_keeps_a_record(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await backend.inspector.steer(Event.CANCEL, [one.ref])
        await asyncio.sleep(0.01)
        await backend.maintain(["default"])
        assert (await record(backend, one.id)).state is State.CANCELLED

    async def _payloads(self, backend: Backend) -> list[str]:
        return [one.job.payload for one in await find_all(backend)]
