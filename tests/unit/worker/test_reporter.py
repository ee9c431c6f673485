"""Progress and log lines on their way to the store."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from queuekit.errors import BackendRefused, BackendUnavailable
from queuekit.job import Token
from queuekit.loops import background
from tests.unit.worker.conftest import Bench, Calls, turns
from tests.worker.faults import Fault


@pytest.fixture
async def token(bench: Bench) -> Token:
    return (await bench.run()).claim.token


async def lines_of(bench: Bench, token: Token) -> list[str]:
    return list((await bench.record(token)).notes.logs)


async def test_who_awaits_a_report_goes_on_when_it_is_stored(bench: Bench, token: Token) -> None:
    reporter = bench.reporter
    async with background(reporter.run):
        await asyncio.wait_for(reporter.add(token, '{"value":0.5}', ("one",)), 10)
        record = await bench.record(token)
        assert (record.notes.progress, list(record.notes.logs)) == ('{"value":0.5}', ["one"])


async def test_what_gathers_goes_in_one_call_and_in_order(bench: Bench, token: Token) -> None:
    calls = Calls(bench.backend, "report")
    async with background(bench.reporter.run):
        receipts = [bench.reporter.add(token, None, (f"line {n}",)) for n in range(50)]
        for receipt in receipts[::-1]:
            await asyncio.wait_for(receipt, 10)
            await receipt  # as often as one likes
    assert len(calls) == 1
    assert await lines_of(bench, token) == [f"line {n}" for n in range(50)]


async def test_reports_gather_for_a_moment(
    bench: Bench, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.reporter.GATHER_FOR", 600)
    calls = Calls(bench.backend, "report")
    async with background(bench.reporter.run):
        bench.reporter.add(token, None, ("one",))
        await turns()
        bench.reporter.add(token, None, ("two",))
        assert len(calls) == 0
    assert len(calls) == 1
    assert await lines_of(bench, token) == ["one", "two"]


async def test_without_reports_nothing_is_done(
    bench: Bench, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.reporter.GATHER_FOR", 0)
    flushed = Calls(bench.reporter, "flush")
    async with background(bench.reporter.run):
        await turns()
        assert len(flushed) == 0
        await asyncio.wait_for(bench.reporter.add(token, None, ("one",)), 10)
        await turns()
        assert len(flushed) == 1


async def test_who_gives_up_waiting_spoils_it_for_nobody(bench: Bench, token: Token) -> None:
    receipt = bench.reporter.add(token, None, ("one",))
    waiting = asyncio.ensure_future(asyncio.wait_for(receipt, 10))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(receipt, 0.01)
    await turns()
    assert not waiting.done()
    await bench.reporter.flush()
    await waiting
    await receipt


async def test_reports_come_from_threads_too(bench: Bench, token: Token) -> None:
    async with background(bench.reporter.run):
        await asyncio.wait_for(
            await asyncio.to_thread(bench.reporter.add, token, None, ("of a thread",)), 10
        )
    assert await lines_of(bench, token) == ["of a thread"]


async def test_a_flush_waits_for_nothing_and_for_what_is_on_its_way(
    bench: Bench, token: Token
) -> None:
    reporter, go = bench.reporter, asyncio.Event()
    report, seen = bench.backend.report, list[str]()

    async def slow(reports: Any) -> None:
        seen.append("sent")
        await go.wait()
        await report(reports)

    bench.backend.report = slow  # type: ignore[method-assign]
    reporter.add(token, None, ("one",))
    first = asyncio.ensure_future(reporter.flush())
    while not seen:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(reporter.flush())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    go.set()
    await asyncio.wait_for(second, 10)
    assert await lines_of(bench, token) == ["one"]
    await first
    assert seen == ["sent"]


async def test_what_is_left_at_the_end_is_sent(bench: Bench, token: Token) -> None:
    async with background(bench.reporter.run):
        await asyncio.sleep(0)
        bench.reporter.add(token, None, ("last",))
    assert await lines_of(bench, token) == ["last"]


async def test_more_than_can_wait_push_the_oldest_out(
    bench: Bench, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queuekit.worker.reporter.MOST_WAITING", 3)
    receipts = [bench.reporter.add(token, None, (f"line {n}",)) for n in range(5)]
    await asyncio.wait_for(receipts[1], 10)  # nothing more becomes of it
    await bench.reporter.flush()
    await asyncio.wait_for(receipts[4], 10)
    assert await lines_of(bench, token) == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize("error", [BackendRefused, BackendUnavailable])
async def test_what_is_not_stored_is_a_warning_and_holds_nobody_up(
    bench: Bench, token: Token, error: type[BackendUnavailable | BackendRefused]
) -> None:
    Fault(bench.backend, "report", error, times=1)
    with capture_logs() as lines:
        async with background(bench.reporter.run):
            unstored = [bench.reporter.add(token, None, ("unstored",)) for _ in range(2)]
            await asyncio.wait_for(asyncio.gather(*unstored), 10)
            await asyncio.wait_for(bench.reporter.add(token, None, ("stored",)), 10)
    assert [(line["log_level"], line["event"], line["count"]) for line in lines] == [
        ("warning", "progress and log lines of running jobs were not stored", 2)
    ]
    assert await lines_of(bench, token) == ["stored"]
