"""One side of a cutover: gates, copies, and the step from one copy to another."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from queuekit.backend import (
    ABSENT,
    FOR_EVER,
    Backend,
    Change,
    Copy,
    Gate,
    HasSides,
    JobFilter,
    Kind,
    Mark,
    Refusal,
    Side,
    Stamp,
    Swap,
    Swapped,
)
from queuekit.errors import QueueMoved
from queuekit.job import Job, JobRef, Keep, State, new_id
from queuekit.lifecycle import Event
from queuekit.record import JobRecord, Notes
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    STORED,
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
    sweep,
    wakes,
)

HERE: Final = Gate(side=0, epoch=1, other="other-store")
"""The gate of an active side."""
THERE: Final = Gate(side=1, epoch=1, other="other-store")
"""That of a passive one."""
TEXT: Final = '{"a":"ü\\n \U0001f600","b":[1,null]}'
ENDS: Final = [State.SUCCEEDED, State.FAILED, State.CANCELLED]


async def gated(backend: Backend, gate: Gate = HERE, queue: str = "default") -> Side:
    """The side of a queue that has this gate from now on."""
    side = cast(HasSides, backend).side
    (before,) = await side.gates([queue])
    assert await side.turn(queue, before, gate) == gate
    return side


async def seen(side: Side, ref: JobRef) -> Copy:
    """What is there of a job."""
    (copy,) = await side.look([ref])
    assert copy.ref == ref
    return copy


async def swapped(side: Side, before: Stamp, after: Copy, **fields: Any) -> Swapped:
    """One step, in the epoch of `HERE`."""
    given = {"epoch": HERE.epoch, **fields}
    (done,) = await side.swap([Swap(before, after, **given)])
    return done


def text_of(ref: JobRef, kind: Kind, **stamp: int) -> Copy:
    """A copy that is a text."""
    return Copy(ref, Stamp(kind, **stamp), text=TEXT)


def here_again(found: JobRecord) -> Copy:
    """A copy that is a job, or a record."""
    kind = Kind.FAILED if found.finished else Kind.LIVE
    stamp = Stamp(kind, found.life.generation, 0, found.life.delivery)
    return Copy(found.ref, stamp, found)


def unmarked(found: JobRecord) -> JobRecord:
    """Without what each store says in its own way: lists may be tuples."""
    result, errors, history, progress, logs = found.notes
    notes = Notes(result, tuple(errors), tuple(history), progress, tuple(logs))
    return replace(found, notes=notes)


async def hold(side: Side, ref: JobRef | None = None) -> JobRef:
    """A mirror is there."""
    ref = ref or job().ref
    assert await swapped(side, ABSENT, text_of(ref, Kind.HELD)) == Swapped(ABSENT)
    return ref


async def taken(side: Side, ref: JobRef) -> Copy:
    """A job, or a failed record, is moving; as it was before."""
    copy = await seen(side, ref)
    moving = text_of(ref, Kind.MOVING, generation=copy.stamp.generation, epoch=HERE.epoch)
    assert await swapped(side, copy.stamp, moving) == Swapped(copy.stamp)
    return copy


async def pages(side: Side, kind: Kind, limit: int) -> list[JobRef]:
    """Of all copies of a kind."""
    page = await side.page("default", kind, limit=limit)
    found = [copy.ref for copy in page.copies]
    while page.cursor is not None:
        page = await side.page("default", kind, cursor=page.cursor, limit=limit)
        found += [copy.ref for copy in page.copies]
    return found


async def refused(backend: Backend, *jobs: Job[Any]) -> list[Change]:
    """Jobs that must all be refused, as their queue has moved."""
    changes = list(await backend.enqueue(jobs))
    assert answers_of(changes) == [Refusal.MOVED] * len(jobs)
    return changes


class GateCases:
    """`Side.gates` and `Side.turn`."""

    @pytest.fixture
    def side(self, backend: Backend) -> Side:
        """The backend as one side."""
        return cast(HasSides, backend).side

    async def test_a_queue_has_no_gate_at_first(self, side: Side) -> None:
        assert await side.gates(["default", "other"]) == [None, None]
        assert await side.gates([]) == []

    async def test_a_gate_is_read_as_it_was_turned(self, backend: Backend, side: Side) -> None:
        sealed = Gate(1, 2**40, "fi nger:print/1", Mark.SEALED, 2**40)
        await gated(backend)
        assert await side.turn("default", HERE, sealed) == sealed
        assert await side.gates(["other", "default"]) == [None, sealed]

    async def test_a_gate_that_is_another_one_stays(self, side: Side) -> None:
        assert await side.turn("default", HERE, THERE) is None
        assert await side.turn("default", None, HERE) == HERE
        assert await side.turn("default", None, THERE) == HERE
        assert await side.turn("default", HERE._replace(epoch=3), THERE) == HERE
        assert await side.gates(["default"]) == [HERE]

    async def test_of_many_who_turn_a_gate_one_does(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        ways = [HERE._replace(epoch=2, other=f"store-{n}") for n in range(10)]
        found = await asyncio.gather(*(side.turn("default", HERE, way) for way in ways))
        assert len(set(found)) == 1
        assert await side.gates(["default"]) == [found[0]]

    async def test_a_gate_goes(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        assert await side.turn("default", HERE, None) is None
        assert await side.gates(["default"]) == [None]

    async def test_a_gate_is_turned_only_without_some_kinds(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        turned = HERE._replace(mark=Mark.SEALED)
        one, later = job(), job(delay=LONG)
        await put(backend, one, later)

        async def turn(*without: Kind) -> bool:
            found = await side.turn("default", HERE, turned, without=without)
            return found == turned and await side.turn("default", turned, HERE) == HERE

        assert not await turn(Kind.LIVE)
        assert await turn(Kind.RUNNING, Kind.HELD, Kind.MOVING, Kind.FAILED, Kind.DONE)
        claimed = await claim_one(backend)
        assert not await turn(Kind.HELD, Kind.RUNNING)
        await ack(backend, failed(claimed))
        assert not await turn(Kind.FAILED)
        assert not await turn(Kind.LIVE)
        await taken(side, later.ref)
        assert not await turn(Kind.MOVING)
        assert await turn(Kind.LIVE, Kind.RUNNING)
        await hold(side)
        assert not await turn(Kind.HELD)

    async def test_a_census_counts_each_kind(self, backend: Backend, side: Side) -> None:
        assert await side.census("default") == {}
        await gated(backend)
        lives, dead = [job(), job(delay=LONG), job(priority=3)], job(keep=Keep(0))
        await put(backend, job(queue="other"), job(priority=-2), dead)
        await ack(backend, failed(await claim_one(backend)))
        await ack(backend, succeeded(await claim_one(backend)))
        await put(backend, *lives, job(priority=-1))
        await claim_one(backend)
        await hold(side)
        await taken(side, lives[1].ref)
        assert await side.census("default") == {
            Kind.LIVE: 2,
            Kind.RUNNING: 1,
            Kind.FAILED: 1,
            Kind.HELD: 1,
            Kind.MOVING: 1,
            Kind.DONE: 2,
        }

    async def test_a_shut_queue_takes_no_new_jobs(self, backend: Backend, side: Side) -> None:
        known = job()
        await put(backend, known)
        await gated(backend, THERE._replace(mark=Mark.SEALED, marked_at=1))
        changes = await refused(backend, job(), job())
        assert [(one.found, one.now, one.detail) for one in changes] == [
            (None, None, "other-store")
        ] * 2
        await refused(backend, job(delay=LONG), job(priority=3), job(tags=("a",)))
        await refused(backend, job(key="k"))
        again = known._replace(fresh=False)
        answers = answers_of(await backend.enqueue([again, job(queue="other"), job()]))
        assert answers == [Refusal.KNOWN, STORED, Refusal.MOVED]
        assert [one.ref.id for one in await find_all(backend, JobFilter(queues=["default"]))] == [
            known.id
        ]
        await gated(backend, THERE._replace(mark=Mark.CLOSED, marked_at=1))
        await refused(backend, job())
        await gated(backend, THERE)
        await put(backend, job(), job(key="k"))

    async def test_an_atomic_batch_of_a_shut_queue_is_refused_whole(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend, THERE._replace(mark=Mark.SEALED, marked_at=1))
        with pytest.raises(QueueMoved, match="other-store"):
            await backend.enqueue([job(), job()], atomic=True)
        assert await find_all(backend) == []

    async def test_what_is_there_of_a_shut_queue_runs_on(self, backend: Backend) -> None:
        held = await running(backend)
        await put(backend, job(), job())
        await gated(backend, THERE._replace(mark=Mark.SEALED, marked_at=1))
        await give_back(backend, retried(held))
        claims = await claim(backend, 3)
        await ack(backend, *map(succeeded, claims))
        assert [one.state for one in await find_all(backend)] == [State.SUCCEEDED] * 3

    async def test_people_run_again_where_the_queue_is_active(self, backend: Backend) -> None:
        claimed = await running(backend)
        await ack(backend, failed(claimed))
        await gated(backend, THERE)
        ref = claimed.token.ref
        (change,) = await backend.inspector.steer(Event.RERUN, [ref])
        assert (change.refused, change.detail) == (Refusal.MOVED, "other-store")
        assert (change.found, change.now) == (State.FAILED, State.FAILED)
        await gated(backend, THERE._replace(epoch=2))
        (change,) = await backend.inspector.steer(Event.RERUN, [ref])
        assert (change.done, change.now) == (True, State.READY)


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


class TombstoneCases:
    """What ends in a cutover."""

    async def buried(self, backend: Backend, side: Side, refs: Sequence[JobRef]) -> list[Stamp]:
        """The tombstones of jobs whose record is gone."""
        found = await side.look(refs)
        assert [copy.record for copy in found] == [None] * len(refs)
        assert (await side.census("default")).get(Kind.DONE) == len(refs)
        return [copy.stamp for copy in found]

    async def test_what_ends_leaves_a_tombstone(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        claims = [await running(backend, keep=Keep(0)) for _ in ENDS]
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        refs = [one.token.ref for one in claims]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 3

    async def test_many_that_succeed_leave_tombstones(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        jobs = numbered(30)
        await put(backend, *jobs)
        await ack(backend, *(succeeded(one, keep=Keep(0)) for one in await claim(backend, 30)))
        refs = [one.ref for one in jobs]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 30

    async def test_those_with_a_record_leave_tombstones_besides(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        await put(backend, *numbered(5))
        await ack(backend, *map(succeeded, await claim(backend, 5)))
        assert await side.census("default") == {Kind.DONE: 5}
        assert len(await find_all(backend)) == 5

    async def test_what_expires_leaves_a_tombstone(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(expires=1, keep=Keep(0))
        await put(backend, one)

        async def is_over() -> bool:
            await backend.maintain(["default"])
            return (await seen(side, one.ref)).stamp.kind is Kind.DONE

        await eventually(is_over)
        assert await self.buried(backend, side, [one.ref]) == [Stamp(Kind.DONE)]

    async def test_what_people_end_leaves_a_tombstone(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        dropped, deleted = job(keep=Keep(0)), job()
        await put(backend, dropped, deleted)
        await backend.inspector.steer(Event.CANCEL, [dropped.ref])
        await backend.inspector.steer(Event.DELETE, [deleted.ref])
        refs = [dropped.ref, deleted.ref]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 2

    async def test_a_record_that_is_deleted_leaves_a_tombstone(
        self, backend: Backend, side: Side
    ) -> None:
        claims = [await running(backend) for _ in ENDS]
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        await gated(backend)
        assert await sweep(backend, Event.CLEAN) == 3
        refs = [one.token.ref for one in claims]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 3

    async def test_a_tombstone_is_of_the_last_generation(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        claimed = await running(backend, keep=Keep(LONG))
        ref = claimed.token.ref
        await ack(backend, failed(claimed))
        await backend.inspector.steer(Event.RERUN, [ref])
        assert (await seen(side, ref)).stamp == Stamp(Kind.LIVE, 1, 0, claimed.token.delivery)
        again = await claim_one(backend)
        await ack(backend, succeeded(again))
        assert (await seen(side, ref)).stamp == Stamp(Kind.DONE, 1)
        await backend.inspector.steer(Event.DELETE, [ref])
        assert await self.buried(backend, side, [ref]) == [Stamp(Kind.DONE, 1)]

    async def test_without_a_cutover_there_are_no_tombstones(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend, queue="other")
        await put(backend, *numbered(3))
        claims = await claim(backend, 3)
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        await sweep(backend, Event.CLEAN)
        assert await side.census("default") == {}

    async def test_a_tombstone_that_was_put_may_hold_a_text(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        copy = text_of(JobRef("default", new_id()), Kind.DONE, generation=2)
        await swapped(side, ABSENT, copy)
        assert await seen(side, copy.ref) == copy
