"""When schedules tick; `tests/properties/test_clock_changes.py` tries all changes of the clocks."""

import csv
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from queuekit import InvalidOption, cron, every
from queuekit.crontab import PRESETS
from queuekit.recurrence import Recurrence, zone_data

SUMMER = datetime(2026, 6, 1, tzinfo=UTC)
TRUTH = Path(__file__).parents[1] / "data" / "cron_truth.tsv"
ROWS = list(csv.DictReader(TRUTH.read_text().splitlines(), delimiter="\t"))
SPLIT = {
    "0 0 13 * 5#2": ["0 0 13 * *", "0 0 * * 5#2"],
    "0 9-9 * * *": ["0 9 * * *"],
}
"""What is refused, and what the message says to write instead."""


def moments(text: str) -> list[datetime]:
    return [datetime.fromisoformat(one) for one in text.split(",")]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['expression']} {row['note']}" for row in ROWS])
def test_ticks_are_those_of_the_table(row: dict[str, str]) -> None:
    """Whatever is refused comes as it is meant if it is written as the message says."""
    expression, zone, should = row["expression"], row["zone"], moments(row["should"])
    if expression in SPLIT:
        with pytest.raises(InvalidOption) as refused:
            cron(expression, timezone=zone)
        assert all(
            f"'{other.split()[1]}'" in str(refused.value) or f"'{other}'" in str(refused.value)
            for other in SPLIT[expression]
        )
    found = {
        tick
        for one in SPLIT.get(expression, [expression])
        for tick in cron(one, timezone=zone).upcoming(
            datetime.fromisoformat(row["start_utc"]), len(should)
        )
    }
    assert sorted(found)[: len(should)] == should


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("*/90 * * * *", "use every(5400)"),
        ("*/60 * * * * *", "use every(60)"),
        ("0 */24 * * *", "use every(86400)"),
        ("0 0 * */12 *", "write the month itself"),
        ("0 9-9 * * *", "write '9'"),
        ("0 09-9 * * *", "write '09'"),
        ("0 0 * * mon-1", "write 'mon'"),
        ("0 0 * * 7-0", "write '7'"),
        ("0 22-6/3 * * *", "write all its values"),
        ("0 0 * nov-feb/2 *", "write all its values"),
        ("R * * * *", "use 'H'"),
        ("r(0-5) * * * *", "use 'H'"),
        ("0 0 13 * mon#2", "'0 0 13 * *' and '0 0 * * mon#2'"),
        ("5 0 0 13 * L5", "'5 0 0 13 * *' and '5 0 0 * * L5'"),
        ("0 0 15W * 1", "'0 0 15W * *' and '0 0 * * 1'"),
        ("0 0 31 2 *", "check day of month and month"),
        ("0 0 31 4,6 *", "check day of month and month"),
        ("60 * * * *", "'60' is no minute; there are 0 to 59"),
        ("0 24 * * *", "'24' is no hour; there are 0 to 23"),
        ("0 0 LW * *", "'LW' is no day of month"),
        ("0 0 * * 8", "'8' is no weekday"),
        ("0 0 * * mon#6", "'mon#6' is no weekday"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("* * *", "has 3 fields"),
        ("* * * * * * * *", "has 8 fields"),
        ("", "has 0 fields"),
        ("@dayly", "is @daily meant?"),
        ("@every 5m", "is every(seconds) meant?"),
    ],
)
def test_what_would_be_misread_is_refused_with_what_to_write(expression: str, hint: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(hint)):
        cron(expression)


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("europe/berln", "'Europe/Berlin'"),
        ("New York", "'America/New_York'"),
        ("CEST", "pass a name such as"),
        ("Europe", "no time zone is called"),
        ("../Berlin", "'Europe/Berlin'"),
        (None, "pass a name such as"),
    ],
)
def test_an_unknown_zone_is_refused_with_one_that_may_be_meant(zone: str, hint: str) -> None:
    with pytest.raises(InvalidOption, match=re.escape(hint)):
        cron("@daily", timezone=zone)


def test_no_expression_is_refused() -> None:
    with pytest.raises(InvalidOption, match="pass a cron expression"):
        cron(60)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expression", "first", "second"),
    [
        ("30 5 0 * * *", "06-01T00:05:30", "06-02T00:05:30"),
        ("0 0 0 1 1 * 2027-2028", "01-01T00:00:00", "01-01T00:00:00"),
        ("0 22-2 * * *", "06-01T01:00:00", "06-01T02:00:00"),
        ("0 0 * * sat-sun", "06-06T00:00:00", "06-07T00:00:00"),
        ("0 0 * * 0-7", "06-02T00:00:00", "06-03T00:00:00"),
        ("0 0 L * *", "06-30T00:00:00", "07-31T00:00:00"),
        ("0 0 15W * *", "06-15T00:00:00", "07-15T00:00:00"),
        ("0 0 L * tue", "06-02T00:00:00", "06-09T00:00:00"),
        ("0 0 * * mon#1,fri#2", "06-12T00:00:00", "07-06T00:00:00"),
        ("0 0 1 * fri", "06-05T00:00:00", "06-12T00:00:00"),
        ("0 0 29 2 *", "02-29T00:00:00", "02-29T00:00:00"),
        ("@Hourly", "06-01T01:00:00", "06-01T02:00:00"),
        ("@weekly", "06-07T00:00:00", "06-14T00:00:00"),
    ],
)
def test_fields_mean_what_they_do_in_crontabs(expression: str, first: str, second: str) -> None:
    found = cron(expression).upcoming(SUMMER, 2)
    assert [f"{tick:%m-%dT%H:%M:%S}" for tick in found] == [first, second]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_does_not_depend_on_the_name(preset: str) -> None:
    written_out = cron(PRESETS[preset]).upcoming(SUMMER, 3)
    assert cron(preset).upcoming(SUMMER, 3, name="report") == written_out


def test_the_last_day_of_a_month_counts_beside_a_weekday() -> None:
    found = cron("0 0 L * sat").upcoming(SUMMER, 5)
    assert [tick.day for tick in found] == [6, 13, 20, 27, 30]


def test_years_that_are_over_are_no_error() -> None:
    assert cron("0 0 0 1 1 * 2020").upcoming(SUMMER, 3) == []
    assert len(cron("0 0 0 1 1 * 2020,2027").upcoming(SUMMER, 3)) == 1


def test_h_spreads_by_the_name_and_stays_where_it_is() -> None:
    nightly = cron("H H * * *")
    ticks = {name: nightly.upcoming(SUMMER, 2, name=name) for name in map(str, range(50))}
    assert len({first for first, _ in ticks.values()}) > 40
    assert all(later - first == timedelta(days=1) for first, later in ticks.values())
    assert cron("H H * * *").upcoming(SUMMER, 2, name="7") == ticks["7"]


@pytest.mark.parametrize("when", [cron("*/7 * * * *", timezone="Asia/Kolkata"), every(90)])
def test_the_answer_does_not_depend_on_the_zone_of_the_question(when: Recurrence) -> None:
    there = SUMMER.astimezone(timezone(timedelta(hours=-7)))
    assert when.upcoming(there, 5) == when.upcoming(SUMMER, 5)
    assert {tick.tzinfo for tick in when.upcoming(there, 5)} == {UTC}


def test_a_tick_is_known_by_what_clocks_show() -> None:
    """And by which time it is that they show it."""
    hourly = cron("0 * * * *", timezone="Europe/Berlin")
    autumn = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    found = [tick.identity for tick, _ in zip(hourly.ticks(autumn), range(3), strict=False)]
    assert found == ["2026-10-25T02:00:00", "2026-10-25T02:00:00#2", "2026-10-25T03:00:00"]


def test_a_tick_that_clocks_leap_over_has_the_time_that_was_meant() -> None:
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    tick = cron("30 2 * * *", timezone="Europe/Berlin").after(spring)
    assert tick is not None
    assert (tick.identity, tick.at.hour) == ("2026-03-29T02:30:00", 1)


def test_an_interval_has_its_phase() -> None:
    start = SUMMER + timedelta(seconds=7)
    assert every(60).upcoming(start, 2) == [
        SUMMER + timedelta(minutes=1),
        SUMMER + timedelta(minutes=2),
    ]
    phased = every(timedelta(minutes=1), start=start)
    assert phased.upcoming(SUMMER - timedelta(days=1), 2) == [
        start,
        start + timedelta(minutes=1),
    ]
    assert phased.upcoming(start, 1) == [start + timedelta(minutes=1)]


def test_an_interval_of_parts_of_seconds() -> None:
    found = every(1.5).upcoming(SUMMER, 2)
    assert found == [SUMMER + timedelta(seconds=1.5), SUMMER + timedelta(seconds=3)]


@pytest.mark.parametrize("seconds", [0, 0.9, -1, float("nan"), "60", None])
def test_no_interval_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidOption, match="every"):
        every(seconds)


def test_naive_moments_are_refused() -> None:
    naive = SUMMER.replace(tzinfo=None)
    with pytest.raises(InvalidOption, match="naive"):
        every(60, start=naive)
    with pytest.raises(InvalidOption, match="naive"):
        cron("@daily").upcoming(naive, 1)


def test_the_version_of_the_zone_data_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.recurrence.TZPATH", ())
    assert re.fullmatch(r"20\d\d[a-z]+", zone_data())
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").touch()
    monkeypatch.setattr("queuekit.recurrence.TZPATH", (str(tmp_path / "none"), str(tmp_path)))
    assert zone_data() == ""
    (tmp_path / "tzdata.zi").write_text("# version 2019c\n# more\n")
    assert zone_data() == "2019c"
