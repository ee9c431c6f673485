"""What fires of a schedule that is due, and what its texts hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from queuekit.backend.schedules import rescheduled
from queuekit.job import Job, JobOptions, Keep, KeyPolicy, Micros, new_id
from queuekit.plan import (
    MOST_MISSED,
    Declared,
    Plan,
    Rule,
    decide,
    difference,
    id_of_tick,
    micros_of,
    upcoming,
)
from queuekit.recurrence import Cron, Every, When
from queuekit.schedule import Schedule, ScheduleRef

REF = ScheduleRef("nightly", "report")
SECOND: Micros = 1_000_000
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTELY = Cron("* * * * *")
JOB: Job[Any] = Job(new_id(), "report", '{"v":1}', JobOptions(queue="nightly"))


def due(
    when: When = MINUTELY, *, since: datetime = NOON, job: Job[Any] = JOB, **fields: Any
) -> Schedule:
    """A schedule whose next tick is the first one after a moment."""
    rule = Rule(
        when, **{name: fields.pop(name) for name in ("start", "end", "count") if name in fields}
    )
    return Declared(REF, rule, Plan(job, **fields)).first(micros_of(since))


def ticks(schedule: Schedule, now: datetime) -> list[str]:
    """What fires then."""
    return [tick[11:] for tick, _ in decide(schedule, micros_of(now)).jobs]


def test_a_tick_fires_and_the_next_one_is_due() -> None:
    fired = decide(due(), micros_of(NOON + timedelta(minutes=1)))
    assert [tick for tick, _ in fired.jobs] == ["2026-06-01T12:01:00"]
    assert (fired.tick, fired.next_tick) == ("2026-06-01T12:01:00", "2026-06-01T12:02:00")
    assert fired.next_at == micros_of(NOON + timedelta(minutes=2))
    assert fired.ref == REF


@pytest.mark.parametrize(
    ("misfire", "late", "expected"),
    [
        ("latest", 0, ["12:04:00"]),
        ("latest", 59, ["12:04:00"]),
        ("all", 0, ["12:01:00", "12:02:00", "12:03:00", "12:04:00"]),
        ("skip", 0, ["12:04:00"]),
        ("skip", 59, ["12:04:00"]),
    ],
)
def test_what_was_missed_is_made_up_for_as_was_asked(
    misfire: Any, late: int, expected: list[str]
) -> None:
    now = NOON + timedelta(minutes=4, seconds=late)
    assert ticks(due(misfire=misfire), now) == expected


def test_what_is_more_than_a_minute_late_may_be_left_out() -> None:
    hourly = due(Every(3600 * SECOND), misfire="skip")
    assert ticks(hourly, NOON + timedelta(hours=1, seconds=60)) == ["13:00:00"]
    late = decide(hourly, micros_of(NOON + timedelta(hours=1, seconds=61)))
    assert (late.jobs, late.next_tick) == ([], "2026-06-01T14:00:00")


def test_of_very_many_missed_ticks_the_last_ones_fire() -> None:
    """And it takes no longer for a year than for a minute."""
    secondly = due(Every(SECOND), misfire="all")
    fired = decide(secondly, micros_of(NOON + timedelta(days=366)))
    assert len(fired.jobs) == MOST_MISSED
    assert fired.jobs[-1][0] == "2027-06-02T12:00:00"
    assert fired.next_tick == "2027-06-02T12:00:01"
    assert ticks(due(Every(SECOND)), NOON + timedelta(days=366)) == ["12:00:00"]


def test_a_count_ends_a_schedule() -> None:
    three = due(count=3, misfire="all")
    fired = decide(three, micros_of(NOON + timedelta(minutes=10)))
    assert [tick[11:] for tick, _ in fired.jobs] == ["12:01:00", "12:02:00", "12:03:00"]
    assert (fired.next_tick, fired.next_at) == (None, None)
    assert decide(replace(three, count=2), three.due_at or 0).next_tick is None
    assert decide(replace(three, count=1), three.due_at or 0).next_tick is not None


def test_a_schedule_has_no_ticks_beyond_its_bounds() -> None:
    start, end = NOON + timedelta(hours=1), NOON + timedelta(hours=1, minutes=2)
    one = due(start=micros_of(start), end=micros_of(end))
    assert one.due_at == micros_of(start)
    fired = decide(replace(one, tick="2026-06-01T13:02:00", due_at=micros_of(end)), micros_of(end))
    assert (len(fired.jobs), fired.next_tick) == (1, None)
    over = due(end=micros_of(NOON))
    assert (over.tick, over.due_at) == (None, None)


def test_a_tick_makes_the_same_job_wherever_it_fires() -> None:
    now = micros_of(NOON + timedelta(minutes=1))
    one, again = (decide(due(jitter=600 * SECOND), now).jobs[0][1] for _ in range(2))
    assert one == again
    assert one.id == id_of_tick(REF, "2026-06-01T12:01:00")
    assert (one.id.version, one.id.variant) == (8, UUID(int=2 << 62).variant)
    assert not one.fresh
    assert (one.task, one.payload, one.options.queue) == ("report", '{"v":1}', "nightly")
    others = {ScheduleRef("nightly", "other"), ScheduleRef("other", "report")}
    assert one.id not in {id_of_tick(ref, "2026-06-01T12:01:00") for ref in others}


def test_ids_of_ticks_begin_with_their_time() -> None:
    ticks = [
        "1969-12-31T23:59:59",
        "1970-01-01T00:00:00",
        "2026-10-25T02:30:00",
        "2026-10-25T02:30:00#2",
    ]
    ids = [id_of_tick(REF, tick) for tick in ticks]
    assert [id_.int >> 80 for id_ in ids] == [
        2**48 - 1_000,
        0,
        1_792_895_400_000,
        1_792_895_400_000,
    ]
    assert len(set(ids)) == 4


def test_jitter_spreads_the_jobs() -> None:
    jobs = decide(due(jitter=60 * SECOND, misfire="all"), micros_of(NOON + timedelta(hours=1))).jobs
    delays = [job.options.delay for _, job in jobs]
    assert len(set(delays)) == len(delays)
    assert 0 <= min(delays) < 20 * SECOND < 40 * SECOND < max(delays) < 60 * SECOND


def test_what_may_not_overlap_has_a_key() -> None:
    ((_, job),) = decide(due(overlap="skip"), micros_of(NOON + timedelta(minutes=1))).jobs
    assert (job.key, job.options.key_policy, job.options.key_until) == (
        "schedule:report",
        KeyPolicy.REJECT,
        "finished",
    )


def test_a_job_knows_its_tick_beside_its_own_extra() -> None:
    berlin = Cron("30 2 * * *", "Europe/Berlin")
    given = JOB._replace(options=JobOptions(queue="nightly", extra='{"meta":{"a":1}}'))
    ((_, job),) = decide(due(berlin, job=given), micros_of(NOON + timedelta(days=1))).jobs
    assert json.loads(job.options.extra) == {
        "meta": {"a": 1},
        "tick": "2026-06-02T02:30:00",
        "zone": "Europe/Berlin",
    }


@pytest.mark.parametrize(
    "options",
    [
        JobOptions(),
        JobOptions(
            queue="a", priority=-3, max_attempts=9, delay=5, expires=7 * SECOND, lease=SECOND,
            max_crashes=1, max_lapses=2, key_policy=KeyPolicy.REPLACE, key_until=SECOND,
            keep=Keep(5 * SECOND, 3), tags=("a", "b"), extra='{"meta":{"ü":1}}', replicated=True,
        ),
        JobOptions(key_until="started", keep=Keep(0)),
    ],
)  # fmt: skip
def test_a_plan_is_read_as_it_was_written(options: JobOptions) -> None:
    job: Job[Any] = Job(UUID(int=0), "task", '{"ü":"\\n"}', options, "key")
    plan = Plan(job, "all", "skip", 7, in_code=True)
    assert Plan.of(plan.text) == plan
    assert "\n" not in plan.text


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Every(SECOND)),
        Rule(Every(90 * SECOND, 7), 1, 2, 3),
        Rule(Cron("30 2 * * *", "Europe/Berlin"), count=1),
    ],
)
def test_a_rule_is_read_as_it_was_written(rule: Rule) -> None:
    assert Rule.of(rule.text) == rule
    assert Rule.of(rule.text).text == rule.text


def test_ticks_to_come_are_shown_in_the_zone_of_the_schedule() -> None:
    berlin = due(Cron("30 2 * * *", "Europe/Berlin"), since=datetime(2026, 10, 24, tzinfo=UTC))
    assert [f"{at:%d %H:%M %Z}" for at in upcoming(berlin, 2)] == ["24 02:30 CEST", "25 02:30 CEST"]
    assert len(upcoming(due(count=3), 5)) == 3
    assert upcoming(due(end=micros_of(NOON)), 5) == []


def test_another_instant_by_other_data_is_told() -> None:
    berlin = due(Cron("30 2 * * *", "Europe/Berlin"))
    assert difference(berlin) == ""
    assert "tzdata" in difference(replace(berlin, due_at=(berlin.due_at or 0) + 3600 * SECOND))
    assert difference(due(Every(SECOND))) == ""


def test_a_tick_whose_instant_differs_here_fires_once_all_the_same() -> None:
    """Another process thought that it is due an hour earlier."""
    berlin = due(Cron("30 2 * * *", "Europe/Berlin"))
    early = replace(berlin, due_at=(berlin.due_at or 0) - 3600 * SECOND)
    fired = decide(early, early.due_at or 0)
    assert [tick for tick, _ in fired.jobs] == ["2026-06-02T02:30:00"]
    assert fired.next_tick == "2026-06-03T02:30:00"


def test_a_tick_that_was_due_under_another_rule_hides_none_of_the_new_one() -> None:
    """Its local time is that of another zone, where it may be hours later."""
    berlin = due(Cron("30 2 * * *", "Europe/Berlin"))
    at = berlin.due_at or 0
    new = due(Cron("*/5 * * * *", "America/New_York"))
    changed = rescheduled(berlin, new, at)
    fired = decide(changed, at + SECOND)
    assert [tick for tick, _ in fired.jobs] == ["2026-06-02T02:30:00"]
    assert (fired.next_tick, fired.next_at) == ("2026-06-01T20:35:00", at + 300 * SECOND)
    assert difference(changed) == ""
    other = rescheduled(changed, due(Every(7 * SECOND)), at)
    following = decide(other, at).next_at
    assert following is not None
    assert 0 < following - at <= 7 * SECOND


@pytest.mark.parametrize("count", [None, 3])
def test_fractions_of_seconds_are_kept(count: int | None) -> None:
    one = due(Every(1_500_000), since=NOON, count=count)
    fired = decide(one, (one.due_at or 0) + 1)
    assert one.due_at == micros_of(NOON) + 1_500_000
    assert fired.next_at == micros_of(NOON) + 3_000_000
