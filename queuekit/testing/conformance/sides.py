"""Copies of jobs at one side of a cutover, and the step from one copy to another."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from queuekit.backend import (
    ABSENT,
    FOR_EVER,
    Backend,
    Copy,
    Kind,
    Refusal,
    Side,
    Stamp,
    Swap,
    Swapped,
)
from queuekit.job import JobRef, Keep, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    ack,
    answers_of,
    cancelled,
    claim,
    claim_one,
    claims_nothing,
    eventually,
    failed,
    find_all,
    give_back,
    job,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    state_of,
    succeeded,
    wakes,
)
from queuekit.testing.conformance._sides import (
    ENDS,
    HERE,
    TEXT,
    gated,
    here_again,
    hold,
    pages,
    seen,
    swapped,
    taken,
    text_of,
    unmarked,
)


class CopyCases:
    """`Side.look`, `Side.page` and `Side.swap`."""

    async def test_each_kind_is_told_from_the_others(self, backend: Backend, side: Side) -> None:
        claims = [await running(backend) for _ in ENDS]
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        runs = await running(backend)
        ready, later, gone = job(), job(delay=LONG), job(keep=Keep(0), priority=-9)
        await put(backend, ready, later, gone)
        await ack(backend, succeeded(await claim_one(backend)))
        of = [one.token.ref for one in [*claims, runs]] + [
            ready.ref,
            later.ref,
            gone.ref,
            job().ref,
        ]
        found = await side.look(of)
        assert [copy.ref for copy in found] == of
        assert [copy.stamp for copy in found] == [
            Stamp(Kind.DONE),
            Stamp(Kind.FAILED, 0, 0, claims[1].token.delivery),
            Stamp(Kind.FAILED, 0, 0, claims[2].token.delivery),
            Stamp(Kind.RUNNING, 0, 0, runs.token.delivery),
            Stamp(Kind.LIVE),
            Stamp(Kind.LIVE),
            Stamp(Kind.DONE, FOR_EVER),
            ABSENT,
        ]
        records = await backend.inspector.get(of)
        assert [copy.record for copy in found] == records

    async def test_a_mirror_is_kept_as_it_was_put(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        copy = text_of(job().ref, Kind.HELD, generation=3, epoch=7, delivery=2**45)
        assert await swapped(side, ABSENT, copy) == Swapped(ABSENT)
        assert await seen(side, copy.ref) == copy

    async def test_mirrors_are_not_there_for_workers_and_people(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        ref = await hold(side)
        moving = job()
        await put(backend, moving)
        await taken(side, moving.ref)
        await claims_nothing(backend)
        assert await find_all(backend) == []
        assert await backend.inspector.get([ref, moving.ref]) == [None, None]
        assert await backend.inspector.locate([ref.id, moving.id]) == [None, None]
        (change,) = await backend.inspector.steer(Event.CANCEL, [moving.ref])
        assert change.refused is Refusal.GONE

    async def test_what_there_is_a_copy_of_is_known(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        held, moving, buried = job(), job(), job()
        await hold(side, held.ref)
        await put(backend, moving)
        copy = await taken(side, moving.ref)
        assert copy.record is not None
        await swapped(side, ABSENT, text_of(buried.ref, Kind.DONE))
        again = [one._replace(fresh=False) for one in (held, moving, buried)]
        assert answers_of(await backend.enqueue(again)) == [Refusal.KNOWN] * 3
        keyed = [one._replace(key="k") for one in again]
        assert answers_of(await backend.enqueue(keyed)) == [Refusal.KNOWN] * 3
        records = [replace(copy.record, job=one) for one in again]
        assert answers_of(await backend.transfer.store(records)) == [Refusal.KNOWN] * 3
        await claims_nothing(backend)

    async def test_a_job_goes_and_comes_back_as_it_was(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job('{"v":1,"a":{"x":"ü"}}', priority=-3, tags=("a",), max_attempts=9, lease=LONG)
        await put(backend, one)
        await give_back(backend, retried(await claim_one(backend), delay=LONG))
        before = await record(backend, one.ref)
        copy = await taken(side, one.ref)
        assert copy.record == before
        moving = await seen(side, one.ref)
        assert (moving.stamp, moving.text) == (Stamp(Kind.MOVING, 0, HERE.epoch), TEXT)
        assert await swapped(side, moving.stamp, copy) == Swapped(moving.stamp)
        assert unmarked(await record(backend, one.ref)) == unmarked(before)
        assert (await seen(side, one.ref)).stamp == copy.stamp

    @pytest.mark.parametrize("end", [failed, cancelled])
    async def test_a_failed_one_goes_and_comes_back_as_it_was(
        self, backend: Backend, side: Side, end: Any
    ) -> None:
        claimed = await running(backend, tags=("a",))
        await ack(backend, end(claimed))
        await gated(backend)
        ref = claimed.token.ref
        before = await record(backend, ref)
        copy = await taken(side, ref)
        assert await find_all(backend) == []
        assert (await side.census("default")) == {Kind.MOVING: 1}
        stamp = Stamp(Kind.MOVING, 0, HERE.epoch)
        assert await swapped(side, stamp, copy) == Swapped(stamp)
        assert unmarked(await record(backend, ref)) == unmarked(before)
        (change,) = await backend.inspector.steer(Event.RERUN, [ref])
        assert change.now is State.READY
        assert (await claim_one(backend)).token.id == ref.id

    async def test_what_comes_is_at_the_end_of_the_line_and_rings(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        first, second = job(), job()
        await put(backend, first)
        copy = await taken(side, first.ref)
        await put(backend, second)
        await claim_one(backend)

        async def come_back() -> None:
            await swapped(side, Stamp(Kind.MOVING, 0, HERE.epoch), copy)

        assert await wakes(backend, come_back) < 2
        assert (await claim_one(backend)).token.id == first.id

    async def test_what_was_claimed_meanwhile_stays(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job()
        await put(backend, one)
        before = (await seen(side, one.ref)).stamp
        moving = text_of(one.ref, Kind.MOVING, epoch=1)
        claimed = await claim_one(backend)
        runs = Stamp(Kind.RUNNING, 0, 0, claimed.token.delivery)
        assert await swapped(side, before, moving) == Swapped(runs, Refusal.CHANGED)
        assert await swapped(side, runs, moving) == Swapped(runs, Refusal.CHANGED)
        await give_back(backend, released(claimed))
        again = runs._replace(kind=Kind.LIVE)
        assert await swapped(side, before, moving) == Swapped(again, Refusal.CHANGED)
        assert await swapped(side, again, moving) == Swapped(again)

    async def test_a_step_that_is_repeated_finds_what_it_has_put(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        copy = text_of(job().ref, Kind.HELD, generation=1)
        assert await swapped(side, ABSENT, copy) == Swapped(ABSENT)
        assert await swapped(side, ABSENT, copy) == Swapped(copy.stamp, Refusal.CHANGED)

    async def test_of_many_who_swap_one_does(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job()
        await put(backend, one)
        before = (await seen(side, one.ref)).stamp
        moving = text_of(one.ref, Kind.MOVING, epoch=1)
        done = await asyncio.gather(*(swapped(side, before, moving) for _ in range(10)))
        refusals = [one.refused for one in done]
        assert (refusals.count(None), refusals.count(Refusal.CHANGED)) == (1, 9)

    async def test_a_step_of_another_epoch_is_refused(self, backend: Backend, side: Side) -> None:
        copy = text_of(job().ref, Kind.HELD)
        assert await swapped(side, ABSENT, copy) == Swapped(ABSENT, Refusal.STALE)
        await gated(backend)
        assert await swapped(side, ABSENT, copy, epoch=0) == Swapped(ABSENT, Refusal.STALE)
        assert await swapped(side, ABSENT, copy, epoch=2) == Swapped(ABSENT, Refusal.STALE)
        assert (await seen(side, copy.ref)).stamp == ABSENT

    async def test_a_late_step_is_refused(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        copy = text_of(job().ref, Kind.HELD)
        enqueued = (await record(backend, (await running(backend)).token.ref)).times.enqueued_at
        late = await swapped(side, ABSENT, copy, until=enqueued)
        assert late == Swapped(ABSENT, Refusal.LATE)
        assert await swapped(side, ABSENT, copy, until=enqueued + LONG) == Swapped(ABSENT)

    async def test_each_step_stands_for_itself(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        jobs = [*numbered(40), job(queue="other")]
        await put(backend, *jobs)
        claimed = await claim_one(backend)
        copies = await side.look([one.ref for one in jobs])
        moving = [text_of(one.ref, Kind.MOVING, epoch=1) for one in jobs]
        held = text_of(job().ref, Kind.HELD)
        steps = [Swap(Stamp(Kind.LIVE), one, 1) for one in moving]
        done = await side.swap([Swap(ABSENT, held, 1), *steps])
        assert [one.refused for one in done] == [
            None, Refusal.CHANGED, *[None] * 39, Refusal.STALE
        ]  # fmt: skip
        assert claimed.token.id == jobs[0].id
        assert [copy.stamp.kind for copy in await side.look([one.ref for one in jobs])] == [
            Kind.RUNNING, *[Kind.MOVING] * 39, Kind.LIVE
        ]  # fmt: skip
        assert [one.found for one in done[1:]] == [copy.stamp for copy in copies]
        assert await side.swap([]) == []

    async def test_what_is_put_away_is_absent(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        ref = await hold(side)
        held = Stamp(Kind.HELD)
        assert await swapped(side, held, Copy(ref, Stamp(Kind.DONE))) == Swapped(held)
        assert await swapped(side, Stamp(Kind.DONE), Copy(ref, ABSENT)) == Swapped(Stamp(Kind.DONE))
        assert (await seen(side, ref)).stamp == ABSENT
        assert await side.census("default") == {}
        await put(backend, job(id=ref.id))

    async def test_a_mirror_becomes_live(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(tags=("a",))
        await put(backend, one)
        copy = await taken(side, one.ref)
        moving = Stamp(Kind.MOVING, 0, HERE.epoch)
        held = Copy(one.ref, Stamp(Kind.HELD), text=TEXT)
        assert await swapped(side, moving, held) == Swapped(moving)
        assert copy.record is not None
        assert await swapped(side, held.stamp, here_again(copy.record)) == Swapped(held.stamp)
        assert (await claim_one(backend)).token.id == one.id
        assert await side.census("default") == {Kind.RUNNING: 1}

    async def test_ready_ones_come_by_pages_in_their_order(
        self, backend: Backend, side: Side
    ) -> None:
        urgent, jobs, later = job(priority=-1), numbered(9), job(delay=LONG)
        await put(backend, *jobs, urgent, later, job(queue="other"))
        found = await pages(side, Kind.LIVE, 2)
        assert found == [one.ref for one in [urgent, *jobs, later]]
        page = await side.page("default", Kind.LIVE, limit=1)
        assert [copy.record for copy in page.copies] == [await record(backend, urgent.ref)]
        assert [copy.stamp for copy in page.copies] == [Stamp(Kind.LIVE)]

    async def test_copies_come_by_pages(self, backend: Backend, side: Side) -> None:
        claims = [await running(backend) for _ in range(5)]
        await ack(backend, *map(failed, claims[:3]), *map(cancelled, claims[3:]))
        await gated(backend)
        held = {await hold(side) for _ in range(5)}
        moving = numbered(5)
        await put(backend, *moving)
        for one in moving:
            await taken(side, one.ref)
        await put(backend, job())
        assert set(await pages(side, Kind.HELD, 2)) == held
        assert set(await pages(side, Kind.MOVING, 2)) == {one.ref for one in moving}
        assert set(await pages(side, Kind.FAILED, 2)) == {one.token.ref for one in claims}
        assert await pages(side, Kind.DONE, 2) == []
        page = await side.page("default", Kind.HELD, limit=1)
        assert {(copy.stamp, copy.text) for copy in page.copies} == {(Stamp(Kind.HELD), TEXT)}

    async def test_a_suspect_goes_with_its_lapses(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job()
        await put(backend, one)
        for _ in range(2):
            await claim(backend, 1, lease=BRIEF)

            async def is_back() -> bool:
                await backend.maintain(["default"])
                return await state_of(backend, one.ref) is State.READY

            await eventually(is_back)
        copy = await taken(side, one.ref)
        await claims_nothing(backend, suspects=5)
        assert await swapped(side, Stamp(Kind.MOVING, 0, 1), copy) == Swapped(
            Stamp(Kind.MOVING, 0, 1)
        )
        assert (await claim_one(backend, suspects=1)).lapses == 2

    async def test_copies_are_counted_and_paged_queue_by_queue(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend, queue="other")
        moves, later = job(queue="other"), job(queue="other", delay=LONG)
        await put(backend, job(queue="other", priority=-9), job(queue="other", priority=-8))
        await put(backend, moves, later, job(queue="other"))
        await ack(backend, failed(await claim_one(backend, queue="other")))
        await claim_one(backend, queue="other")
        await taken(side, moves.ref)
        await hold(side, JobRef("other", new_id()))
        await gated(backend)
        assert set(await side.census("other")) == set(Kind) - {Kind.ABSENT}
        assert await side.census("default") == {}
        for kind in (Kind.LIVE, Kind.FAILED, Kind.HELD, Kind.MOVING, Kind.DONE):
            assert await pages(side, kind, 10) == []

    async def test_failed_ones_count_as_long_as_they_are_kept(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        await put(backend, job(keep=Keep(BRIEF)), job(keep=Keep(LONG)))
        await ack(backend, failed(await claim_one(backend)))
        await ack(backend, succeeded(await claim_one(backend)))

        async def over() -> bool:
            return Kind.FAILED not in await side.census("default")

        await eventually(over)
        assert await pages(side, Kind.FAILED, 10) == []

    async def test_a_copy_of_one_id_in_two_queues_is_two(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        await gated(backend, queue="other")
        one = JobRef("default", new_id())
        other = JobRef("other", one.id)
        await hold(side, one)
        assert (await seen(side, other)).stamp == ABSENT
        await hold(side, other)
        await swapped(side, Stamp(Kind.HELD), Copy(one, ABSENT))
        assert (await seen(side, one)).stamp == ABSENT
        assert (await seen(side, other)).stamp == Stamp(Kind.HELD)
