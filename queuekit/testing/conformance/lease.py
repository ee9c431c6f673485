"""Leases: their heartbeats, their end, and who holds them."""

import asyncio
import json

from queuekit.backend import Ask, Backend, Change
from queuekit.job import LAPSES_ALLOWED, JobRef, Keep, Reason, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    ALICE,
    BOB,
    BRIEF,
    LONG,
    SECOND,
    ack,
    claim,
    claim_one,
    claimant,
    claims_nothing,
    events,
    eventually,
    give_back,
    job,
    lapse,
    lapse_times,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    state_of,
    succeeded,
)


class HeartbeatCases:
    """`Backend.heartbeat`."""

    async def test_a_heartbeat_extends_the_lease(self, backend: Backend) -> None:
        one = await running(backend)
        before = (await record(backend, one.token.id)).times.leased_until
        await asyncio.sleep(0.01)
        pulse = await backend.heartbeat([one.token])
        assert (list(pulse.lost), list(pulse.cancels)) == ([], [])
        after = (await record(backend, one.token.id)).times.leased_until
        assert before is not None
        assert after is not None
        assert after > before

    async def test_a_heartbeat_extends_by_the_jobs_own_lease(self, backend: Backend) -> None:
        await put(backend, job(lease=10 * LONG))
        one = await claim_one(backend, lease=SECOND)
        await backend.heartbeat([one.token])
        found = await record(backend, one.token.id)
        assert found.times.leased_until is not None
        assert found.times.started_at is not None
        assert found.times.leased_until - found.times.started_at >= 10 * LONG

    async def test_a_heartbeat_extends_by_the_workers_lease(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=2 * LONG)
        await backend.heartbeat([one.token])
        found = await record(backend, one.token.id)
        assert found.times.leased_until is not None
        assert found.times.started_at is not None
        assert found.times.leased_until - found.times.started_at >= 2 * LONG

    async def test_a_heartbeat_revives_a_lease_that_nobody_took_back_yet(
        self, backend: Backend
    ) -> None:
        await put(backend, job(lease=SECOND))
        one = await claim_one(backend)
        assert not (await backend.heartbeat([one.token])).lost
        assert await state_of(backend, one.token.id) is State.RUNNING

    async def test_a_heartbeat_names_a_lapsed_lease(self, backend: Backend) -> None:
        await put(backend, job("lapses"))
        gone = await claim_one(backend, lease=BRIEF)
        held = await running(backend)
        await lapse(backend, gone)
        pulse = await backend.heartbeat([gone.token, held.token])
        assert list(pulse.lost) == [gone.token]

    async def test_a_heartbeat_names_a_job_that_runs_elsewhere(self, backend: Backend) -> None:
        await put(backend, job())
        stolen = await claim_one(backend, lease=BRIEF)
        await lapse(backend, stolen)
        present = await claim_one(backend, process=BOB)
        before = (await record(backend, stolen.token.id)).times.leased_until
        assert list((await backend.heartbeat([stolen.token])).lost) == [stolen.token]
        assert (await record(backend, stolen.token.id)).times.leased_until == before
        assert not (await backend.heartbeat([present.token])).lost

    async def test_a_heartbeat_names_a_settled_job(self, backend: Backend) -> None:
        await put(backend, *numbered(2))
        acked, returned = await claim(backend, 2)
        await ack(backend, succeeded(acked))
        await give_back(backend, retried(returned, LONG))
        pulse = await backend.heartbeat([acked.token, returned.token])
        assert set(pulse.lost) == {acked.token, returned.token}

    async def test_a_heartbeat_tells_of_a_cancel_request(self, backend: Backend) -> None:
        asked, spared = await running(backend), await running(backend)
        await backend.inspector.steer(Event.CANCEL, [asked.token.ref])
        pulse = await backend.heartbeat([asked.token, spared.token])
        assert (list(pulse.lost), list(pulse.cancels)) == ([], [asked.token])

    async def test_a_heartbeat_tells_of_a_cancel_request_every_time(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        for _ in range(3):
            assert list((await backend.heartbeat([one.token])).cancels) == [one.token]

    async def test_a_heartbeat_of_500_leases_names_the_lost_one(self, backend: Backend) -> None:
        await put(backend, *numbered(500))
        claims = await claim(backend, 500)
        await ack(backend, succeeded(claims[250]))
        pulse = await backend.heartbeat([one.token for one in claims])
        assert list(pulse.lost) == [claims[250].token]

    async def test_a_heartbeat_of_nothing_is_quiet(self, backend: Backend) -> None:
        pulse = await backend.heartbeat([])
        assert (list(pulse.lost), list(pulse.cancels)) == ([], [])

    async def test_a_heartbeat_by_another_object_counts(
        self, backend: Backend, other: Backend
    ) -> None:
        one = await running(backend)
        assert not (await other.heartbeat([one.token])).lost


class LapseCases:
    """Leases that `Backend.maintain` takes back."""

    async def test_a_lapsed_job_is_ready_and_has_spent_no_attempt(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await lapse(backend, one)
        found = await record(backend, one.token.id)
        assert (found.state, found.life.attempt, found.life.lapses) == (State.READY, 0, 1)
        assert list(found.notes.errors) == []

    async def test_a_lapse_is_noted(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await lapse(backend, one)
        found = await record(backend, one.token.id)
        assert events(found) == ["lapse"]
        (note,) = [json.loads(text) for text in found.notes.history]
        assert note["delivery"] == one.token.delivery
        assert found.times.started_at is not None
        assert note["at"] >= found.times.started_at

    async def test_a_lapsed_job_is_claimed_again_with_a_greater_delivery(
        self, backend: Backend
    ) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await lapse(backend, one)
        again = await claim_one(backend)
        assert (again.token.id, again.attempt, again.lapses) == (one.token.id, 1, 1)
        assert again.token.delivery > one.token.delivery

    async def test_lapsed_jobs_keep_their_old_places(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(5))
        claims = await claim(backend, 3, lease=BRIEF)
        await lapse(backend, *claims)
        assert [one.payload for one in await claim(other, 5)] == ["0", "1", "2", "3", "4"]

    async def test_a_live_lease_is_left_alone(self, backend: Backend) -> None:
        held = await running(backend)
        await put(backend, job())
        gone = await claim_one(backend, lease=BRIEF)
        await lapse(backend, gone)
        assert await state_of(backend, held.token.id) is State.RUNNING
        assert not (await backend.heartbeat([held.token])).lost

    async def test_only_what_lapsed_is_told(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        one, _ = await claim_one(backend, lease=BRIEF), await claim_one(backend)
        rescued: list[JobRef] = []

        async def lapsed() -> bool:
            rescued.extend(lapse.ref for lapse in (await backend.maintain(["default"])).rescued)
            return bool(rescued)

        await eventually(lapsed)
        assert rescued == [one.token.ref]

    async def test_any_object_takes_back_a_lapsed_lease(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await lapse(other, one)
        assert await state_of(backend, one.token.id) is State.READY

    async def test_many_at_once_take_a_lapsed_lease_back_once(
        self, backend: Backend, other: Backend
    ) -> None:
        await put(backend, *numbered(20))
        claims = await claim(backend, 20, lease=BRIEF)

        async def tick(store: Backend) -> list[object]:
            rescued: list[object] = []
            for _ in range(20):
                rescued += [lapse.ref for lapse in (await store.maintain(["default"])).rescued]
                await asyncio.sleep(0.01)
            return rescued

        await asyncio.gather(*(tick(store) for store in (backend, other) for _ in range(3)))
        await eventually(lambda: self._all_ready(backend, 20))
        for one in claims:
            assert (await record(backend, one.token.id)).life.lapses == 1

    async def _all_ready(self, backend: Backend, count: int) -> bool:
        await backend.maintain(["default"])
        (queue,) = await backend.inspector.queues()
        return queue.counts == {State.READY: count}

    async def test_a_lapse_ends_a_job_whose_cancel_was_requested(self, backend: Backend) -> None:
        await put(backend, job())
        one = await claim_one(backend, lease=BRIEF)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        await lapse(backend, one)
        assert await state_of(backend, one.token.id) is State.CANCELLED

    async def test_the_last_lapse_fails_the_job(self, backend: Backend) -> None:
        one = job(max_attempts=1)
        await put(backend, one)
        await lapse_times(backend, LAPSES_ALLOWED, one)
        found = await record(backend, one.id)
        assert (found.state, found.life.reason) == (State.FAILED, Reason.CRASHED)
        assert found.life.lapses == LAPSES_ALLOWED
        await claims_nothing(backend, suspects=10)

    async def test_the_last_lapse_is_told(self, backend: Backend) -> None:
        one, two = job(max_lapses=1, task="a"), job(max_lapses=1, task="b", keep=Keep(0))
        await put(backend, one, two)
        told = await lapse(backend, *await claim(backend, 2, lease=BRIEF))
        assert set(told) == {
            Change(lost.ref, State.RUNNING, State.FAILED, task=lost.task, reason=Reason.CRASHED)
            for lost in (one, two)
        }

    async def test_what_became_of_lapsed_jobs_is_told(self, backend: Backend) -> None:
        await put(backend, job(max_lapses=2), job(max_lapses=1))
        spared, asked = await claim(backend, 2, lease=BRIEF)
        await backend.inspector.steer(Event.CANCEL, [asked.token.ref])
        assert set(await lapse(backend, spared, asked)) == {
            Change(spared.token.ref, State.RUNNING, State.READY),
            Change(asked.token.ref, State.RUNNING, State.CANCELLED),
        }

    async def test_a_job_has_lapses_of_its_own(self, backend: Backend) -> None:
        one = job(max_lapses=1)
        await put(backend, one)
        await lapse_times(backend, 1, one)
        assert (await record(backend, one.id)).life.reason == Reason.CRASHED

    async def test_a_hundred_jobs_of_one_dead_process_come_back(self, backend: Backend) -> None:
        await put(backend, *numbered(100))
        claims = await claim(backend, 100, lease=BRIEF)
        await lapse(backend, *claims)
        again = await claim(backend, 100)
        assert {one.token.id for one in again} == {one.token.id for one in claims}
        assert {one.lapses for one in again} == {1}

    async def test_all_queues_are_looked_after(self, backend: Backend) -> None:
        await put(backend, job(queue="left"), job(queue="right"))
        claims = await claim(backend, 2, queues=["left", "right"], lease=BRIEF)
        await lapse(backend, *claims)
        assert len(await claim(backend, 2, queues=["left", "right"])) == 2


class LeasesCases:
    """`Backend.leases`."""

    async def test_a_process_holds_what_it_claimed_with_the_number_of_the_claim(
        self, backend: Backend
    ) -> None:
        await put(backend, *numbered(3))
        who = claimant("carol-1")
        fetched = await backend.fetch(Ask(["default"], 3, who, LONG))
        held = await backend.leases("carol-1")
        assert {one.number for one in held} == {who.number}
        assert {(one.token.id, one.token.delivery) for one in held} == {
            (one.token.id, one.token.delivery) for one in fetched.claims
        }

    async def test_a_process_holds_nothing_of_anothers(self, backend: Backend) -> None:
        await put(backend, *numbered(2))
        await claim_one(backend, process=ALICE)
        mine = await claim_one(backend, process=BOB)
        assert [one.token.id for one in await backend.leases(BOB)] == [mine.token.id]
        assert await backend.leases("nobody-1") == []

    async def test_what_is_settled_is_held_no_more(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first, second, third = await claim(backend, 3)
        await ack(backend, succeeded(first))
        await give_back(backend, retried(second, LONG))
        assert [one.token.id for one in await backend.leases(ALICE)] == [third.token.id]

    async def test_what_lapsed_is_held_no_more(self, backend: Backend) -> None:
        await put(backend, job())
        await lapse(backend, await claim_one(backend, lease=BRIEF))
        assert await backend.leases(ALICE) == []

    async def test_leases_of_all_queues_are_held(self, backend: Backend) -> None:
        await put(backend, job(queue="left"), job(queue="right"))
        await claim(backend, 2, queues=["left", "right"])
        held = await backend.leases(ALICE)
        assert {one.token.queue for one in held} == {"left", "right"}

    async def test_a_claim_that_never_arrived_can_be_released(self, backend: Backend) -> None:
        one = await running(backend)
        (held,) = await backend.leases(ALICE)
        await give_back(backend, released(one._replace(token=held.token)))
        again = await claim_one(backend, process=BOB)
        assert (again.token.id, again.attempt) == (one.token.id, 1)
