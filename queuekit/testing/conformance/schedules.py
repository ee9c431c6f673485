"""Recurring work: what is kept of schedules, and how their ticks become jobs."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest

from queuekit.backend import Backend, Presence, Refusal
from queuekit.job import Job, Keep, Micros, State, new_id
from queuekit.schedule import OF_ANOTHER_RULE, TICKS_KEPT, Fired, Firing, Schedule, ScheduleRef
from queuekit.testing.conformance._make import (
    ALICE,
    LONG,
    SECOND,
    UNSTORABLE,
    ack,
    answers_of,
    claim,
    claim_one,
    claims_nothing,
    find_all,
    job,
    put,
    record,
    state_of,
    succeeded,
    wakes,
)

QUEUES: Final = ["default"]
RULE: Final = '{"every":1}'
OTHER: Final = '{"every":2}'


def now() -> Micros:
    """By this machine's clock; servers of tests run on it."""
    return round(time.time() * 1_000_000)


def a_schedule(name: str = "nightly", queue: str = "default", **fields: Any) -> Schedule:
    """One that is due."""
    given = {"rule": RULE, "job": "{}", "tick": "1", "due_at": now() - SECOND, **fields}
    return Schedule(ScheduleRef(queue, name), **given)


def a_tick(queue: str = "default", **options: Any) -> Job[Any]:
    """A job whose id was made of its tick, so a history may know it."""
    return job(id=new_id(), queue=queue, **options)


def firing(of: Schedule, *jobs: tuple[str, Job[Any]], **fields: Any) -> Firing:
    """The next tick of a schedule, which is due in a minute then."""
    given = {"next_tick": "2", "next_at": now() + LONG, **fields}
    return Firing(of.ref, of.rule, of.tick or "", jobs, **given)


async def stored(backend: Backend, **fields: Any) -> Schedule:
    """One that is there."""
    one = a_schedule(**fields)
    await backend.schedules.schedule([one])
    return one


async def seen(backend: Backend, one: Schedule) -> Schedule:
    """As it is stored now."""
    (found,) = await backend.schedules.get([one.ref])
    assert found is not None
    return found


async def fire(backend: Backend, *firings: Firing) -> list[bool]:
    """For each whether it was done."""
    return [one is not None for one in await backend.schedules.fire(firings)]


async def due_names(backend: Backend, limit: int = 100) -> Sequence[str]:
    """Of those that are due."""
    return [one.ref.name for one in (await backend.schedules.due(QUEUES, limit)).schedules]


def noted(one: Schedule) -> list[tuple[str, UUID | None]]:
    """Its last ticks, and their jobs."""
    return [(tick, id_) for tick, _, id_ in one.fired]


class ScheduleCases:
    """`Schedules`."""

    async def test_a_schedule_is_read_as_it_was_stored(self, backend: Backend) -> None:
        ticks = [Fired("0", now(), new_id()), Fired("1", now(), None)]
        whole = a_schedule(
            "ü", job='{"a":"ü\\n"}', tick="2026#2", paused=True, count=7, fired=ticks
        )
        bare = a_schedule("bare", tick=None, due_at=None)
        await backend.schedules.schedule([whole, bare])
        assert [_listed(one) for one in await backend.schedules.get([bare.ref, whole.ref])] == [
            _listed(bare),
            _listed(whole),
        ]

    async def test_a_schedule_that_is_not_there(self, backend: Backend) -> None:
        assert await backend.schedules.get([ScheduleRef("default", "none")]) == [None]

    async def test_an_empty_batch_of_schedules(self, backend: Backend) -> None:
        await backend.schedules.schedule([])
        assert list(await backend.schedules.get([])) == []
        assert list(await backend.schedules.fire([])) == []

    async def test_schedules_are_found_by_queue_and_name(self, backend: Backend) -> None:
        names = [("right", "a"), ("default", "b"), ("default", "a"), ("left", "c")]
        await backend.schedules.schedule([a_schedule(name, queue) for queue, name in names])
        found = [tuple(one.ref) for one in await backend.schedules.find()]
        assert found == sorted(names)
        found = [tuple(one.ref) for one in await backend.schedules.find(["left", "right"])]
        assert found == [("left", "c"), ("right", "a")]

    async def test_schedules_are_found_by_name(self, backend: Backend) -> None:
        for queue, name in (("right", "a"), ("default", "b"), ("left", "a")):
            await stored(backend, name=name, queue=queue)
        assert [one.ref.queue for one in await backend.schedules.named("a")] == ["left", "right"]
        assert list(await backend.schedules.named("c")) == []

    async def test_of_one_name_twice_in_a_batch_the_last_is_stored(self, backend: Backend) -> None:
        await backend.schedules.schedule([a_schedule(job="1"), a_schedule(job="2")])
        (found,) = await backend.schedules.find()
        assert found.job == "2"

    async def test_many_schedules(self, backend: Backend) -> None:
        base = now()
        many = [a_schedule(f"{n:04}", due_at=base - n) for n in range(1500)]
        await backend.schedules.schedule(many)
        assert len(await backend.schedules.find()) == 1500
        due = await backend.schedules.due(QUEUES, 1000)
        assert [one.ref.name for one in due.schedules] == [f"{n:04}" for n in range(1499, 499, -1)]
        assert due.due_in == 0

    # Due

    async def test_schedules_are_due_when_their_time_has_come(self, backend: Backend) -> None:
        early, late = now() - 2 * SECOND, now() - SECOND
        times = {"late": late, "early": early, "soon": now() + LONG, "later": now() + 2 * LONG}
        await backend.schedules.schedule([a_schedule(n, due_at=at) for n, at in times.items()])
        due = await backend.schedules.due(QUEUES, 10)
        assert [one.ref.name for one in due.schedules] == ["early", "late"]
        assert abs(due.now - now()) < LONG
        assert due.due_in is not None
        assert 0 < due.due_in <= LONG

    async def test_no_more_are_due_than_asked_for(self, backend: Backend) -> None:
        for n in range(3):
            await stored(backend, name=str(n), due_at=now() - SECOND + n)
        assert await due_names(backend, 2) == ["0", "1"]
        assert (await backend.schedules.due(QUEUES, 2)).due_in == 0
        assert (await backend.schedules.due(QUEUES, 3)).due_in is None

    async def test_a_schedule_comes_due(self, backend: Backend) -> None:
        await stored(backend, due_at=now() + 200_000)
        assert await due_names(backend) == []
        due = await backend.schedules.due(QUEUES, 0)
        await asyncio.sleep((due.due_in or 0) / SECOND + 0.01)
        assert await due_names(backend) == ["nightly"]

    async def test_only_schedules_of_these_queues_are_due(self, backend: Backend) -> None:
        await stored(backend, queue="left")
        await stored(backend, queue="right")
        due = await backend.schedules.due(["right"], 10)
        assert [one.ref.queue for one in due.schedules] == ["right"]
        assert due.due_in is None

    async def test_a_finished_schedule_is_not_due(self, backend: Backend) -> None:
        one = await stored(backend, tick=None, due_at=None)
        assert (await backend.schedules.due(QUEUES, 10))[::2] == ([], None)
        assert (await seen(backend, one)).tick is None

    # Firing

    async def test_a_tick_makes_a_job(self, backend: Backend) -> None:
        one, made = await stored(backend), a_tick(payload='"x"', priority=-3)
        assert await fire(backend, firing(one, ("1", made))) == [True]
        found = await claim_one(backend)
        assert (found.token.id, found.payload) == (made.id, '"x"')
        assert (await record(backend, made.id)).job.options.priority == -3

    async def test_a_schedule_goes_on_when_its_tick_has_fired(self, backend: Backend) -> None:
        one, made, next_at = await stored(backend, count=4), a_tick(), now() + LONG
        await backend.schedules.fire([firing(one, ("1", made), next_at=next_at)])
        found = await seen(backend, one)
        assert (found.tick, found.due_at, found.count) == ("2", next_at, 5)
        (tick,) = found.fired
        assert (tick.tick, tick.id) == ("1", made.id)
        assert abs(tick.at - now()) < LONG
        assert await due_names(backend) == []

    async def test_a_schedule_that_is_due_comes_without_what_has_fired(
        self, backend: Backend
    ) -> None:
        one = await stored(backend)
        await fire(backend, firing(one, ("1", a_tick()), next_at=one.due_at))
        (due,) = (await backend.schedules.due(QUEUES, 9)).schedules
        found = await seen(backend, one)
        assert list(due.fired) == []
        assert len(found.fired) == 1
        assert due == replace(found, fired=due.fired)

    async def test_a_tick_that_is_fired_again_makes_no_job(self, backend: Backend) -> None:
        one, made = await stored(backend), a_tick()
        both = [firing(one, ("1", made))] * 2
        assert await fire(backend, *both) == [True, False]
        assert await fire(backend, both[0]) == [False]
        assert (await seen(backend, one)).count == 1
        assert len(await find_all(backend)) == 1

    async def test_of_many_who_fire_a_tick_one_does(self, backend: Backend) -> None:
        one = await stored(backend)
        ticks = [firing(one, ("1", a_tick())) for _ in range(20)]
        answers = await asyncio.gather(*(fire(backend, tick) for tick in ticks))
        assert sorted(answers) == [[False]] * 19 + [[True]]
        assert len(await find_all(backend)) == 1

    async def test_a_tick_does_not_fire_again_when_its_job_is_long_gone(
        self, backend: Backend
    ) -> None:
        one, made = await stored(backend), a_tick(keep=Keep(0))
        tick = firing(one, ("1", made))
        await backend.schedules.fire([tick])
        await ack(backend, succeeded(await claim_one(backend)))
        anew = tick._replace(jobs=[("1", a_tick())])  # as if its id were known no more
        assert await fire(backend, anew) == [False]
        await claims_nothing(backend)

    @pytest.mark.parametrize(("rule", "tick"), [(OTHER, "1"), (RULE, "0")])
    async def test_a_schedule_that_is_not_as_it_was_does_not_fire(
        self, backend: Backend, rule: str, tick: str
    ) -> None:
        one = await stored(backend)
        stale = firing(one, ("1", a_tick()))._replace(rule=rule, tick=tick)
        assert await fire(backend, stale) == [False]
        assert (await seen(backend, one)).tick == "1"
        await claims_nothing(backend)

    async def test_of_a_batch_what_can_fires(self, backend: Backend) -> None:
        first, stale, other = a_schedule("a"), a_schedule("b"), a_schedule("c", "right")
        await backend.schedules.schedule([first, stale, other])
        ticks = [firing(one, ("1", a_tick(one.ref.queue))) for one in (other, stale, first)]
        ticks[1] = ticks[1]._replace(tick="0")
        assert await fire(backend, *ticks) == [True, False, True]
        assert len(await claim(backend, 2, queues=["default", "right"])) == 2

    async def test_several_ticks_fire_at_once(self, backend: Backend) -> None:
        one = await stored(backend)
        jobs = [(str(n), a_tick(payload=str(n))) for n in range(3)]
        await backend.schedules.fire([firing(one, *jobs, next_tick="3")])
        assert [found.payload for found in await claim(backend, 3)] == ["0", "1", "2"]
        found = await seen(backend, one)
        assert noted(found) == [(tick, job.id) for tick, job in jobs]
        assert (found.tick, found.count) == ("3", 3)

    async def test_ticks_may_be_left_out(self, backend: Backend) -> None:
        one = await stored(backend)
        assert await fire(backend, firing(one)) == [True]
        found = await seen(backend, one)
        assert (found.tick, found.count, list(found.fired)) == ("2", 0, [])
        await claims_nothing(backend)

    async def test_the_last_tick_ends_a_schedule(self, backend: Backend) -> None:
        one = await stored(backend)
        last = firing(one, ("1", a_tick()), next_tick=None, next_at=None)
        assert await fire(backend, last) == [True]
        found = await seen(backend, one)
        assert (found.tick, found.due_at, found.count) == (None, None, 1)
        assert await due_names(backend) == []

    async def test_a_tick_whose_key_is_held_makes_no_job(self, backend: Backend) -> None:
        one, holder = await stored(backend), job(key="k")
        await put(backend, holder)
        jobs = [("1", a_tick(key="k")), ("2", a_tick())]
        (told,) = await backend.schedules.fire([firing(one, *jobs)])
        assert told is not None
        assert answers_of(told) == [Refusal.KEY_HELD, "stored"]
        assert told[0].holder == holder.id
        found = await seen(backend, one)
        assert noted(found) == [("1", None), ("2", jobs[1][1].id)]
        assert found.count == 2
        assert {one.job.id for one in await find_all(backend)} == {holder.id, jobs[1][1].id}

    async def test_a_tick_whose_job_is_there_makes_no_other(self, backend: Backend) -> None:
        one, made = await stored(backend), a_tick()
        await put(backend, made)
        (told,) = await backend.schedules.fire([firing(one, ("1", made))])
        assert told is not None
        assert answers_of(told) == [Refusal.KNOWN]
        assert noted(await seen(backend, one)) == [("1", made.id)]
        assert len(await find_all(backend)) == 1

    async def test_a_tick_whose_job_can_not_be_stored_holds_up_nothing(
        self, backend: Backend
    ) -> None:
        one, other = await stored(backend), await stored(backend, name="other")
        good, bad = a_tick(), a_tick(payload=UNSTORABLE)
        told, others = await backend.schedules.fire(
            [firing(one, ("1", good), ("2", bad)), firing(other, ("1", a_tick()))]
        )
        assert told is not None
        assert others is not None
        assert answers_of(told) == ["stored", Refusal.UNSTORABLE]
        assert told[1].detail
        assert answers_of(others) == ["stored"]
        found = await seen(backend, one)
        assert noted(found) == [("1", good.id), ("2", None)]
        assert (found.tick, found.count) == ("2", 2)
        assert len(await find_all(backend)) == 2

    async def test_a_tick_may_have_a_delay(self, backend: Backend) -> None:
        one, made = await stored(backend), a_tick(delay=LONG)
        await backend.schedules.fire([firing(one, ("1", made))])
        assert await state_of(backend, made.id) is State.SCHEDULED

    async def test_the_last_ticks_are_kept(self, backend: Backend) -> None:
        one = await stored(backend, tick="0")
        for n in range(TICKS_KEPT + 3):
            tick = firing(one, (str(n), a_tick()))._replace(tick=str(n), next_tick=str(n + 1))
            assert await fire(backend, tick) == [True]
        found = await seen(backend, one)
        assert [tick for tick, _ in noted(found)] == [str(n) for n in range(3, TICKS_KEPT + 3)]
        many = [(f"x{n}", a_tick()) for n in range(TICKS_KEPT + 2)]
        await backend.schedules.fire([firing(found, *many)])
        assert [tick for tick, _ in noted(await seen(backend, one))] == [
            tick for tick, _ in many[2:]
        ]

    async def test_a_tick_rings(self, backend: Backend) -> None:
        one = await stored(backend)

        async def fire() -> None:
            await backend.schedules.fire([firing(one, ("1", a_tick()))])

        assert await wakes(backend, fire) < 25

    async def test_a_schedule_that_is_stored_or_resumed_rings(self, backend: Backend) -> None:
        """Somebody has to know when its next tick is due."""
        me = Presence(process=ALICE, host="h", pid=1, version="0", queues=QUEUES)
        await backend.present(me)
        one = a_schedule(due_at=now() + LONG)
        assert await wakes(backend, lambda: backend.schedules.schedule([one])) < 25

        async def resume() -> None:
            await backend.schedules.pause([one.ref], paused=False)

        assert await wakes(backend, resume) < 25

    async def test_one_name_in_two_queues(self, backend: Backend) -> None:
        left, right = await stored(backend, queue="left"), await stored(backend, queue="right")
        await backend.schedules.fire([firing(left, ("1", a_tick("left")))])
        await backend.schedules.pause([left.ref], paused=True)
        found = await seen(backend, right)
        assert (found.tick, found.paused, list(found.fired)) == ("1", False, [])
        await backend.schedules.unschedule([left.ref])
        assert [one.ref for one in await backend.schedules.find()] == [right.ref]

    # Pausing and removing

    async def test_a_paused_schedule_is_not_due_until_it_is_resumed(self, backend: Backend) -> None:
        one = await stored(backend)
        assert await backend.schedules.pause([one.ref], paused=True) == [True]
        assert (await backend.schedules.due(QUEUES, 10))[::2] == ([], None)
        assert (await seen(backend, one)).paused
        assert await backend.schedules.pause([one.ref], paused=False) == [True]
        assert await due_names(backend) == ["nightly"]

    async def test_a_schedule_that_is_paused_meanwhile_does_not_fire(
        self, backend: Backend
    ) -> None:
        one = await stored(backend)
        tick = firing(one, ("1", a_tick()))
        await backend.schedules.pause([one.ref], paused=True)
        assert await fire(backend, tick) == [False]
        await claims_nothing(backend)
        await backend.schedules.pause([one.ref], paused=False)
        assert await fire(backend, tick) == [True]

    async def test_a_schedule_that_is_removed_meanwhile_does_not_fire(
        self, backend: Backend
    ) -> None:
        one = await stored(backend)
        assert await backend.schedules.unschedule([one.ref]) == [True]
        assert await fire(backend, firing(one, ("1", a_tick()))) == [False]
        assert await backend.schedules.get([one.ref]) == [None]
        assert await due_names(backend) == []
        await claims_nothing(backend)

    async def test_what_is_removed_leaves_nothing_to_its_successor(self, backend: Backend) -> None:
        one = await stored(backend)
        await backend.schedules.fire([firing(one, ("1", a_tick()))])
        await backend.schedules.pause([one.ref], paused=True)
        await backend.schedules.unschedule([one.ref])
        await stored(backend)
        found = await seen(backend, one)
        assert (found.paused, found.count, list(found.fired)) == (False, 0, [])

    async def test_those_that_are_not_there_are_told(self, backend: Backend) -> None:
        one, none = await stored(backend), ScheduleRef("default", "none")
        assert await backend.schedules.pause([none, one.ref], paused=True) == [False, True]
        assert await backend.schedules.unschedule([one.ref, none]) == [True, False]

    async def test_jobs_of_a_schedule_that_is_removed_stay(self, backend: Backend) -> None:
        one, made = await stored(backend), a_tick()
        await backend.schedules.fire([firing(one, ("1", made))])
        await backend.schedules.unschedule([one.ref])
        assert (await claim_one(backend)).token.id == made.id

    # Other rules and jobs

    async def test_another_job_under_the_same_rule(self, backend: Backend) -> None:
        one = await stored(backend, tick="5", count=4)
        await backend.schedules.pause([one.ref], paused=True)
        await backend.schedules.schedule([a_schedule(job="2", tick="9", due_at=now() + LONG)])
        found = await seen(backend, one)
        assert (found.job, found.tick, found.due_at) == ("2", "5", one.due_at)
        assert (found.count, found.paused) == (4, True)

    async def test_another_rule_has_other_ticks(self, backend: Backend) -> None:
        one = await stored(backend)
        await backend.schedules.fire([firing(one, ("1", a_tick()))])
        await backend.schedules.pause([one.ref], paused=True)
        due_at = now() + 2 * LONG
        await backend.schedules.schedule([a_schedule(rule=OTHER, tick="9", due_at=due_at)])
        found = await seen(backend, one)
        assert (found.rule, found.tick, found.due_at, found.count) == (OTHER, "9", due_at, 0)
        assert (found.paused, [tick for tick, _ in noted(found)]) == (True, ["1"])

    async def test_another_rule_loses_no_tick_that_is_due(self, backend: Backend) -> None:
        """And says that the tick is of another one, however often that is changed."""
        one = await stored(backend)
        for rule in (OTHER, RULE, OTHER):
            await backend.schedules.schedule([a_schedule(rule=rule, tick="9", due_at=now() + LONG)])
        found = await seen(backend, one)
        assert (found.rule, found.tick, found.due_at) == (OTHER, "1" + OF_ANOTHER_RULE, one.due_at)
        assert await due_names(backend) == ["nightly"]
        assert await fire(backend, firing(found, ("1", a_tick()))) == [True]
        assert (await seen(backend, one)).tick == "2"

    async def test_a_finished_schedule_goes_on_under_another_rule_only(
        self, backend: Backend
    ) -> None:
        one = await stored(backend, tick=None, due_at=None)
        await backend.schedules.schedule([a_schedule()])
        assert (await seen(backend, one)).tick is None
        await backend.schedules.schedule([a_schedule(rule=OTHER)])
        assert (await seen(backend, one)).tick == "1"
        assert await due_names(backend) == ["nightly"]

    async def test_a_rule_may_have_no_more_ticks(self, backend: Backend) -> None:
        one = await stored(backend, due_at=now() + LONG)
        await backend.schedules.schedule([a_schedule(rule=OTHER, tick=None, due_at=None)])
        assert (await seen(backend, one)).tick is None
        assert (await backend.schedules.due(QUEUES, 1)).due_in is None

    # Upkeep

    async def test_upkeep_says_when_a_schedule_is_due(self, backend: Backend) -> None:
        assert (await backend.maintain(QUEUES)).due_in is None
        one = await stored(backend, due_at=now() + LONG)
        due_in = (await backend.maintain(["default", "other"])).due_in
        assert due_in is not None
        assert 0 < due_in <= LONG
        assert (await backend.maintain(["other"])).due_in is None
        await backend.schedules.pause([one.ref], paused=True)
        assert (await backend.maintain(QUEUES)).due_in is None
        await stored(backend, name="due")
        assert (await backend.maintain(QUEUES)).due_in == 0


def _listed(one: Schedule | None) -> Schedule | None:
    """With a list of its ticks."""
    return one and Schedule(
        one.ref, one.rule, one.job, one.tick, one.due_at, one.paused, one.count, list(one.fired)
    )
