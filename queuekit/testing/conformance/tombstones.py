"""What ends in a cutover."""

from collections.abc import Sequence

from queuekit.backend import (
    ABSENT,
    Backend,
    Kind,
    Side,
    Stamp,
)
from queuekit.job import JobRef, Keep, new_id
from queuekit.lifecycle import Event
from queuekit.testing.conformance._make import (
    LONG,
    ack,
    cancelled,
    claim,
    claim_one,
    eventually,
    failed,
    find_all,
    job,
    numbered,
    put,
    running,
    succeeded,
    sweep,
)
from queuekit.testing.conformance._sides import (
    ENDS,
    gated,
    seen,
    swapped,
    text_of,
)


class TombstoneCases:
    """What ends in a cutover."""

    async def buried(self, backend: Backend, side: Side, refs: Sequence[JobRef]) -> list[Stamp]:
        """The tombstones of jobs whose record is gone."""
        found = await side.look(refs)
        assert [copy.record for copy in found] == [None] * len(refs)
        assert (await side.census("default")).get(Kind.DONE) == len(refs)
        return [copy.stamp for copy in found]

    async def test_what_ends_leaves_a_tombstone(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        claims = [await running(backend, keep=Keep(0)) for _ in ENDS]
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        refs = [one.token.ref for one in claims]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 3

    async def test_many_that_succeed_leave_tombstones(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        jobs = numbered(30)
        await put(backend, *jobs)
        await ack(backend, *(succeeded(one, keep=Keep(0)) for one in await claim(backend, 30)))
        refs = [one.ref for one in jobs]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 30

    async def test_those_with_a_record_leave_tombstones_besides(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        await put(backend, *numbered(5))
        await ack(backend, *map(succeeded, await claim(backend, 5)))
        assert await side.census("default") == {Kind.DONE: 5}
        assert len(await find_all(backend)) == 5

    async def test_what_expires_leaves_a_tombstone(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        one = job(expires=1, keep=Keep(0))
        await put(backend, one)

        async def is_over() -> bool:
            await backend.maintain(["default"])
            return (await seen(side, one.ref)).stamp.kind is Kind.DONE

        await eventually(is_over)
        assert await self.buried(backend, side, [one.ref]) == [Stamp(Kind.DONE)]

    async def test_what_people_end_leaves_a_tombstone(self, backend: Backend, side: Side) -> None:
        await gated(backend)
        dropped, deleted = job(keep=Keep(0)), job()
        await put(backend, dropped, deleted)
        await backend.inspector.steer(Event.CANCEL, [dropped.ref])
        await backend.inspector.steer(Event.DELETE, [deleted.ref])
        refs = [dropped.ref, deleted.ref]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 2

    async def test_a_record_that_is_deleted_leaves_a_tombstone(
        self, backend: Backend, side: Side
    ) -> None:
        claims = [await running(backend) for _ in ENDS]
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        await gated(backend)
        assert await sweep(backend, Event.CLEAN) == 3
        refs = [one.token.ref for one in claims]
        assert await self.buried(backend, side, refs) == [Stamp(Kind.DONE)] * 3

    async def test_a_tombstone_is_of_the_last_generation(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        claimed = await running(backend, keep=Keep(LONG))
        ref = claimed.token.ref
        await ack(backend, failed(claimed))
        await backend.inspector.steer(Event.RERUN, [ref])
        assert (await seen(side, ref)).stamp == Stamp(Kind.LIVE, 1, 0, claimed.token.delivery)
        again = await claim_one(backend)
        await ack(backend, succeeded(again))
        assert (await seen(side, ref)).stamp == Stamp(Kind.DONE, 1)
        await backend.inspector.steer(Event.DELETE, [ref])
        assert await self.buried(backend, side, [ref]) == [Stamp(Kind.DONE, 1)]

    async def test_without_a_cutover_there_are_no_tombstones(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend, queue="other")
        await put(backend, *numbered(3))
        claims = await claim(backend, 3)
        await ack(backend, succeeded(claims[0]), failed(claims[1]), cancelled(claims[2]))
        await sweep(backend, Event.CLEAN)
        assert await side.census("default") == {}

    async def test_a_tombstone_tells_since_when_it_is_there(
        self, backend: Backend, side: Side
    ) -> None:
        await gated(backend)
        ended, deleted = job(keep=Keep(0)), job(delay=LONG)
        await put(backend, ended, deleted)
        told = JobRef("default", new_id())
        before = await side.clock()
        await ack(backend, succeeded(await claim_one(backend)))
        await backend.inspector.steer(Event.DELETE, [deleted.ref])
        await swapped(side, ABSENT, text_of(told, Kind.DONE, generation=2))
        after = await side.clock()
        page = await side.page("default", Kind.DONE)
        assert {copy.ref for copy in page.copies} == {ended.ref, deleted.ref, told}
        assert all(before <= int(copy.text) <= after for copy in page.copies)
        assert (await seen(side, told)).stamp == Stamp(Kind.DONE, 2)
