"""`Queuekit.inspect`: by ids or by filter, one job or thousands."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from queuekit import GiveUp, Handle, InvalidOption, JobNotFound, Queuekit, State, UnknownTask
from queuekit.backend import JobFilter
from queuekit.job import JobRef
from tests.waiting import eventually


class Shop:
    """An app with its one task, and another one on the same store that knows no task."""

    def __init__(self, url: str, namespace: str) -> None:
        self.qk, self.stranger = (Queuekit(url, namespace=namespace) for _ in range(2))

        @self.qk.task(queue="mail")
        async def send(to: str) -> str:
            if to == "nobody":
                raise GiveUp("no such address")
            return to

        self.send = send

    async def jobs(self, *to: str, **options: Any) -> list[JobRef]:
        """One job for each addressee."""
        task = self.send.with_options(**options)
        handles = await self.qk.enqueue_many([task.job(one) for one in to])
        return [JobRef("mail", handle.id) for handle in handles]

    async def states(self, *refs: JobRef) -> list[State]:
        return [await self.qk.handle(ref.id, queue=ref.queue).status() for ref in refs]


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Shop:
    if request.param == "sqlite":
        return Shop(f"sqlite:///{tmp_path}/queue.db", namespace)
    return Shop(request.getfixturevalue(f"{request.param}_url"), namespace)


async def test_list_gives_the_newest_first_up_to_a_limit(shop: Shop) -> None:
    async with shop.qk:
        jobs = await shop.jobs("ada", "bob", "cyd")
        assert [job.ref for job in await shop.qk.inspect.list()] == jobs[::-1]
        assert [job.ref for job in await shop.qk.inspect.list(limit=2)] == [jobs[2], jobs[1]]
        assert await shop.qk.inspect.list(limit=0) == []
        assert await shop.qk.inspect.list(JobFilter(queues=["other"])) == []


async def test_list_goes_on_after_the_last_one_of_a_page(shop: Shop) -> None:
    async with shop.qk:
        jobs = await shop.jobs(*"abcde")
        page = await shop.qk.inspect.list(limit=2)
        assert [job.ref for job in page] == [jobs[4], jobs[3]]
        await shop.qk.inspect.delete([page[-1].ref])
        rest = await shop.qk.inspect.list(after=page[-1])
        assert [job.ref for job in rest] == [jobs[2], jobs[1], jobs[0]]
        assert await shop.qk.inspect.list(after=rest[-1].ref) == []


async def test_one_id_in_two_queues_is_two_jobs(shop: Shop) -> None:
    one = uuid4()
    async with shop.qk:
        left, right = await shop.jobs("ada", id=one), JobRef("other", one)
        await shop.send.with_options(id=one, queue="other").enqueue("bob")
        assert await shop.qk.inspect.cancel(JobFilter(queues=["mail"])) == (1, {})
        assert await shop.states(*left, right) == [State.CANCELLED, State.READY]
        assert (await shop.qk.inspect.show(left[0])).arguments == {"to": "ada"}
        assert (await shop.qk.inspect.show(right)).arguments == {"to": "bob"}
        assert (await shop.qk.inspect.show(one)).ref == right, "the one enqueued last"


async def test_results_have_the_type_of_a_task_that_is_known(shop: Shop) -> None:
    stranger = shop.stranger
    async with shop.qk, stranger:
        (job,) = await shop.jobs("ada")
        await shop.qk.run_worker(burst=True)
        for app in (shop.qk, stranger):
            info = await app.inspect.show(job)
            assert (info.state, info.result, info.task) == (State.SUCCEEDED, "ada", "send")


async def test_show_names_a_job_that_is_not_there(shop: Shop) -> None:
    missing = uuid4()
    async with shop.qk:
        with pytest.raises(JobNotFound, match=str(missing)):
            await shop.qk.inspect.show(missing)
        (job,) = await shop.jobs("ada")
        with pytest.raises(JobNotFound, match="of queue 'other'"):
            await shop.qk.inspect.show(JobRef("other", job.id))
        assert (await shop.qk.inspect.show(job)).ref == job
        assert (await shop.qk.inspect.show(job.id)).ref == job


@pytest.mark.parametrize("by", [list, lambda _: JobFilter(queues=["mail"])])
async def test_steering_by_refs_and_by_filter(
    shop: Shop, by: Callable[[list[JobRef]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.inspect.PORTION", 2)
    inspect = shop.qk.inspect
    async with shop.qk:
        ids = await shop.jobs("ada", "bob", "cyd", delay=3600)

        assert await inspect.promote(by(ids)) == (3, {})
        assert await shop.states(*ids) == [State.READY] * 3
        assert await inspect.cancel(by(ids)) == (3, {})
        assert await shop.states(*ids) == [State.CANCELLED] * 3
        assert await inspect.retry(by(ids)) == (3, {})
        assert await shop.states(*ids) == [State.READY] * 3
        assert await inspect.delete(by(ids)) == (3, {})
        assert await inspect.list() == []


async def test_refusals_are_told_by_job(shop: Shop) -> None:
    missing = JobRef("mail", uuid4())
    async with shop.qk:
        ready, scheduled = [*await shop.jobs("ada"), *await shop.jobs("bob", delay=3600)]
        steered = await shop.qk.inspect.promote([ready, missing, scheduled])
    assert steered.done == 1
    assert {ref: change.found for ref, change in steered.refused.items()} == {
        ready: State.READY,
        missing: None,
    }


async def test_a_filter_by_a_state_that_a_verb_can_do_nothing_about(shop: Shop) -> None:
    async with shop.qk:
        with pytest.raises(InvalidOption, match="No job in state succeeded can be told to retry"):
            await shop.qk.inspect.retry(JobFilter(states=[State.SUCCEEDED]))
        with pytest.raises(InvalidOption, match="No job in state running can be told to delete"):
            await shop.qk.inspect.delete(JobFilter(states=[State.RUNNING]))


async def test_a_filter_leaves_other_jobs_alone(shop: Shop) -> None:
    async with shop.qk:
        failed, done = await shop.jobs("nobody", "ada")
        await shop.qk.run_worker(burst=True)
        assert await shop.qk.inspect.retry(JobFilter(error="no such address")) == (1, {})
        assert await shop.states(failed, done) == [State.READY, State.SUCCEEDED]


async def test_a_paused_queue_waits_until_it_is_resumed(shop: Shop) -> None:
    async with shop.qk:
        (job,) = await shop.jobs("ada")
        await shop.qk.inspect.pause("mail")
        await shop.qk.run_worker(burst=True)
        (queue,) = await shop.qk.inspect.queues()
        assert (queue.name, queue.paused, queue.counts) == ("mail", True, {State.READY: 1})

        await shop.qk.inspect.resume("mail")
        await shop.qk.run_worker(burst=True)
        assert await shop.states(job) == [State.SUCCEEDED]


async def test_drain_and_clean_say_how_many(shop: Shop) -> None:
    async with shop.qk:
        await shop.jobs(*"abc")
        await shop.jobs("later", delay=3600)
        assert await shop.qk.inspect.drain("mail") == 4
        assert await shop.qk.inspect.drain("mail") == 0
        assert await shop.qk.inspect.clean(JobFilter(states=[State.SUCCEEDED])) == 0
        assert await shop.qk.inspect.clean(JobFilter(states=[State.CANCELLED])) == 4
        assert await shop.qk.inspect.list() == []


async def test_workers_that_are_present(shop: Shop) -> None:
    seen: list[tuple[str, ...]] = []

    @shop.qk.task(queue="mail")
    async def look() -> None:
        seen.extend(tuple(worker.presence.queues) for worker in await shop.qk.inspect.workers())

    async with shop.qk:
        assert await shop.qk.inspect.workers() == []
        job: Handle[None] = await look.enqueue()
        await shop.qk.run_worker(burst=True)
        assert await job.status() is State.SUCCEEDED
        assert await shop.qk.inspect.workers() == []
    assert seen == [("mail",)]


async def test_a_queue_that_is_not_there_is_refused(shop: Shop) -> None:
    stranger = shop.stranger
    async with shop.qk, stranger:
        await shop.jobs("ada")
        inspect = stranger.inspect
        acts = [inspect.pause("post"), inspect.resume("mail", "post"), inspect.drain("post"),
                inspect.clean(JobFilter(queues=["post"])), inspect.retry(JobFilter(queues=["post"]))]  # fmt: skip
        for act in acts:
            with pytest.raises(InvalidOption, match=r"No queue 'post'\. Known queues: mail"):
                await act
        assert not any(queue.paused for queue in await inspect.queues())

        await inspect.pause("post", create=True)
        await inspect.resume("post")


async def test_a_queue_is_known_by_its_tasks_and_its_workers(shop: Shop) -> None:
    stranger = shop.stranger
    async with shop.qk, stranger:
        await shop.qk.inspect.pause("mail")
        await shop.qk.inspect.resume("mail")
        with pytest.raises(InvalidOption, match="Known queues: none"):
            await stranger.inspect.pause("mail")
        async with shop.qk.worker(queues=["served"]):
            await eventually(stranger.inspect.workers)
            await stranger.inspect.pause("served")


async def test_a_task_that_is_not_there_is_refused(shop: Shop) -> None:
    stranger = shop.stranger
    async with shop.qk, stranger:
        (job,) = await shop.jobs("ada")
        with pytest.raises(UnknownTask, match="No task 'snd': no job is of it"):
            await shop.qk.inspect.cancel(JobFilter(tasks=["snd"]))
        # Who knows no task at all can't tell.
        assert await stranger.inspect.cancel(JobFilter(tasks=["snd"])) == (0, {})
        for app in (shop.qk, stranger):
            assert await app.inspect.promote(JobFilter(tasks=["send"])) == (0, {})
        assert await shop.qk.inspect.delete([job]) == (1, {})
        assert await shop.qk.inspect.cancel(JobFilter(tasks=["send"])) == (0, {})


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (datetime(2026, 1, 1), "since: a naive datetime is ambiguous"),  # noqa: DTZ001
        (datetime.max.replace(tzinfo=UTC), "since: pass a moment of the years 1970 to 2199"),
        (2**63, "since: pass a moment of the years 1970 to 2199"),
        (-1, "since: pass a moment"),
        ("2026-01-01", "since: pass an aware datetime, not str"),
        (1.7e9, "since: pass an aware datetime, not float"),
    ],
)
def test_since_is_a_moment(since: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        JobFilter(since=since)
