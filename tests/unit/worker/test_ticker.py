"""When schedules are looked at, and what becomes of those that are due."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit.errors import BackendRefused, BackendUnavailable, StoreGone
from queuekit.job import Job, JobOptions, new_id
from queuekit.loops import background
from queuekit.plan import Declared, Plan, Rule
from queuekit.recurrence import Cron, Every
from queuekit.schedule import Schedule, ScheduleRef
from tests.unit.worker.conftest import Bench
from tests.waiting import eventually
from tests.worker.faults import Fault

JOB: Job[Any] = Job(new_id(), "task", "{}", JobOptions())


async def due(bench: Bench, name: str = "minutely", **changes: Any) -> Schedule:
    """A schedule whose tick of a minute ago is due."""
    declared = Declared(ScheduleRef("default", name), Rule(Every(60_000_000)), Plan(JOB))
    now = (await bench.backend.schedules.due(["default"], 0)).now
    one = replace(declared.first(now - 60_000_000), **changes)
    await bench.backend.schedules.schedule([one])
    return one


async def stored(bench: Bench, one: Schedule) -> Schedule:
    (found,) = await bench.backend.schedules.get([one.ref])
    assert found is not None
    return found


async def test_what_is_due_fires_and_the_next_tick_is_awaited(bench: Bench) -> None:
    one = await due(bench)
    due_in = await bench.ticker.fire()
    assert due_in is not None
    assert 0 < due_in <= 60_000_000
    found = await stored(bench, one)
    ((tick, _, id_),) = found.fired
    assert tick == one.tick
    assert [run.claim.token.id for run in await bench.claim()] == [id_]
    assert await bench.ticker.fire() is not None
    assert (await stored(bench, one)).count == 1


async def test_upkeep_says_when_to_fire(bench: Bench) -> None:
    one = await due(bench)
    async with background(bench.ticker.run):
        await asyncio.sleep(0.05)
        assert (await stored(bench, one)).count == 0
        await bench.upkeep.tick()

        async def fired() -> bool:
            return (await stored(bench, one)).count == 1

        await eventually(fired)


async def test_a_tick_is_fired_when_its_time_comes(bench: Bench) -> None:
    one = await due(bench)
    now = (await bench.backend.schedules.due(["default"], 0)).now
    await bench.backend.schedules.unschedule([one.ref])
    await bench.backend.schedules.schedule([replace(one, due_at=now + 200_000)])
    async with background(bench.ticker.run):
        await bench.upkeep.tick()

        async def fired() -> bool:
            return (await stored(bench, one)).count == 1

        await eventually(fired)


async def test_a_schedule_that_can_not_be_read_stops_no_other(bench: Bench) -> None:
    broken = await due(bench, "broken", rule='{"cron":"@daily","timezone":"Moon/Sea"}')
    one = await due(bench)
    with capture_logs() as lines:
        await bench.ticker.fire()
    assert (await stored(bench, one)).count == 1
    assert [line["schedule"] for line in lines] == ["broken"]
    found = await stored(bench, broken)
    assert (found.tick, found.count) == (broken.tick, 0)
    assert found.due_at is not None
    assert broken.due_at is not None
    assert found.due_at > broken.due_at + 60_000_000


async def test_other_time_zone_data_elsewhere_is_told_once(bench: Bench) -> None:
    rule = Rule(Cron("* * * * *", "Europe/Berlin"))
    one = await due(bench, rule=rule.text, tick="2026-06-02T02:30:00")
    with capture_logs() as lines:
        await bench.ticker.fire()
        await bench.backend.schedules.unschedule([one.ref])
        await bench.backend.schedules.schedule([one])
        await bench.ticker.fire()
    assert ["tzdata" in line["event"] for line in lines] == [True]


async def test_an_outage_is_waited_out(bench: Bench) -> None:
    one = await due(bench)
    fault = Fault(bench.ticker._schedules, "due", BackendUnavailable, times=1)
    async with background(bench.ticker.run, bench.outage.run):
        bench.ticker.expect(0)

        async def fired() -> bool:
            bench.ticker.expect(0)
            return (await stored(bench, one)).count == 1

        await eventually(fired)
    assert fault.happened == 1


async def test_a_store_that_is_gone_for_good_ends_it(bench: Bench) -> None:
    Fault(bench.ticker._schedules, "due", StoreGone)
    bench.ticker.expect(0)
    with pytest.raises(StoreGone):
        await bench.ticker.run()


async def test_a_refusal_is_logged_and_tried_again(bench: Bench) -> None:
    one = await due(bench)
    Fault(bench.ticker._schedules, "due", BackendRefused, times=1)
    with capture_logs() as lines:
        async with background(bench.ticker.run):

            async def fired() -> bool:
                bench.ticker.expect(0)
                return (await stored(bench, one)).count == 1

            await eventually(fired)
    assert "the server refuses ticks of schedules" in {line["event"] for line in lines}


async def test_a_tick_that_does_not_fire_is_put_off(bench: Bench) -> None:
    """Else it would be tried again and again."""
    one, fire = await due(bench), bench.ticker._schedules.fire

    async def refuse(firings: Any) -> Any:
        done = await fire([firing for firing in firings if not firing.jobs])
        return [None for firing in firings if firing.jobs] + list(done)

    bench.ticker._schedules.fire = refuse  # type: ignore[method-assign]
    with capture_logs() as lines:
        await bench.ticker.fire()
    assert [line["event"] for line in lines] == ["a schedule is put off for a minute"]
    found = await stored(bench, one)
    assert (found.tick, found.count) == (one.tick, 0)


async def test_a_job_that_the_store_does_not_take_is_told(bench: Bench) -> None:
    plan = Plan(JOB._replace(payload="\ud800"))
    one = await due(bench, job=plan.text)
    with capture_logs() as lines:
        await bench.ticker.fire()
    ((line),) = lines
    assert (line["event"], line["schedule"], line["tick"]) == (
        "a tick made no job",
        "minutely",
        one.tick,
    )
    assert (await stored(bench, one)).fired[-1].id is None
