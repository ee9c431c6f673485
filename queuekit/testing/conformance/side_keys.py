"""Keys of jobs that are moved."""

from typing import cast

import pytest

from queuekit.backend import ABSENT, Backend, Guard, HasSides, KeyHolder, Kind, Refusal, Side, Stamp
from queuekit.job import JobRef, KeyPolicy, new_id
from queuekit.testing.conformance._make import (
    LONG,
    STORED,
    ack,
    answers_of,
    claim_one,
    find_all,
    job,
    put,
    record,
    succeeded,
)
from queuekit.testing.conformance._sides import (
    HERE,
    THERE,
    gated,
    here_again,
    in_a_while,
    seen,
    swapped,
    taken,
    text_of,
)


class SideKeyCases:
    """`Side.holders`, and what `Side.swap` does with keys."""

    @pytest.fixture
    def side(self, backend: Backend) -> Side:
        """The backend as one side."""
        return cast(HasSides, backend).side

    async def test_holders_of_keys_are_named(self, backend: Backend, side: Side) -> None:
        assert (await side.holders("default", ["k"])) == (0, [None])
        await gated(backend)
        runs, waits, protects = job(key="r"), job(key="w"), job(key="p", key_until=LONG)
        await put(backend, runs)
        claimed = await claim_one(backend)
        await put(backend, waits)
        held = await side.holders("default", ["w", "nobody", "r"])
        assert held.epoch == HERE.epoch
        assert list(held.holders) == [
            KeyHolder(waits.id, Kind.LIVE),
            None,
            KeyHolder(runs.id, Kind.RUNNING),
        ]
        await ack(backend, succeeded(claimed))
        await ack(backend, succeeded(await claim_one(backend)))
        await put(backend, protects)
        await ack(backend, succeeded(await claim_one(backend)))
        held = await side.holders("default", ["w", "r", "p"])
        assert list(held.holders) == [None, None, KeyHolder(protects.id, Kind.ABSENT)]
        assert list((await side.holders("other", ["p"])).holders) == [None]
        assert list((await side.holders("default", [])).holders) == []

    async def test_a_holder_that_is_followed_is_told(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        first = job(key="k")
        await put(backend, first)
        await claim_one(backend)
        await put(backend, job(key="k", key_policy=KeyPolicy.REPLACE))
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(first.id, Kind.RUNNING, followed=True)

    async def test_a_job_that_moves_holds_its_key(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(key="k")
        await put(backend, one)
        await taken(side, one.ref)
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(one.id, Kind.MOVING)
        for policy in KeyPolicy:
            (change,) = await backend.enqueue([job(key="k", key_policy=policy)])
            assert (change.refused, change.holder) == (Refusal.KEY_HELD, one.id)

    @pytest.mark.parametrize("kind", [Kind.HELD, Kind.DONE, Kind.ABSENT])
    async def test_a_job_that_was_moved_gives_its_key_back(
        self, backend: Backend, side: Side, kind: Kind
    ) -> None:
        await gated(backend)
        one = job(key="k")
        await put(backend, one)
        await taken(side, one.ref)
        moving = await seen(side, one.ref)
        await swapped(side, moving.stamp, text_of(one.ref, kind), frees="k")
        assert list((await side.holders("default", ["k"])).holders) == [None]
        await put(backend, job(key="k"))

    async def test_only_its_own_key_is_given_back(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one, other = job(), job(key="k")
        await put(backend, one, other)
        await taken(side, one.ref)
        moving = await seen(side, one.ref)
        await swapped(side, moving.stamp, text_of(one.ref, Kind.HELD), frees="k")
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(other.id, Kind.LIVE)

    async def test_a_protected_key_is_not_given_back(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(key="k", key_until=LONG)
        await put(backend, one)
        await taken(side, one.ref)
        moving = await seen(side, one.ref)
        await swapped(side, moving.stamp, text_of(one.ref, Kind.HELD), frees="k")
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(one.id, Kind.ABSENT)

    async def test_a_step_that_is_refused_frees_nothing(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(key="k")
        await put(backend, one)
        await taken(side, one.ref)
        done = await swapped(side, ABSENT, text_of(one.ref, Kind.HELD), frees="k")
        assert done.refused is Refusal.CHANGED
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(one.id, Kind.MOVING)

    async def test_a_job_that_comes_takes_its_key(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(key="k")
        await put(backend, one)
        whole = await record(backend, one.id)
        await taken(side, one.ref)
        moving = await seen(side, one.ref)
        await swapped(side, moving.stamp, here_again(whole), frees="k")
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(one.id, Kind.LIVE)
        (change,) = await backend.enqueue([job(key="k")])
        assert (change.refused, change.holder) == (Refusal.KEY_HELD, one.id)

    async def test_a_job_that_comes_takes_no_key_of_another(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        one, other = job(key="k"), job(key="k")
        await put(backend, one)
        whole = await record(backend, one.id)
        await taken(side, one.ref)
        moving = await seen(side, one.ref)
        await swapped(side, moving.stamp, text_of(one.ref, Kind.HELD), frees="k")
        await put(backend, other)
        await swapped(side, Stamp(Kind.HELD), here_again(whole))
        assert {found.job.id for found in await find_all(backend)} == {one.id, other.id}
        (holder,) = (await side.holders("default", ["k"])).holders
        assert holder == KeyHolder(other.id, Kind.LIVE)

    async def test_who_knows_of_no_cutover_stores_no_keys_that_another_side_may_hold(
        self, backend: Backend, side: Side
    ) -> None:
        async def answers() -> list[str]:
            return answers_of(await backend.enqueue([job(key=str(new_id())), job()]))

        assert await answers() == [STORED, STORED]
        await gated(backend, HERE)
        assert await answers() == [STORED, STORED]
        await gated(backend, HERE._replace(epoch=3))
        assert await answers() == [Refusal.STALE, STORED]
        await gated(backend, THERE._replace(epoch=3))
        assert await answers() == [Refusal.MOVED, STORED]
        guard = Guard(3, await in_a_while(side))
        assert answers_of(await side.enqueue([job(key="k")], guard)) == [STORED]
        (held,) = (await side.holders("default", ["k"])).holders
        assert held is not None
        assert JobRef("default", held.id) == (await find_all(backend))[0].ref
