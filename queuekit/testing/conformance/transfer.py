"""Whole jobs that come from elsewhere: `Transfer.store`, read again by `Inspector.get`."""

import json
import time
from dataclasses import replace
from typing import Any, Final

import pytest

from queuekit.backend import Backend, Change, Refusal
from queuekit.job import (
    SUSPECT_AFTER,
    Ack,
    Claimant,
    Job,
    Keep,
    Reason,
    ReturnKind,
    State,
    Token,
    new_id,
)
from queuekit.lifecycle import Event
from queuekit.record import JobRecord, Lease, Life, Notes, Settled, Times
from queuekit.testing.conformance._make import (
    ALICE,
    BRIEF,
    LONG,
    UNSTORABLE,
    ack,
    answers_of,
    claim,
    claim_one,
    claims_nothing,
    eventually,
    job,
    put,
    record,
    running,
    state_of,
    wakes,
)

KEY: Final = "the one"


def now() -> int:
    """Microseconds, by this machine's clock; servers of tests run on it."""
    return round(time.time() * 1_000_000)


def error(attempt: int) -> str:
    """As a store keeps one."""
    return json.dumps(
        {"attempt": attempt, "type": "Oops", "message": "ü", "traceback": "", "at": now()}
    )


def a_job(key: str | None = None, **options: Any) -> Job[Any]:
    """One with options, whose id is not of this very moment."""
    return job(key=key, id=new_id(), **options)


OPTIONS: Final[dict[str, Any]] = {
    "priority": -7,
    "max_attempts": 9,
    "lease": 2 * LONG,
    "max_crashes": 7,
    "max_lapses": 11,
    "keep": Keep(3 * LONG, 17),
    "tags": ("a", "b"),
    "extra": '{"meta":{"x":1}}',
}


def in_state(state: State, **changes: Any) -> JobRecord:
    """A record with something in every field that jobs of this state have."""
    at = now() - 50_000_000
    started, settled = None, None
    attempt = delivery = 0
    if state not in {State.WAITING, State.SCHEDULED}:
        attempt, delivery, started = 3, at // 1000, at + 5_000_000
        settled = Settled(ReturnKind.RETRY, delivery - (state is State.RUNNING))
    made = JobRecord(
        job=a_job(**OPTIONS),
        life=Life(state, attempt, delivery, 1, 1, 2, max_lapses=11, max_crashes=7),
        times=Times(at, at + 1_000_000, started),
        notes=Notes(
            errors=[error(1), error(2)],
            history=[json.dumps({"event": "lapse", "at": at, "delivery": at // 1000 - 1})],
            progress="0.5",
            logs=["one", "two"],
        ),
        settled=settled,
        origin=new_id(),
    )
    match state:
        case State.SCHEDULED:
            times = made.times._replace(scheduled_at=now() + LONG, expires_at=now() + 2 * LONG)
            made = replace(made, times=times)
        case State.RUNNING:
            lease = Lease(Claimant(ALICE, 3), 2 * LONG)
            times = made.times._replace(leased_until=now() + LONG)
            made = replace(made, lease=lease, times=times)
        case State.SUCCEEDED | State.FAILED | State.CANCELLED:
            ended = made.times._replace(finished_at=now(), kept_until=now() + LONG)
            reason = {State.FAILED: Reason.TIMEOUT, State.CANCELLED: "asked to"}.get(state)
            made = replace(
                made,
                times=ended,
                life=made.life._replace(reason=reason),
                settled=Settled(state, delivery),
                notes=made.notes._replace(result="5" if state is State.SUCCEEDED else None),
            )
        case _:
            pass
    return replace(made, **changes)


def plain(state: State) -> JobRecord:
    """A record with nothing in it that jobs of this state could be without."""
    life = Life(state, delivery=7 if state is State.RUNNING else 0)
    one = JobRecord(job=a_job(), life=life, times=Times(now()))
    match state:
        case State.READY:
            return one
        case State.SCHEDULED:
            return replace(one, times=one.times._replace(scheduled_at=now() + LONG))
        case State.RUNNING:
            times = one.times._replace(started_at=now(), leased_until=now() + LONG)
            return replace(one, lease=Lease(Claimant(ALICE, 1), LONG), times=times)
        case _:
            times = one.times._replace(finished_at=now(), kept_until=now() + LONG)
            return replace(one, times=times)


ALONE: Final = [
    State.SCHEDULED,
    State.READY,
    State.RUNNING,
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
]


class TransferCases:
    """`Transfer.store`."""

    @pytest.mark.parametrize("state", ALONE)
    async def test_a_record_is_read_as_it_was_stored(self, backend: Backend, state: State) -> None:
        one = in_state(state)
        assert await backend.transfer.store([one]) == [Change(one.ref, None, state, 2)]
        assert same(await record(backend, one.ref), one)

    @pytest.mark.parametrize("state", ALONE)
    async def test_a_plain_record_too(self, backend: Backend, state: State) -> None:
        one = plain(state)
        await backend.transfer.store([one])
        assert same(await record(backend, one.ref), one)

    async def test_an_empty_batch_of_records(self, backend: Backend) -> None:
        assert list(await backend.transfer.store([])) == []

    async def test_a_successor_comes_with_its_predecessor(self, backend: Backend) -> None:
        holder, waiting = _pair()
        changes = await backend.transfer.store([holder, waiting])
        assert [change.now for change in changes] == [State.RUNNING, State.WAITING]
        assert same(await record(backend, waiting.ref), waiting)
        (present,) = await backend.leases(ALICE)
        assert (present.token.delivery, present.number) == (holder.life.delivery, 3)
        await ack(backend, _ack(present.token))
        assert (await claim_one(backend, suspects=5)).token.id == waiting.job.id

    async def test_a_successor_may_come_later(self, backend: Backend) -> None:
        holder, waiting = _pair()
        await backend.transfer.store([holder])
        (change,) = await backend.transfer.store([waiting])
        assert change == Change(waiting.ref, None, State.WAITING, 2)

    async def test_a_successor_is_refused_without_its_predecessor(self, backend: Backend) -> None:
        holder, waiting = _pair()
        (change,) = await backend.transfer.store([waiting])
        assert change == Change(waiting.ref, None, None, refused=Refusal.GONE, holder=holder.job.id)
        assert await state_of(backend, waiting.ref) is None

    async def test_a_successor_is_refused_whose_predecessor_has_ended(
        self, backend: Backend
    ) -> None:
        holder, waiting = _pair()
        await backend.transfer.store([holder])
        (held,) = await backend.leases(ALICE)
        await ack(backend, _ack(held.token))
        (change,) = await backend.transfer.store([waiting])
        assert (change.refused, change.holder) == (Refusal.GONE, holder.job.id)

    async def test_a_second_successor_of_one_job_is_refused(self, backend: Backend) -> None:
        holder, waiting = _pair()
        second = replace(waiting, job=a_job(KEY, **OPTIONS))
        changes = await backend.transfer.store([holder, waiting, second])
        refused = Change(second.ref, None, None, refused=Refusal.KEY_HELD, holder=waiting.job.id)
        assert changes[2] == refused
        assert await backend.transfer.store([second]) == [refused]
        assert same(await record(backend, waiting.ref), waiting)
        assert await state_of(backend, second.ref) is None

    @pytest.mark.parametrize("state", ALONE)
    async def test_a_known_record_changes_nothing(self, backend: Backend, state: State) -> None:
        one = in_state(state)
        await backend.transfer.store([one])
        other = replace(one, notes=Notes(), life=one.life._replace(generation=7))
        told = Change(one.ref, state, state, 2, refused=Refusal.KNOWN)
        assert await backend.transfer.store([other]) == [told]
        assert same(await record(backend, one.ref), one)

    async def test_a_remembered_record_changes_nothing(self, backend: Backend) -> None:
        one = job()
        await put(backend, one)
        await backend.inspector.steer(Event.DELETE, [one.ref])
        again = replace(in_state(State.READY), job=one._replace(fresh=False))
        assert answers_of(await backend.transfer.store([again])) == [Refusal.KNOWN]
        await claims_nothing(backend, suspects=5)

    async def test_of_one_id_twice_in_a_batch_the_first_is_stored(self, backend: Backend) -> None:
        one = in_state(State.READY)
        answers = answers_of(await backend.transfer.store([one, one]))
        assert answers == ["stored", Refusal.KNOWN]
        await claim_one(backend, suspects=5)
        await claims_nothing(backend, suspects=5)

    async def test_one_id_in_two_queues(self, backend: Backend) -> None:
        left = in_state(State.FAILED)
        options = replace(left.job.options, queue="right")
        right = replace(in_state(State.READY), job=left.job._replace(options=options))
        assert answers_of(await backend.transfer.store([left, right])) == ["stored", "stored"]
        assert same(await record(backend, left.ref), left)
        assert same(await record(backend, right.ref), right)

    @pytest.mark.parametrize("state", [State.SCHEDULED, State.READY, State.RUNNING])
    async def test_an_unfinished_job_takes_its_key(self, backend: Backend, state: State) -> None:
        one = in_state(state, job=a_job(KEY))
        await backend.transfer.store([one])
        (change,) = await backend.enqueue([job(key=KEY)])
        assert (change.refused, change.holder) == (Refusal.KEY_HELD, one.job.id)

    @pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
    async def test_a_finished_job_does_not(self, backend: Backend, state: State) -> None:
        await backend.transfer.store([in_state(state, job=a_job(KEY))])
        await put(backend, job(key=KEY))

    async def test_a_job_that_has_started_may_have_freed_its_key(self, backend: Backend) -> None:
        started = in_state(State.RUNNING, job=a_job(KEY, key_until="started"))
        await backend.transfer.store([started])
        await put(backend, job(key=KEY))

    @pytest.mark.parametrize("state", [State.READY, State.SUCCEEDED])
    async def test_a_key_stays_protected_for_its_time(self, backend: Backend, state: State) -> None:
        one = in_state(state, job=a_job(KEY, key_until=2 * LONG))
        over = in_state(state, job=a_job("other", key_until=BRIEF))
        await backend.transfer.store([one, over])
        (change,) = await backend.enqueue([job(key=KEY)])
        assert (change.refused, change.holder) == (Refusal.KEY_HELD, one.job.id)
        await put(backend, job(key="other"))

    async def test_a_job_whose_keys_time_is_over_asks_for_none(self, backend: Backend) -> None:
        await running(backend, key=KEY)
        one = in_state(State.READY, job=a_job(KEY, key_until=BRIEF))
        assert answers_of(await backend.transfer.store([one])) == ["stored"]

    async def test_a_job_whose_key_another_holds_is_refused(self, backend: Backend) -> None:
        holder = await running(backend, key=KEY)
        one = in_state(State.READY, job=a_job(KEY))
        told = Change(one.ref, None, None, refused=Refusal.KEY_HELD, holder=holder.token.id)
        assert await backend.transfer.store([one]) == [told]
        assert await state_of(backend, one.ref) is None

    async def test_what_the_server_does_not_take_is_refused_alone(self, backend: Backend) -> None:
        batch = [in_state(State.READY) for _ in range(3)]
        batch[1] = replace(batch[1], job=batch[1].job._replace(payload=UNSTORABLE))
        changes = await backend.transfer.store(batch)
        assert answers_of(changes) == ["stored", Refusal.UNSTORABLE, "stored"]
        assert changes[1].detail

    async def test_ready_jobs_keep_their_order(self, backend: Backend) -> None:
        await put(backend, job('"first"'))
        life = Life(State.READY, max_lapses=11)
        jobs = [job(str(number), id=new_id(), max_lapses=11) for number in range(1200)]
        jobs[5] = job("5", id=new_id(), priority=-1, max_lapses=11)
        records = [JobRecord(job=one, life=life, times=Times(now())) for one in jobs]
        assert set(answers_of(await backend.transfer.store(records))) == {"stored"}
        order = [one.payload for one in await claim(backend, 1201)]
        rest = [str(number) for number in range(1200) if number != 5]
        assert order == ["5", '"first"', *rest]

    async def test_a_suspect_stays_one(self, backend: Backend) -> None:
        life = Life(State.READY, lapses=SUSPECT_AFTER)
        await backend.transfer.store([JobRecord(job=a_job(), life=life, times=Times(now()))])
        await claims_nothing(backend)
        assert (await claim_one(backend, suspects=1)).lapses == SUSPECT_AFTER

    async def test_a_scheduled_job_comes_due(self, backend: Backend) -> None:
        times = Times(now(), now() + BRIEF)
        one = JobRecord(job=a_job(), life=Life(State.SCHEDULED), times=times)
        await backend.transfer.store([one])
        assert (await claim_one(backend)).token.id == one.job.id

    async def test_whoever_runs_a_job_can_settle_it_here(self, backend: Backend) -> None:
        one = in_state(State.RUNNING)
        await backend.transfer.store([one])
        (held,) = await backend.leases(ALICE)
        assert held.token.generation == 2
        assert not (await backend.heartbeat([held.token])).lost
        assert answers_of(await backend.ack([_ack(held.token)])) == ["done"]
        assert (await record(backend, one.ref)).life.attempt == 3

    async def test_a_lease_that_is_over_lapses_here(self, backend: Backend) -> None:
        one = in_state(State.RUNNING)
        one = replace(one, times=one.times._replace(leased_until=now() - LONG))
        await backend.transfer.store([one])

        async def rescued() -> bool:
            return bool((await backend.maintain(["default"])).rescued)

        await eventually(rescued)
        assert (await record(backend, one.ref)).life.lapses == 2

    async def test_a_cancel_that_was_requested_is_told_here(self, backend: Backend) -> None:
        one = in_state(State.RUNNING)
        one = replace(one, life=one.life._replace(cancel_requested=True))
        await backend.transfer.store([one])
        (held,) = await backend.leases(ALICE)
        assert list((await backend.heartbeat([held.token])).cancels) == [held.token]

    async def test_a_delivery_here_is_greater_than_those_before(self, backend: Backend) -> None:
        ahead = now() // 1000 + 3_600_000
        life = Life(State.READY, 1, ahead)
        await backend.transfer.store([JobRecord(job=a_job(), life=life, times=Times(now()))])
        assert (await claim_one(backend)).token.delivery == ahead + 1

    async def test_a_record_past_its_retention_is_known_but_not_seen(
        self, backend: Backend
    ) -> None:
        one = in_state(State.SUCCEEDED)
        one = replace(one, times=one.times._replace(kept_until=now() - 1))
        await backend.transfer.store([one])
        assert await state_of(backend, one.ref) is None
        assert answers_of(await backend.enqueue([one.job])) == [Refusal.KNOWN]

    async def test_a_failed_job_can_be_run_again_here(self, backend: Backend) -> None:
        one = in_state(State.FAILED)
        await backend.transfer.store([one])
        (change,) = await backend.inspector.steer(Event.RERUN, [one.ref])
        assert (change.now, change.generation) == (State.READY, 3)
        assert (await claim_one(backend)).attempt == 1

    async def test_sleepers_are_woken(self, backend: Backend) -> None:
        async def arrive() -> None:
            await backend.transfer.store(
                [JobRecord(job=a_job(), life=Life(State.READY), times=Times(now()))]
            )

        assert await wakes(backend, arrive) < 25

    async def test_what_was_stored_here_can_be_stored_again(self, backend: Backend) -> None:
        """To export is to read, to import is to store: nothing of a job that lived here is lost."""
        one = await running(backend, key=KEY, **OPTIONS)
        before = await record(backend, one.token.ref)
        assert before.lease is not None
        assert before.lease.claimant.process == ALICE
        elsewhere = replace(before.job.options, queue="elsewhere")
        moved = replace(before, job=before.job._replace(options=elsewhere))
        await backend.transfer.store([moved])
        assert same(await record(backend, moved.ref), moved)


def _pair() -> tuple[JobRecord, JobRecord]:
    """A running job, and the one that follows it."""
    holder = in_state(State.RUNNING, job=a_job(KEY, **OPTIONS))
    return holder, in_state(State.WAITING, job=a_job(KEY, **OPTIONS), follows=holder.job.id)


def _ack(token: Token) -> Ack:
    """The task returned."""
    return Ack(token, "send", State.SUCCEEDED, "null")


def same(found: JobRecord, stored: JobRecord) -> bool:
    """Whether all fields are equal; sequences by their elements. Raises, and shows both, if not."""
    assert normal(found) == normal(stored)
    return True


def normal(one: JobRecord) -> JobRecord:
    """With tuples for sequences."""
    result, errors, history, progress, logs = one.notes
    return replace(one, notes=Notes(result, tuple(errors), tuple(history), progress, tuple(logs)))
