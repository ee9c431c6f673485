"""Steering a cutover: start, flip, seal, close, abort. Each may be repeated, by whomever, after any crash."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from queuekit.backend import ABSENT, Copy, Gate, Kind, Mark
from queuekit.cutover.acts import Bounds, pages, swap
from queuekit.cutover.gates import help_raise, turned
from queuekit.cutover.pair import APART, Pair
from queuekit.cutover.phase import Phase, View
from queuekit.cutover.schedules import bring_schedules
from queuekit.errors import QueuekitError

OWNED: Final = (Kind.LIVE, Kind.RUNNING, Kind.MOVING, Kind.FAILED)
"""Copies of which a side must have none when it is sealed (rule 17)."""
TRIES: Final = 20


class Blocked(QueuekitError):
    """A step of a cutover can't be taken now.

    Attributes:
        queue: whose.
        reasons: why, and what to do about each.
    """

    def __init__(self, queue: str, *reasons: str) -> None:
        super().__init__(f"Queue {queue!r}: {' '.join(reasons)}")
        self.queue = queue
        self.reasons = reasons


class Status(NamedTuple):
    """How far a queue has come.

    Attributes:
        queue: its name.
        phase: the phase of its cutover.
        epoch: of both sides, or the later one.
        active: the side that serves it.
        counts: how many copies each side has, by kind, without zeros.
    """

    queue: str
    phase: Phase
    epoch: int
    active: int
    counts: tuple[Mapping[Kind, int], Mapping[Kind, int]]


class Steering:
    """Turns the gates of queues.

    Args:
        pair: both sides, open.
        names: what each side calls the other; nobody's secrets.
    """

    def __init__(self, pair: Pair, names: Sequence[str]) -> None:
        self._pair = pair
        self._names = names

    async def status(self, queue: str) -> Status:
        """How far a queue has come."""
        view = await self._look(queue)
        first, second = [await side.census(queue) for side in self._pair.sides]
        return Status(queue, view.phase, view.epoch, view.active, (first, second))

    async def start(self, queue: str) -> Status:
        """Begin: the second side gets mirrors, and the first one goes on serving.

        Raises:
            Blocked: the clocks are apart, both sides are one, or the queue is in another cutover.
        """
        view = await self._look(queue)
        self._check_pair(queue)
        epoch = _next_start(view) if view.home or not view.begun else view.epoch
        for side in (0, 1):
            gate = view[side]
            other = self._names[1 - side]
            if gate is not None and not view.home:
                if gate.other != other or gate.side != side:
                    raise Blocked(queue, f"It is in another cutover, with {gate.other}.")
                continue
            if not await turned(self._pair, queue, side, gate, Gate(side, epoch, other)):
                raise Blocked(queue, "Somebody else has turned its gate just now: look again.")
        return await self.status(queue)

    async def flip(self, queue: str) -> Status:
        """Let the other side serve (rule 9).

        Raises:
            Blocked: no cutover was started, or the passive side is to be sealed, or is.
        """
        view = await self._agreed(queue)
        if view.phase not in {Phase.MIRROR, Phase.MOVED}:
            raise Blocked(queue, f"It is {view.phase}: abort first, or go on.")
        gate = self._gate(view, view.active)
        raised = gate._replace(epoch=view.epoch + 1, mark=Mark.OPEN, marked_at=0)
        await self._turn(queue, view.active, gate, raised)
        await help_raise(self._pair, queue, await self._look(queue))
        await bring_schedules(self._pair, queue, await self._agreed(queue))
        return await self.status(queue)

    async def seal(self, queue: str) -> Status:
        """Let the passive side take no new ids any more, once it owns nothing (rule 17).

        Raises:
            Blocked: it still owns jobs or records, which the movers bring over; seal again later.
        """
        view = await self._agreed(queue)
        if view.phase is Phase.SEALED:
            return await self.status(queue)
        if view.phase not in {Phase.MIRROR, Phase.MOVED, Phase.SEALING}:
            raise Blocked(queue, f"It is {view.phase}: there is nothing to seal.")
        await bring_schedules(self._pair, queue, view)
        if not view.intended:
            gate = self._gate(view, view.active)
            intent = gate._replace(mark=Mark.INTENT, marked_at=view.epoch)
            await self._turn(queue, view.active, gate, intent)
        gate = self._gate(view, view.passive)
        sealed = gate._replace(mark=Mark.SEALED, marked_at=view.epoch)
        side = self._pair.sides[view.passive]
        if await side.turn(queue, gate, sealed, without=OWNED) != sealed:
            await self._refuse(queue, view.passive, OWNED)
        return await self.status(queue)

    async def close(self, queue: str) -> Status:
        """Leave the sealed side for good (rule 18).

        Raises:
            Blocked: it is not sealed, or a side still has mirrors, which repair drops a minute after the seal.
        """
        view = await self._look(queue)
        if view.home:
            await help_raise(self._pair, queue, view)
            return await self.status(queue)
        if view.phase is not Phase.SEALED or not view.intended:
            raise Blocked(queue, f"It is {view.phase}: seal it first.")
        if left := await self._left(queue, view.active, (Kind.HELD, Kind.MOVING)):
            raise Blocked(queue, *left)
        gate = self._gate(view, view.passive)
        closed = gate._replace(epoch=view.epoch + 2, mark=Mark.CLOSED, marked_at=view.epoch + 2)
        side = self._pair.sides[view.passive]
        if await side.turn(queue, gate, closed, without=(*OWNED, Kind.HELD)) != closed:
            await self._refuse(queue, view.passive, (*OWNED, Kind.HELD))
        await help_raise(self._pair, queue, await self._look(queue))
        return await self.status(queue)

    async def abort(self, queue: str) -> Status:
        """Take the seal off again (rule 17); or, while the first side serves and nothing is sealed, end the cutover.

        Raises:
            Blocked: it is closed, or the second side serves: flip back first.
        """
        view = await self._look(queue)
        if view.phase in {Phase.NONE, Phase.CLOSED}:
            raise Blocked(queue, f"It is {view.phase}: there is nothing to abort.")
        if view.phase is Phase.FLIPPING:
            await help_raise(self._pair, queue, view)
            view = await self._look(queue)
        if view.phase in {Phase.SEALING, Phase.SEALED}:
            gate = self._gate(view, view.passive)
            opened = gate._replace(epoch=view.epoch + 2, mark=Mark.OPEN, marked_at=0)
            await self._turn(queue, view.passive, gate, opened)
            await help_raise(self._pair, queue, await self._look(queue))
            return await self.status(queue)
        if view.phase is Phase.MOVED:
            raise Blocked(queue, "The second side serves it: flip back first.")
        await self._unstart(queue, view)
        return await self.status(queue)

    async def _unstart(self, queue: str, view: View) -> None:
        """No mirror may outlive the gates: nobody would tell it of its job's end."""
        second = view.second
        if second is not None:
            shut = second._replace(mark=Mark.SEALED, marked_at=second.epoch)
            side = self._pair.sides[1]
            if not second.shut and await side.turn(queue, second, shut, without=OWNED) != shut:
                await self._refuse(queue, 1, OWNED)
            left = (*OWNED, Kind.HELD)
            for _ in range(TRIES):
                await self._drop_mirrors(queue, shut.epoch)
                if await side.turn(queue, shut, None, without=left) is None:
                    break
            else:
                await self._refuse(queue, 1, left)
        if view.first is not None:
            await self._pair.sides[0].turn(queue, view.first, None)

    async def _drop_mirrors(self, queue: str, epoch: int) -> None:
        side = self._pair.sides[1]
        async for copies in pages(side, queue, Kind.HELD):
            await swap(side, copies, [Copy(one.ref, ABSENT) for one in copies], Bounds(epoch))

    async def _look(self, queue: str) -> View:
        return (await self._pair.look([queue]))[queue]

    async def _agreed(self, queue: str) -> View:
        """The view of a queue; a flip that was left half-way is finished first."""
        view = await self._look(queue)
        if view.phase is Phase.FLIPPING:
            await help_raise(self._pair, queue, view)
            view = await self._look(queue)
        if not view.agreed:
            raise Blocked(queue, f"It is {view.phase}: start the cutover first.")
        return view

    async def _turn(self, queue: str, side: int, before: Gate, after: Gate) -> None:
        if not await turned(self._pair, queue, side, before, after):
            raise Blocked(queue, "Somebody else has turned its gate just now: look again.")

    async def _refuse(self, queue: str, side: int, kinds: Sequence[Kind]) -> NoReturn:
        """A gate was not turned: because of what the side still has, else because it was another one by then."""
        left = await self._left(queue, side, kinds)
        raise Blocked(queue, *left or ["Somebody else has turned its gate just now: look again."])

    async def _left(self, queue: str, side: int, kinds: Sequence[Kind]) -> list[str]:
        """What a side still has."""
        counts = await self._pair.sides[side].census(queue)
        left = [f"{counts[kind]:,} {kind}" for kind in kinds if counts.get(kind)]
        where = self._names[side]
        return [f"{where} still has {', '.join(left)}; keep a worker running."] if left else []

    def _check_pair(self, queue: str) -> None:
        if self._names[0] == self._names[1]:
            raise Blocked(
                queue, "Both sides are the same store: set QUEUEKIT_CUTOVER_TO to another."
            )
        apart = self._pair.apart
        if apart is None:
            raise Blocked(queue, "One of the sides can't be reached.")
        if apart > APART:
            seconds = apart / 1_000_000
            raise Blocked(queue, f"The servers' clocks are {seconds:.1f} s apart: set them right.")

    @staticmethod
    def _gate(view: View, side: int) -> Gate:
        gate = view[side]
        assert gate is not None, "both sides agree"
        return gate


def _next_start(view: View) -> int:
    """The next epoch in which the first side is active."""
    return view.epoch + 1 + view.epoch % 2
