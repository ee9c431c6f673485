"""`Queuekit.schedule` and `Queuekit.schedules`, on every backend."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit import InvalidOption, InvalidPayload, Queuekit, State, cron, every
from queuekit.schedules import ScheduleInfo

FAR = datetime(2199, 1, 1, tzinfo=UTC)


class Shop:
    """An app with a task, on a store that others of its kind share."""

    def __init__(self, url: str, namespace: str) -> None:
        self.qk = Queuekit(url, namespace=namespace)
        self.ran: list[int] = []

        @self.qk.task(queue="mail", name="send")
        async def send(number: int = 0) -> int:
            self.ran.append(number)
            return number

        self.send = send

    async def work(self) -> list[dict[str, Any]]:
        """A worker until there is nothing to do; what it logged."""
        with capture_logs() as lines:
            await self.qk.run_worker(burst=True)
        return [dict(line) for line in lines]

    async def names(self) -> list[str]:
        return [one.name for one in await self.qk.schedules.list()]


Open = Callable[[], Shop]


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def another(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Open:
    """Apps on one store."""
    url = (
        f"sqlite:///{tmp_path}/queue.db"
        if request.param == "sqlite"
        else request.getfixturevalue(f"{request.param}_url")
    )
    return lambda: Shop(url, namespace)


@pytest.fixture
async def shop(another: Open) -> AsyncIterator[Shop]:
    made = another()
    async with made.qk:
        yield made


async def test_a_schedule_is_made_and_shown(shop: Shop) -> None:
    await shop.qk.schedules.upsert(
        "report:42", "*/15 * * * *", shop.send.job(42), timezone="Europe/Berlin"
    )
    found = await shop.qk.schedules.get("report:42")
    assert found.next_at is not None
    assert timedelta() < found.next_at - datetime.now(UTC) <= timedelta(minutes=16)
    assert found == ScheduleInfo(
        name="report:42",
        when="*/15 * * * *",
        timezone="Europe/Berlin",
        task="send",
        queue="mail",
        next_at=found.next_at,
        paused=False,
        last=None,
    )
    coming = await shop.qk.schedules.upcoming("report:42", 3)
    assert coming[0] == found.next_at
    assert {at.tzname() for at in coming} <= {"CET", "CEST"}


async def test_schedules_are_listed_by_queue_and_name(shop: Shop) -> None:
    other = shop.send.with_options(queue="a")
    for name, task in (("z", other), ("b", shop.send), ("a", shop.send)):
        await shop.qk.schedules.upsert(name, every(60), task.job())
    found = [(one.queue, one.name, one.when) for one in await shop.qk.schedules.list()]
    assert found == [
        ("a", "z", "every 60 s"),
        ("mail", "a", "every 60 s"),
        ("mail", "b", "every 60 s"),
    ]
    assert [one.name for one in await shop.qk.schedules.list(["mail"])] == ["a", "b"]


async def test_a_tick_that_is_due_is_run_once(another: Open, shop: Shop) -> None:
    await shop.qk.schedules.upsert("once", every(1), shop.send.job(7), count=1)
    while not shop.ran:
        await shop.work()
    await another().work()
    found = await shop.qk.schedules.get("once")
    assert shop.ran == [7]
    assert (found.next_at, found.last and found.last.state) == (None, State.SUCCEEDED)
    (tick,) = await shop.qk.schedules.ticks("once")
    assert tick == found.last


async def test_another_rule_and_another_job_take_the_place_of_those_before(shop: Shop) -> None:
    await shop.qk.schedules.upsert("one", "@daily", shop.send.job(1))
    await shop.qk.schedules.pause("one")
    await shop.qk.schedules.upsert("one", every(60), shop.send.job(2))
    found = await shop.qk.schedules.get("one")
    assert (found.when, found.paused) == ("every 60 s", True)
    handle = await shop.qk.schedules.run("one")
    await shop.work()
    assert await handle.result(10) == 2


async def test_a_schedule_moves_to_another_queue(shop: Shop) -> None:
    await shop.qk.schedules.upsert("one", every(60), shop.send.job())
    await shop.qk.schedules.upsert("one", every(60), shop.send.with_options(queue="other").job())
    assert [(one.queue, one.name) for one in await shop.qk.schedules.list()] == [("other", "one")]


async def test_schedules_are_paused_resumed_and_deleted(shop: Shop) -> None:
    for name in ("a", "b", "c"):
        await shop.qk.schedules.upsert(name, every(60), shop.send.job())
    await shop.qk.schedules.pause("a", "b")
    await shop.qk.schedules.resume("b")
    assert [one.name for one in await shop.qk.schedules.list() if one.paused] == ["a"]
    await shop.qk.schedules.delete("a", "c")
    assert await shop.names() == ["b"]


async def test_a_schedule_that_is_not_there_is_refused(shop: Shop) -> None:
    await shop.qk.schedules.upsert("known", every(60), shop.send.job())
    for verb in ("get", "pause", "resume", "delete", "run", "upcoming", "ticks", "difference"):
        with pytest.raises(InvalidOption, match=r"No schedule 'unknown'\. Known schedules: known"):
            await getattr(shop.qk.schedules, verb)("unknown")
    with pytest.raises(InvalidOption):
        await shop.qk.schedules.delete("known", "unknown")
    assert await shop.names() == ["known"]


async def test_schedules_of_the_code_are_stored_when_a_worker_starts(
    another: Open, shop: Shop
) -> None:
    shop.qk.schedule("@daily", name="daily", args=[3])(shop.send)
    assert shop.qk.schedule("@hourly")(shop.send) is shop.send
    await shop.work()
    assert await shop.names() == ["daily", "send"]
    changed = another()
    changed.qk.schedule("@weekly", name="daily")(changed.send)
    changed.qk.schedule("@hourly")(changed.send)
    await changed.work()
    assert [one.when for one in await shop.qk.schedules.list()] == ["@weekly", "@hourly"]


async def test_a_schedule_that_is_in_the_code_no_more_is_told(another: Open, shop: Shop) -> None:
    shop.qk.schedule("@daily", name="old")(shop.send)
    await shop.qk.schedules.upsert("made", every(60), shop.send.job())
    await shop.work()
    told = [line for line in await another().work() if "schedules delete" in line["event"]]
    assert [(line["schedule"], line["queue"]) for line in told] == [("old", "mail")]
    assert await shop.names() == ["made", "old"]


async def test_a_schedule_of_the_code_moves_with_its_task(another: Open, shop: Shop) -> None:
    shop.qk.schedule("@daily", name="moves")(shop.send.with_options(queue="old"))
    await shop.work()
    moved = another()
    moved.qk.schedule("@daily", name="moves")(moved.send)
    assert not [line for line in await moved.work() if "schedules delete" in line["event"]]
    assert [(one.queue, one.name) for one in await shop.qk.schedules.list()] == [("mail", "moves")]


async def test_a_schedule_keeps_its_tick_when_workers_start_again(
    another: Open, shop: Shop
) -> None:
    shop.qk.schedule(every(3600))(shop.send)
    await shop.work()
    (before,) = await shop.qk.schedules.list()
    again = another()
    again.qk.schedule(every(3600))(again.send)
    await again.work()
    assert list(await shop.qk.schedules.list()) == [before]


@pytest.fixture
def send() -> Any:
    """A task of an app without a store."""
    return Shop("sqlite://", "queuekit").send


@pytest.mark.parametrize(
    ("when", "options", "why"),
    [
        ("60 * * * *", {}, "'60' is no minute"),
        ("@daily", {"timezone": "Berlin"}, "'Europe/Berlin'"),
        (every(60), {"timezone": "UTC"}, "cron(...)"),
        (60, {}, "every(...)"),
        ("@daily", {"misfire": "never"}, "skip, latest, all"),
        ("@daily", {"overlap": True}, "allow, skip"),
        ("@daily", {"count": 0}, "count"),
        ("@daily", {"jitter": -1}, "jitter"),
        ("@daily", {"start": datetime(2026, 1, 1)}, "start"),  # noqa: DTZ001
        ("@daily", {"start": FAR, "end": FAR - timedelta(1)}, "before it starts"),
        ("@daily", {"cout": 3}, "cout: no option"),
        ("@daily", {"name": "a name"}, "name"),
    ],
)
def test_what_can_be_no_schedule_is_refused_where_it_is_defined(
    send: Any, when: Any, options: dict[str, Any], why: str
) -> None:
    qk = Queuekit("sqlite://")
    with pytest.raises(InvalidOption) as refused:
        qk.schedule(when, **options)(send)
    assert why in str(refused.value)


def test_names_arguments_and_jobs_are_checked(send: Any) -> None:
    qk = Queuekit("sqlite://")
    qk.schedule("@daily")(send)
    with pytest.raises(InvalidOption, match="pass another name="):
        qk.schedule("@hourly")(send)
    with pytest.raises(InvalidPayload):
        qk.schedule("@hourly", name="b", args=["no number"])(send)
    with pytest.raises(InvalidOption, match=r"above @qk.task"):
        qk.schedule("@hourly")(send.function)
    with pytest.raises(InvalidOption, match="key="):
        qk.schedule("@daily", name="c", overlap="skip")(send.with_options(key="k"))
    with pytest.raises(InvalidOption, match="at="):
        qk.schedule("@daily", name="d")(send.with_options(at=FAR))


async def test_a_job_is_needed(shop: Shop) -> None:
    with pytest.raises(InvalidOption, match=r"task\.job"):
        await shop.qk.schedules.upsert("one", cron("@daily"), shop.send)  # type: ignore[arg-type]
