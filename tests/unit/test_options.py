"""Options are checked where they are written."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from queuekit import InvalidOption, Queuekit, exponential, fixed
from queuekit.failure import repr_of
from queuekit.job import JobOptions, Keep, KeyPolicy
from queuekit.times import datetime_of


def nothing() -> None: ...


@pytest.fixture
def qk() -> Queuekit:
    return Queuekit("sqlite://")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queues": "x"}, "queues is no option; known are"),
        ({"queue": "a b"}, "queue='a b': .*letters, digits"),
        ({"queue": ""}, "queue=''"),
        ({"priority": 101}, "priority=101: .*less than or equal to 100"),
        ({"priority": "5"}, "priority='5': .*valid integer"),
        ({"delay": -1}, "delay=-1"),
        ({"at": datetime(2026, 1, 1)}, "naive datetime is ambiguous"),  # noqa: DTZ001
        (
            {"at": datetime(2026, 1, 1, tzinfo=UTC), "delay": 5},
            "delay and at contradict each other",
        ),
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"backoff": 5}, "pass fixed"),
        ({"retry_on": [5]}, "exception types"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": "30"}, "timeout='30'"),
        ({"lease": 0.01}, "lease=0.01"),
        ({"key_policy": "replacee"}, "key_policy='replacee'"),
        ({"key": 5}, "pass a string, or a function"),
        ({"key": "a", "key_policy": "debounce"}, "needs delay="),
        ({"key": "a", "key_policy": "throttle"}, "needs key_until="),
        ({"key_until": "never"}, 'pass "started", "finished" or a duration'),
        ({"keep": "always"}, 'or "never"'),
        ({"delay": 10, "expires": 5}, "expire before its delay"),
        ({"tags": ["a b"]}, "tags"),
        ({"meta": {"a": object()}}, "meta must be plain JSON"),
        ({"executor": "fork"}, "executor='fork'"),
        ({"durability": "best"}, "durability='best'"),
    ],
)
def test_a_wrong_option_raises_at_import_time(qk: Queuekit, options: Any, message: str) -> None:
    def task() -> None: ...

    with pytest.raises(InvalidOption, match=message):
        qk.task(**options)(task)


def test_a_taken_name_is_refused(qk: Queuekit) -> None:
    @qk.task
    def task() -> None: ...

    with pytest.raises(InvalidOption, match="The name 'task' is taken by"):
        qk.task(name="other", aliases=["task"])(lambda: None)


def test_with_options_is_checked_and_leaves_the_task_alone(qk: Queuekit) -> None:
    @qk.task(priority=3)
    def task() -> None: ...

    urgent = task.with_options(priority=-5).with_options(tags=["a"])

    assert (task.job().options.priority, urgent.job().options.priority) == (3, -5)
    assert urgent.job().options.tags == ("a",)
    with pytest.raises(InvalidOption, match="priority=500"):
        task.with_options(priority=500)


def test_defaults_take_the_short_way(qk: Queuekit) -> None:
    @qk.task
    def task() -> None: ...

    assert task.job().options == JobOptions()
    assert task.job().options.plain
    assert not task.with_options(delay=1).job().options.plain
    assert not task.with_options(lease=1).job().options.plain


def test_durations_may_be_timedeltas(qk: Queuekit) -> None:
    @qk.task(delay=timedelta(minutes=1), keep=timedelta(hours=2))
    def task() -> None: ...

    assert task.job().options.delay == 60_000_000
    assert task.policy.keep == Keep(age=7_200_000_000)
    assert task.with_options(keep=(timedelta(seconds=1), 5)).job().options.keep == Keep(
        1_000_000, 5
    )
    assert task.with_options(keep="never").job().options.keep == Keep(0)


def test_a_call_overrides_delay_with_at_and_back(qk: Queuekit) -> None:
    @qk.task(delay=60)
    def task() -> None: ...

    moment = datetime(2030, 1, 1, tzinfo=UTC)
    at = task.with_options(at=moment)
    assert (at.job().options.delay, at.job().options.due) == (0, round(moment.timestamp() * 1e6))
    assert (
        at.with_options(delay=5, at=None).job().options.delay,
        at.job().options.due is None,
    ) == (5_000_000, False)


def test_what_only_the_worker_needs_travels_with_the_job(qk: Queuekit) -> None:
    @qk.task(timeout=30, backoff=lambda attempt, error: attempt)
    def task() -> None: ...

    assert task.job().options.extra == ""
    extra = json.loads(
        task.with_options(
            timeout=5, backoff=exponential(2, cap=9), retry_on=[OSError], meta={"a": 1}
        )
        .job()
        .options.extra
    )
    assert extra == {
        "timeout": 5,
        "backoff": ["exponential", 2, 2.0, 9, 0.1],
        "retry_on": ["builtins.OSError"],
        "meta": {"a": 1},
    }
    policy = task.policy.overlaid(extra)
    assert policy.timeout == 5
    assert policy.backoff == exponential(2, cap=9)
    assert list(policy.retry_on) == ["builtins.OSError"]
    assert task.policy.overlaid({"backoff": ["fixed", 3]}).backoff == fixed(3)


def test_a_function_can_not_travel(qk: Queuekit) -> None:
    @qk.task
    def task() -> None: ...

    with pytest.raises(InvalidOption, match="can't travel with a job"):
        task.with_options(backoff=lambda attempt, error: attempt)


def test_keys_come_from_the_arguments_and_long_ones_are_hashed(qk: Queuekit) -> None:
    @qk.task(key=lambda user, n=0: f"user:{user}" if n else None, key_policy="replace")
    def task(user: str, n: int = 0) -> None: ...

    assert task.job("ada").key is None
    assert task.job("ada", 1).key == "user:ada"
    assert task.job("ada", 1).options.key_policy is KeyPolicy.REPLACE
    long = task.job("x" * 300, n=1).key
    assert long is not None
    assert long.startswith("sha256:")
    for bad in ("", "a\0", "\ud800"):
        with pytest.raises(InvalidOption, match="a key is text"):
            task.with_options(key=bad).job("a")


TOO_LONG = [
    1_700_000_000_000,
    1_700_000_000.5,
    3_660 * 86_400 + 1,
    timedelta(days=3_661),
    float("inf"),
    10**5_000,
]
NO_DURATION = [float("nan"), -0.001, timedelta(seconds=-1), "30", True, Decimal(1), b"1", [1]]


@pytest.mark.parametrize("option", ["delay", "timeout", "expires", "lease", "keep", "key_until"])
@pytest.mark.parametrize("wrong", [*TOO_LONG, *NO_DURATION], ids=lambda wrong: repr_of(wrong, 20))
def test_durations_have_one_range(qk: Queuekit, option: str, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=f"{option}=.*: pass .*(duration|timedelta)"):
        qk.task(**{option: wrong})(nothing)


@pytest.mark.parametrize("option", ["delay", "timeout", "expires", "lease", "keep", "key_until"])
def test_the_longest_duration_is_ten_years(qk: Queuekit, option: Any) -> None:
    longest: Any = {option: timedelta(days=3_660)}
    assert qk.task(**longest)(nothing).job().task == "nothing"


def test_a_duration_that_is_too_long_guesses_the_slip(qk: Queuekit) -> None:
    with pytest.raises(
        InvalidOption,
        match=r"delay=1700000000: pass seconds or a timedelta, at least 0 and at most 3,660 days, "
        r"not 1700000000; were milliseconds or a moment meant as seconds\?",
    ):
        qk.task(delay=1_700_000_000)(nothing)


@pytest.mark.parametrize("option", ["timeout", "expires", "lease", "key_until"])
@pytest.mark.parametrize("wrong", [0, 1e-9, timedelta(0)])
def test_what_must_last_is_more_than_nothing(qk: Queuekit, option: str, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=f"{option}="):
        qk.task(**{option: wrong})(nothing)


@pytest.mark.parametrize(
    "wrong",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime(2200, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(0))).replace(tzinfo=None),
        date(2026, 1, 1),
        1_700_000_000,
        "2026-01-01T00:00:00+00:00",
    ],
    ids=str,
)
def test_at_is_an_aware_datetime_within_the_range(qk: Queuekit, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=r"at=.*(datetime|years 1970 to 2199)"):
        qk.task(at=wrong)(nothing)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_moment_comes_back_exactly(at: datetime) -> None:
    task = Queuekit("sqlite://").task(at=at)(nothing)

    due = task.job().options.due

    assert due is not None
    assert datetime_of(due) == at.astimezone(UTC)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ((60, -1), "pair"),
        ((60, 10**12), "pair"),
        ((60, 1.5), "pair"),
        (("x", 5), "timedelta"),
        ((1e12, 5), "timedelta"),
        (None, "pair"),
    ],
)
def test_retention_has_bounds(qk: Queuekit, keep: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=f"keep=.*{message}"):
        qk.task(keep=keep)(nothing)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"a": "x" * 64_000}, "meta has 64,008 bytes as JSON, 64,000 are allowed"),
        ({"a": (1, 2)}, "lists instead of tuples"),
        ({1: 2}, "meta=1: .*valid string"),
        ({"a": {None: 2}}, "text as the keys"),
        ({"a": float("nan")}, "plain JSON"),
        ({"a": deep(200)}, "meta is nested more than 200 deep"),
        ({"a": deep(100_000)}, "meta is nested more than 200 deep"),
        ({"a": 10**5_000}, "plain JSON"),
    ],
    ids=repr_of,
)
def test_meta_is_plain_json_of_a_bounded_size(qk: Queuekit, meta: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        qk.task(meta=meta)(nothing)


@pytest.mark.parametrize("wrong", [ValueError, 5, "ValueError", [ValueError, 5], None])
@pytest.mark.parametrize("option", ["retry_on", "give_up_on"])
def test_exception_types_come_as_a_sequence(qk: Queuekit, option: str, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=f"{option}=.*pass a sequence of exception types"):
        qk.task(**{option: wrong})(nothing)
