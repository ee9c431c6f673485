"""What is told of each job that a call changes: the same on every backend, to the last field."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import pytest

from queuekit.backend import Ask, Backend, Change, Refusal
from queuekit.job import Ack, Claim, Job, JobRef, Keep, KeyPolicy, Reason, Return, State, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    BRIEF,
    LONG,
    SECOND,
    UNSTORABLE,
    ack,
    cancelled,
    claim_one,
    claimant,
    dead,
    failed,
    job,
    lapse,
    put,
    released,
    retried,
    running,
    snoozed,
    state_of,
    succeeded,
)

Settled = Callable[[Claim], Ack | Return]

ENDS: Final[Sequence[tuple[Settled, State]]] = [
    (succeeded, State.SUCCEEDED),
    (failed, State.FAILED),
    (lambda claim: failed(claim, Reason.EXPIRED), State.FAILED),
    (lambda claim: failed(claim, Reason.INVALID_RESULT), State.FAILED),
    (cancelled, State.CANCELLED),
]
WAYS_BACK: Final[Sequence[tuple[Settled, State]]] = [
    (retried, State.READY),
    (lambda claim: retried(claim, LONG), State.SCHEDULED),
    (snoozed, State.READY),
    (lambda claim: snoozed(claim, LONG), State.SCHEDULED),
    (released, State.READY),
    (dead, State.READY),
]
each_outcome = pytest.mark.parametrize(("settled", "now"), [*ENDS, *WAYS_BACK])
each_way_back = pytest.mark.parametrize("settled", [way for way, _ in WAYS_BACK])
KEY: Final = "the one"


class EnqueueChangeCases:
    """What an enqueue tells."""

    @pytest.mark.parametrize(
        ("options", "now"),
        [
            ({}, State.READY),
            ({"delay": LONG}, State.SCHEDULED),
            ({"due": SECOND}, State.READY),
            ({"due": 4_102_444_800_000_000}, State.SCHEDULED),
            ({"key": KEY}, State.READY),
            ({"key": KEY, "delay": LONG}, State.SCHEDULED),
            ({"key": KEY, "due": SECOND, "key_policy": KeyPolicy.REPLACE}, State.READY),
        ],
    )
    async def test_what_is_stored(
        self, backend: Backend, options: dict[str, Any], now: State
    ) -> None:
        one = job(**options)
        assert await backend.enqueue([one]) == [Change(one.ref, None, now)]

    async def test_a_successor_waits(self, backend: Backend) -> None:
        await running(backend, key=KEY)
        one = job(key=KEY, key_policy=KeyPolicy.REPLACE)
        assert await backend.enqueue([one]) == [Change(one.ref, None, State.WAITING)]

    async def test_answers_to_a_mixed_batch_are_in_order(self, backend: Backend) -> None:
        holder = job(key=KEY)
        batch = [job(), holder, job(key=KEY), holder, job(UNSTORABLE), job(delay=LONG)]
        changes = await backend.enqueue(batch)
        assert [change._replace(detail=None) for change in changes] == [
            Change(batch[0].ref, None, State.READY),
            Change(holder.ref, None, State.READY),
            Change(batch[2].ref, None, None, refused=Refusal.KEY_HELD, holder=holder.id),
            Change(holder.ref, State.READY, State.READY, refused=Refusal.KNOWN),
            Change(batch[4].ref, None, None, refused=Refusal.UNSTORABLE),
            Change(batch[5].ref, None, State.SCHEDULED),
        ]
        assert changes[4].detail

    @pytest.mark.parametrize(("before", "after"), [(0, LONG), (LONG, 0), (0, 0), (LONG, 2 * LONG)])
    async def test_a_replacement_tells_of_the_job_that_it_has_changed(
        self, backend: Backend, before: int, after: int
    ) -> None:
        old = job(key=KEY, delay=before)
        new = job(key=KEY, delay=after, key_policy=KeyPolicy.REPLACE)
        await put(backend, old)
        found, now = (State.SCHEDULED if delay else State.READY for delay in (before, after))
        assert await backend.enqueue([new]) == [Change(old.ref, found, now, holder=old.id)]
        again = [Change(old.ref, now, now, holder=old.id)]
        assert await backend.enqueue([new._replace(fresh=False)]) == again

    async def test_a_known_job_that_was_run_again_tells_its_generation(
        self, backend: Backend
    ) -> None:
        one = await run_again(backend)
        (change,) = await backend.enqueue([job(id=one.token.id)])
        assert change == Change(
            one.token.ref, State.RUNNING, State.RUNNING, 1, refused=Refusal.KNOWN
        )

    async def test_of_a_remembered_id_only_that_it_is_known(self, backend: Backend) -> None:
        one = await running(backend, keep=Keep(0))
        await ack(backend, succeeded(one))
        (change,) = await backend.enqueue([job(id=one.token.id)])
        assert change._replace(found=None, now=None) == Change(
            one.token.ref, None, None, refused=Refusal.KNOWN
        )


class SettleChangeCases:
    """What an ack or a return tells."""

    @each_outcome
    async def test_a_settled_run(self, backend: Backend, settled: Settled, now: State) -> None:
        one = await running(backend)
        assert await settle(backend, settled(one)) == Change(one.token.ref, State.RUNNING, now)

    @each_outcome
    async def test_a_settled_run_of_a_job_that_was_run_again(
        self, backend: Backend, settled: Settled, now: State
    ) -> None:
        one = await run_again(backend)
        assert one.generation == 1
        change = await settle(backend, settled(one))
        assert change == Change(one.token.ref, State.RUNNING, now, 1)

    @pytest.mark.parametrize("keep", [None, Keep(0)])
    @each_outcome
    async def test_a_repeat_is_answered_as_the_first_time(
        self, backend: Backend, settled: Settled, now: State, keep: Keep | None
    ) -> None:
        one = await running(backend, keep=keep)
        first = await settle(backend, settled(one))
        assert first.now is now
        assert await settle(backend, settled(one)) == first

    @each_way_back
    async def test_a_return_that_ends_as_cancelled(
        self, backend: Backend, settled: Settled
    ) -> None:
        one = await running(backend)
        await backend.inspector.steer(Event.CANCEL, [one.token.ref])
        told = Change(one.token.ref, State.RUNNING, State.CANCELLED)
        assert await settle(backend, settled(one)) == told
        assert await settle(backend, settled(one)) == told

    async def test_a_last_death(self, backend: Backend) -> None:
        one = await running(backend, max_crashes=1)
        told = Change(
            one.token.ref, State.RUNNING, State.FAILED, task="send", reason=Reason.CRASHED
        )
        assert await settle(backend, dead(one)) == told
        assert await settle(backend, dead(one)) == told

    @each_outcome
    async def test_a_lost_token_tells_where_the_job_is(
        self, backend: Backend, settled: Settled, now: State
    ) -> None:
        del now
        lost = await running(backend, lease=BRIEF)
        await lapse(backend, lost)
        ref = lost.token.ref

        async def told(state: State | None) -> None:
            change = await settle(backend, settled(lost))
            assert change == Change(ref, state, state, refused=Refusal.LOST)

        await told(State.READY)
        present = await claim_one(backend)
        await told(State.RUNNING)
        await ack(backend, succeeded(present, "1"))
        await told(State.SUCCEEDED)
        await backend.inspector.steer(Event.DELETE, [ref])
        await told(None)

    async def test_a_result_that_the_server_does_not_take(self, backend: Backend) -> None:
        one = await running(backend)
        change = await settle(backend, succeeded(one, UNSTORABLE))
        assert change._replace(detail=None) == Change(
            one.token.ref,
            State.RUNNING,
            State.FAILED,
            refused=Refusal.UNSTORABLE,
            task="send",
            reason=Reason.INVALID_RESULT,
        )
        assert change.detail
        assert await state_of(backend, one.token.id) is State.FAILED
        assert await settle(backend, succeeded(one, UNSTORABLE)) == change

    @pytest.mark.parametrize("settled", [retried, dead])
    async def test_a_return_that_the_server_does_not_take(
        self, backend: Backend, settled: Settled
    ) -> None:
        one = await running(backend, keep=Keep(0))
        error = f'{{"attempt":1,"type":"Oops","message":{UNSTORABLE},"traceback":""}}'
        change = await settle(backend, settled(one)._replace(error=error))
        assert change._replace(detail=None) == Change(
            one.token.ref,
            State.RUNNING,
            State.FAILED,
            refused=Refusal.UNSTORABLE,
            task="send",
            reason=Reason.INVALID_RESULT,
        )
        assert change.detail

    async def test_changes_of_a_mixed_batch_are_in_order(self, backend: Backend) -> None:
        claims = [await running(backend, max_crashes=1, queue=queue) for queue in "abab"]
        lost = claims[2]._replace(token=claims[2].token._replace(delivery=1))
        outcomes: list[Ack | Return] = [
            dead(claims[0]),
            succeeded(claims[1]),
            retried(lost),
            snoozed(claims[3], LONG),
        ]
        fetched = await backend.fetch(Ask(["none"], 0, claimant(), LONG), settle=outcomes)
        assert [(change.ref, change.now, change.refused) for change in fetched.settled] == [
            (claims[0].token.ref, State.FAILED, None),
            (claims[1].token.ref, State.SUCCEEDED, None),
            (claims[2].token.ref, State.RUNNING, Refusal.LOST),
            (claims[3].token.ref, State.SCHEDULED, None),
        ]


class MaintainChangeCases:
    """What a tick tells."""

    async def test_lapses_of_a_job_that_was_run_again(self, backend: Backend) -> None:
        one = await run_again(backend, lease=BRIEF, max_lapses=2)
        assert await lapse(backend, one) == [Change(one.token.ref, State.RUNNING, State.READY, 1)]
        again = await claim_one(backend, suspects=1, lease=BRIEF)
        assert await lapse(backend, again) == [
            Change(
                one.token.ref,
                State.RUNNING,
                State.FAILED,
                1,
                task="send",
                reason=Reason.CRASHED,
            )
        ]

    async def test_a_job_that_is_due_and_has_expired_was_ready(self, backend: Backend) -> None:
        one = job(delay=1, expires=1)
        await put(backend, one)
        await asyncio.sleep(0.002)
        (change,) = (await backend.maintain(["default"])).expired
        assert (change.found, change.now) == (State.READY, State.FAILED)

    async def test_a_scheduled_job_that_expires(self, backend: Backend) -> None:
        one = job(delay=LONG, expires=1, keep=Keep(0))
        await put(backend, one)
        await asyncio.sleep(0.002)
        assert list((await backend.maintain(["default"])).expired) == [
            Change(one.ref, State.SCHEDULED, State.FAILED, task="send", reason=Reason.EXPIRED)
        ]


class QueuesOfMaintainCases:
    """`maintain` looks after the queues that it is told, whoever serves them."""

    @pytest.mark.parametrize("what", ["due", "lapse", "expire"])
    async def test_it_moves_time_on_in_these_alone(self, backend: Backend, what: str) -> None:
        left, right = [await self._ripe(backend, what, queue) for queue in ("left", "right")]
        await asyncio.sleep(0.03)
        before = await state_of(backend, right)
        for _ in range(3):  # the first may renew a lease, as nobody had ticked for longer
            await backend.maintain(["left"])
            await asyncio.sleep(0.03)
        assert await state_of(backend, right) is before
        assert await state_of(backend, left) is not before
        for _ in range(3):
            await backend.maintain(["right"])
            await asyncio.sleep(0.03)
        assert await state_of(backend, right) is await state_of(backend, left)

    async def test_a_gap_between_ticks_is_that_of_the_queue(self, backend: Backend) -> None:
        """Nobody could renew in a queue that nobody looked after, whatever went on in others."""
        await backend.maintain(["left", "right"])
        await put(backend, job(queue="right"))
        one = await claim_one(backend, queue="right", lease=50_000)
        for _ in range(6):
            await asyncio.sleep(0.015)
            await backend.maintain(["left"])
        done = await backend.maintain(["right"])
        assert (done.renewed, list(done.rescued)) == (1, [])
        assert not (await backend.heartbeat([one.token])).lost

    async def _ripe(self, backend: Backend, what: str, queue: str) -> JobRef:
        """A job of which a tick makes something else."""
        kinds: dict[str, Callable[[], Awaitable[JobRef]]] = {
            "due": lambda: self._stored(backend, job(queue=queue, delay=BRIEF)),
            "expire": lambda: self._stored(backend, job(queue=queue, expires=BRIEF)),
            "lapse": lambda: self._claimed_briefly(backend, queue),
        }
        return await kinds[what]()

    async def _stored(self, backend: Backend, one: Job[Any]) -> JobRef:
        await put(backend, one)
        return one.ref

    async def _claimed_briefly(self, backend: Backend, queue: str) -> JobRef:
        await put(backend, job(queue=queue))
        return (await claim_one(backend, queue=queue, lease=BRIEF)).token.ref


async def settle(backend: Backend, outcome: Ack | Return) -> Change:
    """What is told of one outcome."""
    fetched = await backend.fetch(Ask(["none"], 0, claimant(), LONG), settle=[outcome])
    (change,) = fetched.settled
    return change


async def run_again(backend: Backend, *, lease: int = LONG, **options: Any) -> Claim:
    """A job that has failed, was made ready by a person, and runs again."""
    one = job(id=new_id(), **options)
    await put(backend, one)
    await ack(backend, failed(await claim_one(backend)))
    (change,) = await backend.inspector.steer(Event.RERUN, [one.ref])
    assert change == Change(one.ref, State.FAILED, State.READY, 1)
    return await claim_one(backend, lease=lease)
