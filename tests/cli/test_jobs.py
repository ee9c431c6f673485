import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from queuekit import Queuekit
from queuekit.job import Job, JobOptions, new_id
from queuekit.testing.conformance._make import STORED, answer_of
from tests.cli.conftest import Cli

Work = Callable[[], None]
NO_SUCH = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def jobs(cli: Cli, work: Work) -> dict[str, str]:
    """Ids of one job in each state that the command line meets."""

    def enqueue(task: str, arguments: str, *more: str) -> str:
        found: str = cli("enqueue", task, arguments, "--json", *more).document["id"]
        return found

    made = {
        "succeeded": enqueue("send", '{"to": "ada"}'),
        "failed": enqueue("send", '{"to": "nobody"}'),
    }
    work()
    made["scheduled"] = enqueue("send", '{"to": "ada"}', "--delay", "1h")
    made["ready"] = enqueue("import_day", '{"day": "2026-01-31"}')
    return made


def states(cli: Cli) -> dict[str, str]:
    return {job["id"]: job["state"] for job in cli("jobs", "list", "--json").lines}


def test_a_table_for_people(cli: Cli, jobs: dict[str, str]) -> None:
    done = cli("jobs", "list")

    assert done.code == 0
    for state, job in jobs.items():
        (line,) = [line for line in done.out.splitlines() if job in line]
        assert state in line
    assert "failed (gave_up)" in done.out
    assert "GiveUp: no such address" in done.out
    today = f"{datetime.now(UTC).astimezone():%Y-%m-%d}"
    assert today in done.out


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("--state failed", {"failed"}),
        ("--state failed --state ready", {"failed", "ready"}),
        ("--task import_day", {"ready"}),
        ("--queue email", {"succeeded", "failed", "scheduled"}),
        ("--tag slow", {"ready"}),
        ("--error address", {"failed"}),
        ("--since 1h", {"succeeded", "failed", "scheduled", "ready"}),
        ("--since 2199-01-01", set()),
        ("--queue email --state ready", set()),
    ],
)
def test_filters(cli: Cli, jobs: dict[str, str], filters: str, found: set[str]) -> None:
    done = cli("jobs", "list", "--json", *filters.split())

    assert {job["id"] for job in done.lines} == {jobs[state] for state in found}


def test_no_jobs_are_no_failure(cli: Cli) -> None:
    assert cli("jobs", "list").out == "no such jobs\n"
    assert cli("jobs", "show").out == "no such jobs\n"
    assert cli("jobs", "list", "--json").lines == []


def test_the_newest_up_to_a_limit(cli: Cli, jobs: dict[str, str]) -> None:
    assert (
        cli("jobs", "list", "--task", "send", "--limit", 1, "--json").document["id"]
        == (jobs["scheduled"])
    )


def test_all_that_is_known_of_a_job(cli: Cli, jobs: dict[str, str]) -> None:
    done = cli("jobs", "show", jobs["failed"])

    assert "state      failed (gave_up)" in done.out
    assert "attempt    1 of 2" in done.out
    assert "GiveUp: no such address" in done.out
    assert "Traceback" in done.out
    assert "result     'ada'" in cli("jobs", "show", jobs["succeeded"]).out


def test_json_of_a_job(cli: Cli, jobs: dict[str, str]) -> None:
    job = cli("jobs", "show", jobs["failed"], "--json").document

    assert (job["state"], job["reason"], job["attempt"]) == ("failed", "gave_up", 1)
    assert job["errors"][0]["type"] == "GiveUp"
    age = datetime.now(UTC) - datetime.fromisoformat(job["finished_at"])
    assert timedelta(0) < age < timedelta(minutes=1)


def test_a_job_that_is_not_there(cli: Cli) -> None:
    done = cli("jobs", "show", NO_SUCH)

    assert done.code == 1
    assert done.err.startswith(f"error: No job {NO_SUCH}")


def test_a_terminal_obeys_no_job(cli: Cli, work: Work) -> None:
    cli("enqueue", "talkative", "{}")
    work()

    done = cli("jobs", "show", "--task", "talkative")

    assert "half way" in done.out
    assert r"said \x1b[31msomething" in done.out


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("retry", "failed", "ready"),
        ("cancel", "ready", "cancelled"),
        ("promote", "scheduled", "ready"),
        ("delete", "succeeded", None),
    ],
)
def test_steering_by_id_and_by_filter(
    cli: Cli, jobs: dict[str, str], verb: str, before: str, after: str | None
) -> None:
    yes = ["--yes"] if verb in {"cancel", "delete"} else []
    done = cli("jobs", verb, jobs[before], *yes)

    assert done.code == 0
    assert done.out.startswith("1 job ")
    assert states(cli).get(jobs[before]) == after

    # Told again by the old state, it finds nothing and that is no failure.
    again = cli("jobs", verb, "--state", before, "--json", *yes)
    assert (again.code, again.document) == (0, {"done": 0, "refused": []})


def test_what_is_refused_is_named(cli: Cli, jobs: dict[str, str]) -> None:
    done = cli("jobs", "retry", jobs["succeeded"], jobs["failed"], NO_SUCH)

    assert done.code == 1
    assert "1 job retried, 2 refused" in done.out
    assert "it is succeeded" in done.out
    assert "no such job" in done.out
    assert states(cli)[jobs["failed"]] == "ready"


def test_refusals_in_json(cli: Cli, jobs: dict[str, str]) -> None:
    done = cli("jobs", "promote", jobs["ready"], NO_SUCH, "--json")

    assert done.code == 1
    assert done.document["done"] == 0
    assert {one["id"]: one["state"] for one in done.document["refused"]} == {
        jobs["ready"]: "ready",
        NO_SUCH: None,
    }


def test_a_state_that_a_verb_can_do_nothing_about(cli: Cli) -> None:
    done = cli("jobs", "promote", "--state", "failed", "--state", "succeeded")

    assert done.code == 1
    assert "No job in state failed, succeeded can be told to promote" in done.err


def test_thousands_at_once(cli: Cli, qk: Queuekit) -> None:
    async def enqueue() -> None:
        async with qk:
            send: Any = qk.tasks.find("send")
            await qk.enqueue_many([send.job(f"{n}@example.com") for n in range(1_200)])

    asyncio.run(enqueue())

    done = cli("jobs", "cancel", "--queue", "email", "--yes")

    assert done.out == "1,200 jobs cancelled\n"
    counts = cli("queues", "list", "--json").document["counts"]
    assert counts == {"cancelled": 1_200}
    again = cli("jobs", "retry", "--state", "cancelled", "--json").document
    assert again["done"] == 1_200


def test_ids_repeated_count_once(cli: Cli, jobs: dict[str, str]) -> None:
    done = cli("jobs", "retry", jobs["failed"], jobs["failed"])

    assert (done.code, done.out) == (0, "1 job retried\n")


@pytest.mark.parametrize("verb", ["retry", "cancel --yes", "delete --yes", "promote"])
@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            "--task snd",
            "No task 'snd': no job is of it. Tasks of the app: block, charge, import_day, send",
        ),
        ("--task send --task snd", "No task 'snd'"),
        ("--queue emial", "No queue 'emial'. Known queues: default, email, notes, threads"),
    ],
)
def test_a_filter_with_a_slip_of_the_pen(cli: Cli, verb: str, filters: str, message: str) -> None:
    done = cli("jobs", *verb.split(), *filters.split(), "--json")

    assert (done.code, done.out) == (1, "")
    assert message in done.err


@pytest.mark.parametrize("verb", ["jobs retry", "jobs cancel --yes", "queues clean --yes"])
def test_a_slip_of_the_pen_without_an_app(
    cli: Cli, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUEUEKIT_APP")
    done = cli(*verb.split(), "--task", "snd")

    assert (done.code, done.out) == (1, "")
    assert "No task 'snd': no job is of it. Only an app knows which tasks" in done.err
    assert "name it, say --app app:qk" in done.err


def test_an_app_that_is_given_counts_beside_a_url(cli: Cli, shop: Path) -> None:
    done = cli("jobs", "retry", "--task", "snd", "--app", f"{shop}:qk", "--url", "sqlite:///a.db")

    assert "Tasks of the app: block, charge, import_day, send" in done.err


def test_a_filter_that_finds_nothing_is_no_slip(cli: Cli, jobs: dict[str, str]) -> None:
    assert cli("jobs", "promote", "--task", "whoami", "--json").document == {
        "done": 0,
        "refused": [],
    }
    assert cli("jobs", "retry", "--queue", "notes").out == "0 jobs retried\n"


def test_arguments_are_shown_as_in_a_call(cli: Cli, jobs: dict[str, str], work: Work) -> None:
    shown = cli("jobs", "show", jobs["ready"]).out
    assert "arguments  day=datetime.date(2026, 1, 31)\n" in shown
    document = cli("jobs", "show", jobs["ready"], "--json").document
    assert document["arguments"] == {"day": "2026-01-31"}
    assert "2026, 1, 31" not in cli("jobs", "list").out


def stored(qk: Queuekit, *jobs: Job[Any]) -> None:
    async def store() -> None:
        async with qk:
            answers = await (await qk.backend()).enqueue(jobs)
            assert all(answer_of(answer) is STORED for answer in answers), answers

    asyncio.run(store())


def test_any_stored_job_can_be_looked_at(cli: Cli, qk: Queuekit) -> None:
    options = JobOptions(due=10**17, extra="no JSON")
    jobs = [
        Job(new_id(), task, payload, options)
        for task in ("send", "of another version")
        for payload in (
            "no JSON",
            '{"v":1,"a":{"to":"\\ud800","\\udfff":[NaN,"\\u0000"]}}',
            '{"v":1,"a":{"to":1e400}}',
        )
    ]
    stored(qk, *jobs)

    for verb in ("list", "show"):
        ids = [job.id for job in jobs] if verb == "show" else []
        done = cli("jobs", verb, *ids, "--json")
        assert {job["id"] for job in done.lines} == {str(job.id) for job in jobs}
        assert {job["scheduled_at"][:5] for job in done.lines} <= {"5138-"}
        people = cli("jobs", verb, *ids)
        assert people.code == 0
        assert all(str(job.id) in people.out for job in jobs)


@pytest.mark.parametrize(
    "since", ["99999999d", "0001-01-01", "9999-12-31T23:59:59", "1969-12-31T00:00Z"]
)
def test_a_moment_has_a_range(cli: Cli, since: str) -> None:
    done = cli("jobs", "list", "--since", since)

    assert done.code == 2
    assert "too long" in done.err or "1970 to 2199" in done.err
