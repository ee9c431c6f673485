"""Jobs and what becomes of them, as values: what can't be kept is bounded, and ids are in order."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from queuekit.job import (
    LAST_MOMENT,
    LONGEST,
    Job,
    JobOptions,
    JobRef,
    Keep,
    Token,
    bounded,
    id_of,
    new_id,
)


def test_ids_are_uuids_of_version_7_in_the_order_of_their_making() -> None:
    made = [new_id() for _ in range(1_000)]
    assert made == sorted(made)
    assert len(set(made)) == 1_000
    assert {(type(one), one.version, one.variant) for one in made} == {
        (UUID, 7, "specified in RFC 4122")
    }


def test_an_id_made_of_its_number_is_the_same_id() -> None:
    one = uuid4()
    same = id_of(one.int)
    assert (same, hash(same), str(same), same.is_safe) == (one, hash(one), str(one), one.is_safe)


@pytest.mark.parametrize(
    ("given", "kept"), [(-1, 0), (0, 0), (5, 5), (LONGEST, LONGEST), (LONGEST + 1, LONGEST)]
)
def test_durations_are_the_nearest_that_can_be_kept(given: int, kept: int) -> None:
    assert bounded(given) == Keep(given).age == JobOptions(delay=given).delay == kept


@pytest.mark.parametrize("option", ["expires", "lease", "key_until"])
@pytest.mark.parametrize(("given", "kept"), [(-1, 1), (5, 5), (LONGEST + 1, LONGEST)])
def test_durations_that_may_not_be_nothing_are_at_least_a_microsecond(
    option: str, given: int, kept: int
) -> None:
    options: dict[str, Any] = {option: given}
    assert getattr(JobOptions(**options), option) == kept


@pytest.mark.parametrize(
    ("given", "kept"), [(-1, 0), (0, 0), (5, 5), (LAST_MOMENT + 1, LAST_MOMENT)]
)
def test_a_due_time_is_the_nearest_that_people_can_see(given: int, kept: int) -> None:
    assert JobOptions(due=given).due == kept


@pytest.mark.parametrize(("given", "kept"), [(-1, 0), (5, 5), (2**40, 2**31 - 1), (None, None)])
def test_a_count_is_one_that_every_store_can_keep(given: int | None, kept: int | None) -> None:
    assert Keep(1, given).count == kept


def test_what_a_key_waits_for_stays_a_word() -> None:
    assert JobOptions(key_until="started", delay=-1).key_until == "started"


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 1},
        {"due": 1},
        {"expires": 1},
        {"lease": 1},
        {"keep": Keep(0)},
        {"tags": ("a",)},
        {"extra": "{}"},
        {"replicated": True},
        {"max_crashes": 1},
        {"max_lapses": 1},
    ],
)
def test_a_job_with_a_rare_option_does_not_go_the_short_way(options: dict[str, Any]) -> None:
    assert not JobOptions(**options).plain


def test_most_jobs_go_the_short_way() -> None:
    assert JobOptions(queue="mail", priority=5, max_attempts=1).plain


def test_a_job_is_named_by_its_queue_and_its_id() -> None:
    job = Job(new_id(), "send", "{}", JobOptions(queue="mail"))
    ref = JobRef("mail", job.id)
    assert job.ref == Token("mail", job.id, 7, "of the backend").ref == ref
    assert str(ref) == f"{job.id} of queue 'mail'"
    assert ref != JobRef("other", job.id)
