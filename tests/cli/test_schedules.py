import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from queuekit import Queuekit, every
from tests.cli.conftest import Cli

Upsert = Callable[..., None]


@pytest.fixture
def upsert(qk: Queuekit) -> Upsert:
    """Make a schedule of letters to Ada."""

    def run(name: str, when: Any, **options: Any) -> None:
        async def act() -> None:
            async with qk:
                job = qk.tasks["send"].job("ada")
                await qk.schedules.upsert(name, when, job, **options)

        asyncio.run(act())

    return run


def test_schedules_are_listed_and_shown(cli: Cli, upsert: Upsert) -> None:
    assert "no schedules" in cli("schedules", "list").out
    upsert("nightly", "30 2 * * *", timezone="Asia/Tokyo")
    upsert("often", every(60))

    found = {one["name"]: one for one in cli("schedules", "list", "--json").lines}
    assert (found["nightly"]["when"], found["nightly"]["task"]) == ("30 2 * * *", "send")
    lines = [line.split() for line in cli("schedules", "list").out.splitlines()]
    assert ["often", "every", "60", "s", "UTC", "send", "email"] in [line[:7] for line in lines]
    assert cli("schedules", "list", "--queue", "other").out.startswith("no schedules")

    shown = cli("schedules", "show", "nightly").out
    assert "nightly: 30 2 * * * (Asia/Tokyo), task send, queue email" in shown
    assert shown.count("02:30:00+0900") == 5
    assert shown.count("17:30:00+0000") == 5
    document = cli("schedules", "show", "nightly", "--json").document
    assert document["schedule"]["name"] == "nightly"
    assert len(document["upcoming"]) == 5
    assert datetime.fromisoformat(document["upcoming"][0]).tzinfo is not None


def test_a_schedule_is_paused_resumed_run_and_deleted(
    cli: Cli, upsert: Upsert, work: Callable[[], None]
) -> None:
    upsert("nightly", "30 2 * * *")

    assert cli("schedules", "pause", "nightly").out == "paused: nightly\n"
    assert "paused" in cli("schedules", "show", "nightly").out
    assert "paused" in cli("schedules", "list").out
    assert cli("schedules", "resume", "nightly", "--json").document == {"resumed": ["nightly"]}

    id_ = cli("schedules", "run", "nightly", "--json").document["id"]
    assert cli("schedules", "run", "nightly").out.strip() != id_
    work()
    assert cli("jobs", "show", id_, "--json").document["state"] == "succeeded"

    refused = cli("schedules", "delete", "nightly")
    assert (refused.code, "--yes" in refused.err) == (1, True)
    assert cli("schedules", "delete", "nightly", "--yes").out == "deleted: nightly\n"
    assert "no schedules" in cli("schedules", "list").out


def test_the_last_ticks_and_what_became_of_them(
    cli: Cli, upsert: Upsert, work: Callable[[], None]
) -> None:
    upsert("once", every(1), count=1)
    while "finished" not in cli("schedules", "list").out:
        work()
    shown = cli("schedules", "show", "once").out
    assert "finished: it has no more ticks" in shown
    assert "succeeded" in shown
    (tick,) = cli("schedules", "show", "once", "--json").document["ticks"]
    assert tick["state"] == "succeeded"


def test_a_schedule_that_is_not_there(cli: Cli, upsert: Upsert) -> None:
    upsert("nightly", "30 2 * * *")
    for verb in (["show"], ["pause"], ["resume"], ["run"], ["delete", "--yes"]):
        done = cli("schedules", *verb, "nightl")
        assert done.code == 1
        assert "Known schedules: nightly" in done.err
