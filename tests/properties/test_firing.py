"""An hour in the night in which clocks are changed: ten workers that are killed, sixty schedules, exactly their ticks.

The time is simulated: the test says which schedules are due. Deciding is done by the pure function that workers use,
and firing by the stores.
"""

import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product, takewhile
from pathlib import Path
from typing import Any, Final

import pytest

from queuekit.backend import Backend, JobFilter
from queuekit.job import Job, JobOptions, JobRef, new_id
from queuekit.plan import Declared, Plan, Rule, decide, id_of_tick, micros_of
from queuekit.recurrence import Cron, Every, When
from queuekit.schedule import Firing, ScheduleRef

Make = Callable[[str], Awaitable[Backend]]

START: Final = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""Half an hour before clocks are set back in Berlin and London."""
END: Final = START + timedelta(hours=1)
JUMP: Final = timedelta(hours=1)
ZONES: Final = ("Europe/Berlin", "Europe/London", "Asia/Tokyo")
EXPRESSIONS: Final = (
    *("* * * * *", "*/5 * * * *", "*/20 * * * *", "30 * * * *", "0 * * * *", "0 */2 * * *"),
    *("30 2 * * *", "0 2 * * *", "*/20 2 * * *", "30 1 * * *", "15 1,2 * * *", "0 10 * * *"),
    *("59 2 * * sun", "45 1 25 10 *", "0 0 1 * *", "@daily", "@monthly", "H * * * *"),
)
SECONDLY: Final = (Every(1_000_000), Cron("* * * * * *", "Europe/Berlin"), Every(7_000_000))
JOB: Final[Job[Any]] = Job(new_id(), "task", "{}", JobOptions())


@pytest.fixture(params=["sqlite", "redis", "postgres"])
async def backend(request: pytest.FixtureRequest, make_backend: Make, tmp_path: Path) -> Backend:
    url = (
        f"sqlite:///{tmp_path}/queue.db"
        if request.param == "sqlite"
        else request.getfixturevalue(f"{request.param}_url")
    )
    return await make_backend(url)


def declared(*more: When) -> list[Declared]:
    ticking: list[When] = [Cron(text, zone) for text, zone in product(EXPRESSIONS, ZONES)]
    ticking += [Every(seconds * 1_000_000) for seconds in (45, 60, 90, 300, 600, 3600)]
    plan = Plan(JOB, misfire="all")
    return [
        Declared(ScheduleRef("default", f"number {n}"), Rule(when), plan)
        for n, when in enumerate([*ticking, *more])
    ]


def expected(one: Declared, end: datetime) -> Iterator[JobRef]:
    for tick in takewhile(lambda tick: tick.at <= end, one.rule.when.ticks(START, one.ref.name)):
        yield JobRef("default", id_of_tick(one.ref, tick.identity))


class Crew:
    """Ten workers that look at schedules, and may be killed before they fire."""

    def __init__(self, backend: Backend, chance: random.Random) -> None:
        self._schedules = backend.schedules
        self._chance = chance
        self._held: list[Firing] = []

    async def look(self, now: datetime) -> None:
        """Some of them look, one after the other; what one has decided may be carried out much later, or never."""
        for _ in range(self._chance.randint(1, 3)):
            firings = await self._due(now)
            match self._chance.choice(["fires", "fires", "fires", "is killed", "is paused"]):
                case "fires":
                    await self._schedules.fire(firings)
                case "is paused":
                    self._held += firings
                case _:
                    pass
        if self._held and self._chance.random() < 0.3:
            self._chance.shuffle(self._held)
            held, self._held = self._held, []
            await self._schedules.fire(held)

    async def finish(self, now: datetime) -> None:
        while firings := await self._due(now):
            await self._schedules.fire(firings)
        await self._schedules.fire(self._held)

    async def _due(self, now: datetime) -> list[Firing]:
        moment = micros_of(now)
        found = await self._schedules.find()
        return [decide(one, moment) for one in found if one.due_at and one.due_at <= moment]


async def jobs(backend: Backend) -> list[JobRef]:
    return [ref async for some in backend.inspector.refs(JobFilter()) for ref in some]


@pytest.mark.parametrize("seed", range(2))
async def test_each_tick_of_an_hour_makes_one_job(backend: Backend, seed: int) -> None:
    chance, all_of_them = random.Random(seed), declared(*SECONDLY)
    crew, now = Crew(backend, chance), START
    await backend.schedules.schedule([one.first(micros_of(START)) for one in all_of_them])
    while now < END:
        now = min(END, now + timedelta(seconds=chance.uniform(3, 12)))
        await crew.look(now)
    await crew.finish(END)
    wanted = [ref for one in all_of_them for ref in expected(one, END)]
    assert sorted(await jobs(backend)) == sorted(wanted)
    assert len(wanted) > 7_000


@pytest.mark.parametrize("seed", range(2))
async def test_jumps_of_the_clock_neither_skip_nor_double_a_tick(
    backend: Backend, seed: int
) -> None:
    """An hour forward, and some time later back again."""
    chance, all_of_them = random.Random(seed), declared()
    crew, now, furthest = Crew(backend, chance), START, START
    await backend.schedules.schedule([one.first(micros_of(START)) for one in all_of_them])
    while now < END:
        now = min(END, now + timedelta(seconds=chance.uniform(20, 120)))
        jump = chance.choice([timedelta(), timedelta(), JUMP, -JUMP])
        await crew.look(now + jump)
        furthest = max(furthest, now + jump)
    await crew.finish(furthest)
    wanted = [ref for one in all_of_them for ref in expected(one, furthest)]
    assert sorted(await jobs(backend)) == sorted(wanted)
    assert len(all_of_them) == 60
