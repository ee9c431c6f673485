"""Looking at jobs and queues."""

from datetime import timedelta
from uuid import UUID

import pytest

from queuekit.backend import Backend, JobFilter
from queuekit.job import JobRef, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    ack,
    claim,
    claim_one,
    failed,
    find_all,
    give_back,
    job,
    lapse,
    numbered,
    one_of_each,
    put,
    record,
    retried,
    running,
    state_of,
    succeeded,
)
from queuekit.times import datetime_of


class GetCases:
    """`Inspector.get`."""

    async def test_records_come_in_the_order_asked_for(self, backend: Backend) -> None:
        first, second = numbered(2)
        await put(backend, first, second)
        found = await backend.inspector.get([second.ref, JobRef("default", new_id()), first.ref])
        assert [one.job.id if one else None for one in found] == [second.id, None, first.id]

    async def test_nothing_asked_for_is_nothing_got(self, backend: Backend) -> None:
        assert await backend.inspector.get([]) == []

    async def test_a_record_of_a_named_queue(self, backend: Backend) -> None:
        left = job("1", queue="left")
        await put(backend, left, job("2", queue="right", id=left.id))
        assert (await record(backend, JobRef("left", left.id))).job.payload == "1"
        assert (await record(backend, JobRef("right", left.id))).job.payload == "2"
        assert await state_of(backend, JobRef("elsewhere", left.id)) is None

    async def test_of_one_id_in_several_queues_the_newest_is_located(
        self, backend: Backend
    ) -> None:
        first = job("1", queue="z")
        await put(backend, first)
        for queue, payload in (("a", "2"), ("m", "3")):
            await put(backend, job(payload, queue=queue, id=first.id))
        missing, other = new_id(), job(queue="a")
        await put(backend, other)
        found = await backend.inspector.locate([missing, first.id, other.id])
        assert found == [None, JobRef("m", first.id), other.ref]

    async def test_steering_one_of_several_jobs_of_an_id(self, backend: Backend) -> None:
        first = job("1", queue="z")
        await put(backend, first)
        for queue, payload in (("a", "2"), ("m", "3")):
            await put(backend, job(payload, queue=queue, id=first.id))
        await backend.inspector.steer(Event.CANCEL, [JobRef("m", first.id)])
        assert await state_of(backend, JobRef("m", first.id)) is State.CANCELLED
        assert await state_of(backend, JobRef("a", first.id)) is State.READY
        assert await state_of(backend, JobRef("z", first.id)) is State.READY

    async def test_a_job_of_any_queue_is_found_by_its_id(self, backend: Backend) -> None:
        jobs = [job(queue=queue) for queue in ("a", "b:c", "d/e.f-g_h")]
        await put(backend, *jobs)
        found = await backend.inspector.get([one.ref for one in jobs])
        assert [one.job.options.queue if one else None for one in found] == [
            "a",
            "b:c",
            "d/e.f-g_h",
        ]

    async def test_live_and_finished_jobs_are_got_alike(self, backend: Backend) -> None:
        finished = await running(backend)
        await ack(backend, succeeded(finished))
        live = job()
        await put(backend, live)
        found = await backend.inspector.get([finished.token.ref, live.ref])
        assert [one.state if one else None for one in found] == [State.SUCCEEDED, State.READY]

    async def test_a_running_job_shows_its_lease(self, backend: Backend) -> None:
        one = await running(backend)
        found = await record(backend, one.token.id)
        assert found.times.leased_until is not None
        assert found.times.started_at is not None
        assert found.times.leased_until > found.times.started_at


class FindCases:
    """`Inspector.find`."""

    async def test_all_jobs_are_found(self, backend: Backend) -> None:
        jobs = [job(), job(delay=LONG), job(queue="other")]
        await put(backend, *jobs)
        ended = await running(backend, queue="third")
        await ack(backend, succeeded(ended))
        assert await self._find(backend, JobFilter()) == {*(j.id for j in jobs), ended.token.id}

    async def test_jobs_of_a_queue(self, backend: Backend) -> None:
        left, right = job(queue="left"), job(queue="right")
        await put(backend, left, right)
        assert await self._find(backend, JobFilter(queues=["left"])) == {left.id}
        assert await self._find(backend, JobFilter(queues=["left", "right"])) == {left.id, right.id}
        assert await self._find(backend, JobFilter(queues=["nowhere"])) == set()

    async def test_jobs_of_a_task(self, backend: Backend) -> None:
        one = job(task="mails.send")
        await put(backend, one, job(task="mails.sen"), job(task="mails.send2"))
        assert await self._find(backend, JobFilter(tasks=["mails.send"])) == {one.id}

    async def test_jobs_in_a_state(self, backend: Backend) -> None:
        by_state = await one_of_each(backend)
        for state, one in by_state.items():
            assert await self._find(backend, JobFilter(states=[state])) == {one}

    async def test_jobs_in_several_states(self, backend: Backend) -> None:
        by_state = await one_of_each(backend)
        states = [State.READY, State.FAILED, State.RUNNING]
        wanted = {by_state[state] for state in states}
        assert await self._find(backend, JobFilter(states=states)) == wanted

    async def test_jobs_with_a_tag(self, backend: Backend) -> None:
        one, both = job(tags=("a",)), job(tags=("b", "a"))
        await put(backend, one, both, job(tags=("ab",)), job())
        assert await self._find(backend, JobFilter(tags=["a"])) == {one.id, both.id}

    async def test_finished_jobs_with_a_tag(self, backend: Backend) -> None:
        one = await running(backend, tags=("a",))
        await ack(backend, succeeded(one))
        assert await self._find(backend, JobFilter(tags=["a"])) == {one.token.id}

    async def test_jobs_since(self, backend: Backend) -> None:
        await put(backend, job())
        one = job()
        await put(backend, one)
        since = (await record(backend, one.id)).times.enqueued_at
        assert one.id in await self._find(backend, JobFilter(since=since))
        assert await self._find(backend, JobFilter(since=since + LONG)) == set()

    async def test_jobs_since_a_datetime(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        since = datetime_of((await record(backend, one.id)).times.enqueued_at)
        assert await self._find(backend, JobFilter(since=since)) == {one.id}
        later = JobFilter(since=since + timedelta(microseconds=1))
        assert await self._find(backend, later) == set()

    async def test_jobs_by_a_part_of_their_last_error(self, backend: Backend) -> None:
        await put(backend, *numbered(3))
        first, second, third = await claim(backend, 3)
        await ack(backend, failed(first, message="disk 100% full"), failed(second, message="other"))
        await ack(backend, succeeded(third))
        assert await self._find(backend, JobFilter(error="100% full")) == {first.token.id}
        assert await self._find(backend, JobFilter(error="100_ full")) == set()

    async def test_only_the_last_error_counts(self, backend: Backend) -> None:
        await put(backend, job())
        for message in ("alpha", "beta"):
            await give_back(backend, retried(await claim_one(backend), message=message))
        one = await claim_one(backend)
        await give_back(backend, retried(one, LONG, "gamma"))
        assert await self._find(backend, JobFilter(error="gamma")) == {one.token.id}
        assert await self._find(backend, JobFilter(error="alpha")) == set()

    @pytest.mark.parametrize("message", ["a \\u0000 b", "\\ud800", "\\\\u0000"])
    async def test_an_odd_error_spoils_no_search(self, backend: Backend, message: str) -> None:
        await put(backend, *numbered(2))
        odd, one = await claim(backend, 2)
        text = f'{{"attempt":1,"type":"Odd","message":"{message}","traceback":""}}'
        await ack(backend, failed(odd)._replace(error=text), failed(one, message="plain"))
        assert await self._find(backend, JobFilter(error="plain")) == {one.token.id}

    async def test_all_conditions_hold(self, backend: Backend) -> None:
        one = job(task="a", queue="left", tags=("x",))
        await put(
            backend,
            one,
            job(task="a", queue="left"),
            job(task="b", queue="left", tags=("x",)),
            job(task="a", queue="right", tags=("x",)),
        )
        where = JobFilter(queues=["left"], tasks=["a"], tags=["x"], states=[State.READY])
        assert await self._find(backend, where) == {one.id}

    async def test_pages_bring_every_job_once(self, backend: Backend) -> None:
        await put(backend, *numbered(25), *numbered(10, queue="other"))
        claims = await claim(backend, 12)
        await ack(backend, *(succeeded(one) for one in claims))
        assert len(await self._pages(backend, JobFilter(), limit=10)) == 35

    async def test_a_page_is_full_unless_it_is_the_last(self, backend: Backend) -> None:
        await put(backend, *numbered(25))
        sizes = []
        after = None
        for _ in range(3):
            page = await backend.inspector.find(JobFilter(), limit=10, after=after)
            sizes.append(len(page))
            after = page[-1].ref
        assert sizes == [10, 10, 5]
        assert await backend.inspector.find(JobFilter(), limit=10, after=after) == []
        assert await backend.inspector.find(JobFilter(), limit=0) == []

    async def test_the_greatest_ids_come_first_whatever_their_queue_and_state(
        self, backend: Backend
    ) -> None:
        await one_of_each(backend)
        await put(
            backend, *numbered(5, queue="other"), *numbered(3), job(queue="other", delay=LONG)
        )
        found = await find_all(backend, limit=4)
        assert len(found) == 16
        assert found == sorted(found, key=lambda one: one.job.id, reverse=True)

    async def test_jobs_of_one_id_come_by_their_queue(self, backend: Backend) -> None:
        one = new_id()
        await put(backend, *(job(queue=queue, id=one) for queue in ("b", "B", "a", "A-", "A")))
        found = await find_all(backend, limit=2)
        assert [each.job.options.queue for each in found] == ["b", "a", "B", "A-", "A"]

    async def test_a_page_begins_after_a_job_that_is_gone(self, backend: Backend) -> None:
        jobs = numbered(4)
        await put(backend, *jobs)
        newest_first = sorted(jobs, key=lambda one: one.id, reverse=True)
        await backend.inspector.steer(Event.DELETE, [newest_first[1].ref])
        page = await backend.inspector.find(JobFilter(), after=newest_first[1].ref)
        assert [one.job.id for one in page] == [one.id for one in newest_first[2:]]

    async def test_the_refs_are_of_the_jobs_that_are_found(self, backend: Backend) -> None:
        await one_of_each(backend)
        await put(backend, *numbered(3, queue="other", tags=("a",)))
        for where in (
            JobFilter(),
            JobFilter(queues=["other"]),
            JobFilter(tags=["a"]),
            JobFilter(states=[State.FAILED, State.WAITING]),
        ):
            refs = [ref async for some in backend.inspector.refs(where) for ref in some]
            assert sorted(refs) == sorted(one.ref for one in await find_all(backend, where))
            assert len(set(refs)) == len(refs)

    async def test_an_error_is_searched_as_people_read_it(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one, message='Zürich says "no"'))
        for text in ("Zürich", 'says "no"', "Oops: Zür"):
            assert await self._find(backend, JobFilter(error=text)) == {one.token.id}
        for text in ("traceback", "attempt", "\\u00fc"):
            assert await self._find(backend, JobFilter(error=text)) == set()

    async def test_pages_of_a_narrow_filter_end(self, backend: Backend) -> None:
        one = job(tags=("rare",))
        await put(backend, *numbered(40), one, *numbered(40))
        pages = await self._pages(backend, JobFilter(tags=["rare"]), limit=7)
        assert pages == [one.id]

    async def test_a_rare_job_is_found_behind_many(self, backend: Backend) -> None:
        first, last = job(tags=("rare",)), job(tags=("rare",))
        await put(backend, first)
        for _ in range(24):
            await put(backend, *numbered(1000, fresh=True))
        await put(backend, last)
        pages = await self._pages(backend, JobFilter(tags=["rare"]), limit=7)
        assert set(pages) == {first.id, last.id}

    async def test_an_empty_store_has_one_empty_page(self, backend: Backend) -> None:
        assert await self._pages(backend, JobFilter(), limit=10) == []

    async def _find(self, backend: Backend, where: JobFilter) -> set[UUID]:
        return set(await self._pages(backend, where, limit=50))

    async def _pages(self, backend: Backend, where: JobFilter, limit: int) -> list[UUID]:
        ids = [one.job.id for one in await find_all(backend, where, limit=limit)]
        assert len(set(ids)) == len(ids)
        return ids


class QueuesCases:
    """`Inspector.queues`."""

    async def test_a_new_store_has_no_queues(self, backend: Backend) -> None:
        assert list(await backend.inspector.queues()) == []

    async def test_queues_count_their_jobs_by_state(self, backend: Backend) -> None:
        await one_of_each(backend)
        await put(backend, *numbered(2, queue="other"))
        found = {queue.name: queue.counts for queue in await backend.inspector.queues()}
        assert found["other"] == {State.READY: 2}
        assert found["default"] == {
            State.SCHEDULED: 1,
            State.READY: 1,
            State.RUNNING: 1,
            State.SUCCEEDED: 1,
            State.FAILED: 1,
            State.CANCELLED: 1,
            State.WAITING: 1,
        }

    async def test_a_queue_of_records_only_is_there(self, backend: Backend) -> None:
        await ack(backend, succeeded(await running(backend)))
        (queue,) = await backend.inspector.queues()
        assert (queue.name, queue.counts) == ("default", {State.SUCCEEDED: 1})

    async def test_counts_follow_jobs_through_their_life(self, backend: Backend) -> None:
        await put(backend, job())
        await lapse(backend, await claim_one(backend, lease=BRIEF))
        assert await self._counts(backend) == {State.READY: 1}
        await give_back(backend, retried(await claim_one(backend), LONG))
        assert await self._counts(backend) == {State.SCHEDULED: 1}

    async def _counts(self, backend: Backend) -> dict[State, int]:
        (queue,) = await backend.inspector.queues()
        return dict(queue.counts)
