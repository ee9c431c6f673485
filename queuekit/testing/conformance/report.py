"""What running jobs and processes tell of themselves."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from queuekit.backend import LOGS_KEPT, PROTOCOL, Backend, Presence, Report
from queuekit.job import SOLITARY_AFTER, SUSPECT_AFTER, Claim, Micros, Return, State
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    MILLISECOND,
    ack,
    claim,
    claim_one,
    dead,
    eventually,
    failed,
    give_back,
    job,
    lapse,
    numbered,
    put,
    record,
    released,
    retried,
    running,
    snoozed,
    succeeded,
)
from queuekit.testing.conformance.transfer import ALONE, a_job, in_state


class ReportCases:
    """`Backend.report`."""

    async def test_progress_is_kept(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.report([Report(one.token, '{"done":3,"of":9}', [])])
        assert (await record(backend, one.token.id)).notes.progress == '{"done":3,"of":9}'

    async def test_the_last_progress_counts(self, backend: Backend) -> None:
        one = await running(backend)
        for progress in ("0.1", "0.7"):
            await backend.report([Report(one.token, progress, [])])
        assert (await record(backend, one.token.id)).notes.progress == "0.7"

    async def test_no_progress_leaves_the_last_one(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.report([Report(one.token, "0.5", [])])
        await backend.report([Report(one.token, None, ["a line"])])
        found = await record(backend, one.token.id)
        assert (found.notes.progress, list(found.notes.logs)) == ("0.5", ["a line"])

    async def test_lines_are_kept_in_order(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.report([Report(one.token, None, ["1", "2"])])
        await backend.report([Report(one.token, None, ["3"])])
        assert list((await record(backend, one.token.id)).notes.logs) == ["1", "2", "3"]

    async def test_only_the_last_lines_are_kept(self, backend: Backend) -> None:
        one = await running(backend)
        lines = [str(number) for number in range(LOGS_KEPT + 30)]
        await backend.report([Report(one.token, None, lines[:60])])
        await backend.report([Report(one.token, None, lines[60:])])
        assert list((await record(backend, one.token.id)).notes.logs) == lines[-LOGS_KEPT:]

    async def test_reports_outlive_the_run(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.report([Report(one.token, "1", ["done"])])
        await ack(backend, succeeded(one))
        found = await record(backend, one.token.id)
        assert (found.notes.progress, list(found.notes.logs)) == ("1", ["done"])

    async def test_reports_outlive_a_retry(self, backend: Backend) -> None:
        one = await running(backend)
        await backend.report([Report(one.token, "1", ["first run"])])
        await give_back(backend, retried(one))
        await claim_one(backend)
        assert list((await record(backend, one.token.id)).notes.logs) == ["first run"]

    async def test_a_lost_lease_reports_nothing(self, backend: Backend) -> None:
        await put(backend, job())
        late = await claim_one(backend, lease=BRIEF)
        await lapse(backend, late)
        await claim_one(backend)
        await backend.report([Report(late.token, "0.9", ["from the grave"])])
        found = await record(backend, late.token.id)
        assert (found.notes.progress, list(found.notes.logs)) == (None, [])

    async def test_a_finished_job_reports_nothing_more(self, backend: Backend) -> None:
        one = await running(backend)
        await ack(backend, failed(one))
        await backend.report([Report(one.token, "0.9", ["too late"])])
        found = await record(backend, one.token.id)
        assert (found.notes.progress, list(found.notes.logs)) == (None, [])

    @pytest.mark.parametrize("back", [retried, snoozed, released, dead])
    async def test_a_job_that_was_given_back_reports_nothing_more(
        self, backend: Backend, back: Callable[[Claim], Return]
    ) -> None:
        one = await running(backend)
        await give_back(backend, back(one))
        await backend.report([Report(one.token, "0.9", ["too late"])])
        found = await record(backend, one.token.id)
        assert (found.notes.progress, list(found.notes.logs)) == (None, [])

    async def test_a_batch_of_reports_mixes_live_and_lost(self, backend: Backend) -> None:
        await put(backend, *numbered(100))
        claims = await claim(backend, 100)
        await ack(backend, succeeded(claims[50]))
        await backend.report([Report(one.token, one.payload, [one.payload]) for one in claims])
        for number in (0, 49, 51, 99):
            assert (await record(backend, claims[number].token.id)).notes.progress == str(number)
        assert (await record(backend, claims[50].token.id)).notes.progress is None

    async def test_no_reports_are_no_trouble(self, backend: Backend) -> None:
        await backend.report([])
        assert list(await backend.inspector.queues()) == []


class PresenceCases:
    """`Backend.present`, `Backend.absent` and `Inspector.workers`."""

    async def test_a_process_is_seen_as_it_registered(
        self, backend: Backend, other: Backend
    ) -> None:
        me = Presence(
            process="host-1-abc",
            host="host-1",
            pid=4711,
            version="0.1.0",
            queues=["default", "mails"],
            concurrency=20,
            backends=["redis", "postgres"],
        )
        await backend.present(me)
        (found,) = await other.inspector.workers()
        seen = found.presence
        assert (seen.process, seen.host, seen.pid, seen.version) == (
            me.process,
            "host-1",
            4711,
            "0.1.0",
        )
        assert (list(seen.queues), list(seen.backends)) == (
            ["default", "mails"],
            ["redis", "postgres"],
        )
        assert (seen.concurrency, seen.protocol, seen.ttl) == (20, PROTOCOL, me.ttl)

    async def test_queues_that_nobody_serves(self, backend: Backend, other: Backend) -> None:
        assert list(await backend.unserved()) == []
        await backend.present(self._process("a", queues=["left", "empty"]))
        await put(backend, job(queue="left"), job(queue="right"), job(queue="waits", delay=LONG))
        await ack(backend, succeeded(await running(backend, queue="finished")))
        assert sorted(await other.unserved()) == ["finished", "right", "waits"]
        await other.present(self._process("b", queues=["right"]))
        assert sorted(await backend.unserved()) == ["finished", "waits"]
        await other.absent("b")
        assert sorted(await backend.unserved()) == ["finished", "right", "waits"]

    @pytest.mark.parametrize("state", ALONE)
    @pytest.mark.parametrize("lapses", [0, SUSPECT_AFTER, SOLITARY_AFTER])
    async def test_any_job_holds_its_queue(
        self, backend: Backend, state: State, lapses: int
    ) -> None:
        for queue in ("right", "middle", "left"):
            one = in_state(state, job=a_job(queue=queue))
            one = replace(one, life=one.life._replace(lapses=lapses))
            await backend.transfer.store([one])
        assert sorted(await backend.unserved()) == ["left", "middle", "right"]

    async def test_a_process_whose_time_is_over_serves_nothing(self, backend: Backend) -> None:
        await put(backend, job())
        await backend.present(self._process("a", queues=["default"], ttl=1))
        await asyncio.sleep(0.005)
        assert list(await backend.unserved()) == ["default"]

    async def test_a_process_is_seen_at_the_servers_time(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await backend.present(self._process("a"))
        (found,) = await backend.inspector.workers()
        assert found.seen_at >= (await record(backend, one.id)).times.enqueued_at

    async def test_a_second_call_renews_the_first(self, backend: Backend) -> None:
        await backend.present(self._process("a"))
        (first,) = await backend.inspector.workers()
        await backend.present(self._process("a", concurrency=7))
        (second,) = await backend.inspector.workers()
        assert second.seen_at >= first.seen_at
        assert second.presence.concurrency == 7

    async def test_a_process_that_leaves_is_gone(self, backend: Backend) -> None:
        await backend.present(self._process("a"))
        await backend.present(self._process("b"))
        await backend.absent("a")
        assert [one.presence.process for one in await backend.inspector.workers()] == ["b"]

    async def test_a_process_that_is_not_heard_of_is_gone(self, backend: Backend) -> None:
        await backend.present(self._process("silent", ttl=30 * MILLISECOND))
        await backend.present(self._process("alive"))

        async def one_left() -> bool:
            await backend.maintain(["default"])
            found = await backend.inspector.workers()
            return [one.presence.process for one in found] == ["alive"]

        await eventually(one_left)

    async def test_a_process_that_is_not_heard_of_is_gone_before_the_next_tick(
        self, backend: Backend
    ) -> None:
        await backend.present(self._process("silent", ttl=30 * MILLISECOND))

        async def none_left() -> bool:
            return not await backend.inspector.workers()

        await eventually(none_left)

    async def test_who_was_never_there_may_leave(self, backend: Backend) -> None:
        await backend.absent("nobody")
        assert list(await backend.inspector.workers()) == []

    async def test_a_process_that_leaves_keeps_its_leases(self, backend: Backend) -> None:
        await backend.present(self._process("alice-4711"))
        one = await running(backend)
        await backend.absent("alice-4711")
        assert (await record(backend, one.token.id)).state is State.RUNNING

    def _process(
        self,
        name: str,
        *,
        concurrency: int = 1,
        ttl: Micros = LONG,
        queues: Sequence[str] = ("default",),
    ) -> Presence:
        return Presence(
            process=name,
            host="host",
            pid=1,
            version="0.1.0",
            queues=queues,
            concurrency=concurrency,
            ttl=ttl,
        )
