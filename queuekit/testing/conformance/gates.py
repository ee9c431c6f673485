"""The gates of queues in a cutover."""

import asyncio
from typing import cast

import pytest

from queuekit.backend import (
    Backend,
    Gate,
    Guard,
    HasSides,
    JobFilter,
    Kind,
    Mark,
    Refusal,
    Side,
)
from queuekit.errors import QueueMoved
from queuekit.job import Keep, State
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    LONG,
    STORED,
    ack,
    answers_of,
    claim,
    claim_one,
    failed,
    find_all,
    give_back,
    job,
    put,
    retried,
    running,
    succeeded,
)
from queuekit.testing.conformance._sides import (
    HERE,
    THERE,
    gated,
    hold,
    in_a_while,
    refused,
    taken,
)
from queuekit.testing.conformance.schedules import a_schedule, a_tick, firing


class GateCases:
    """`Side.gates` and `Side.turn`."""

    @pytest.fixture
    def side(self, backend: Backend) -> Side:
        """The backend as one side."""
        return cast(HasSides, backend).side

    async def test_a_queue_has_no_gate_at_first(self, side: Side) -> None:
        assert await side.gates(["default", "other"]) == [None, None]
        assert await side.gates([]) == []
        assert await side.gated() == []

    async def test_queues_with_a_gate_are_listed(self, backend: Backend, side: Side) -> None:
        await put(backend, job(queue="other"))
        await gated(backend, queue="left")
        await gated(backend, THERE, queue="B")
        assert await side.gated() == ["B", "left"]
        await side.turn("left", HERE, None)
        assert await side.gated() == ["B"]

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
        await gated(backend, HERE)
        await put(backend, job(), job(key="k"))

    async def test_an_atomic_batch_of_a_shut_queue_is_refused_whole(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend, THERE._replace(mark=Mark.SEALED, marked_at=1))
        with pytest.raises(QueueMoved, match="other-store"):
            await backend.enqueue([job(), job()], atomic=True)
        assert await find_all(backend) == []

    async def test_the_clock_is_that_of_the_server(self, backend: Backend, side: Side) -> None:
        before = await side.clock()
        await put(backend, job())
        (stored,) = await find_all(backend)
        assert before <= stored.times.enqueued_at <= await side.clock()

    async def test_jobs_are_stored_in_an_epoch(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        guard = Guard(HERE.epoch, await in_a_while(side))
        many = [job(), job(delay=LONG), job(key="k"), job(fresh=False)]
        assert answers_of(await side.enqueue(many, guard)) == [STORED] * len(many)
        assert len(await find_all(backend)) == len(many)
        assert answers_of(await side.enqueue([], guard)) == []

    @pytest.mark.parametrize("epoch", [HERE.epoch - 1, HERE.epoch + 1])
    async def test_jobs_are_refused_in_another_epoch(
        self, backend: Backend, side: Side, epoch: int
    ) -> None:
        await gated(backend)
        known = job()
        await put(backend, known)
        guard = Guard(epoch, await in_a_while(side))
        again = known._replace(fresh=False)
        many = [job(), job(delay=LONG), job(key="k"), again, job(fresh=False)]
        expected = [Refusal.STALE] * 3 + [Refusal.KNOWN, Refusal.STALE]
        assert answers_of(await side.enqueue(many, guard)) == expected
        assert answers_of(await side.enqueue(many[:1], guard)) == [Refusal.STALE]
        assert [one.job.id for one in await find_all(backend)] == [known.id]

    async def test_no_epoch_is_another_one(self, side: Side) -> None:
        until = await in_a_while(side)
        assert answers_of(await side.enqueue([job()], Guard(1, until))) == [Refusal.STALE]
        assert answers_of(await side.enqueue([job()], Guard(None, until))) == [STORED]

    async def test_jobs_are_refused_when_it_is_too_late(self, backend: Backend, side: Side) -> None:
        known = job()
        await put(backend, known)
        over = Guard(None, await side.clock() - 1)
        again = known._replace(fresh=False)
        assert answers_of(await side.enqueue([job(), job()], over)) == [Refusal.LATE] * 2
        many = [job(delay=LONG), job(key="k"), again]
        expected = [Refusal.LATE, Refusal.LATE, Refusal.KNOWN]
        assert answers_of(await side.enqueue(many, over)) == expected
        await gated(backend)
        assert answers_of(await side.enqueue(many, over)) == expected
        assert [one.job.id for one in await find_all(backend)] == [known.id]

    async def test_a_shut_queue_refuses_in_each_epoch(self, backend: Backend, side: Side) -> None:
        await gated(backend, THERE._replace(mark=Mark.SEALED, marked_at=1))
        for epoch in (THERE.epoch, THERE.epoch + 1, None):
            (change,) = await side.enqueue([job()], Guard(epoch, await side.clock() - 1))
            assert (change.refused, change.detail) == (Refusal.MOVED, "other-store")

    async def test_what_is_there_of_a_shut_queue_runs_on(self, backend: Backend) -> None:
        held = await running(backend)
        await put(backend, job(), job())
        await gated(backend, THERE._replace(mark=Mark.SEALED, marked_at=1))
        await give_back(backend, retried(held))
        claims = await claim(backend, 3)
        await ack(backend, *map(succeeded, claims))
        assert [one.state for one in await find_all(backend)] == [State.SUCCEEDED] * 3

    async def test_schedules_tick_where_the_queue_is_active(
        self, backend: Backend, side: Side
    ) -> None:
        one, two = a_schedule(), a_schedule(queue="other")
        await backend.schedules.schedule([one, two])
        await gated(backend, THERE)
        tick, another = firing(one, ("1", a_tick())), firing(two, ("1", a_tick(queue="other")))
        due = await backend.schedules.due(["default", "other"], 10)
        assert [found.ref for found in due.schedules] == [two.ref]
        assert (await backend.schedules.due(["default"], 10)).due_in is None
        assert (await backend.maintain(["default"])).due_in is None
        done = await backend.schedules.fire([tick, another])
        assert [found is not None for found in done] == [False, True]
        (stays,) = await backend.schedules.get([one.ref])
        assert stays is not None
        assert (stays.tick, stays.count) == ("1", 0)
        await gated(backend, THERE._replace(epoch=2))
        assert len((await backend.schedules.due(["default"], 10)).schedules) == 1
        assert (await backend.maintain(["default"])).due_in == 0
        (fired,) = await backend.schedules.fire([tick])
        assert fired is not None
        await claim_one(backend)

    async def test_people_run_again_where_the_queue_is_active(self, backend: Backend) -> None:
        claimed = await running(backend)
        await ack(backend, failed(claimed))
        await gated(backend, THERE, queue="other")
        ref = claimed.token.ref
        (change,) = await backend.inspector.steer(Event.RERUN, [ref])
        assert change.done
        await ack(backend, failed(await claim_one(backend)))
        await gated(backend, THERE)
        (change,) = await backend.inspector.steer(Event.RERUN, [ref])
        assert (change.refused, change.detail) == (Refusal.MOVED, "other-store")
        assert (change.found, change.now) == (State.FAILED, State.FAILED)
        await gated(backend, THERE._replace(epoch=2))
        (change,) = await backend.inspector.steer(Event.RERUN, [ref])
        assert (change.done, change.now) == (True, State.READY)
