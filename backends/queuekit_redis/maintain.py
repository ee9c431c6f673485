"""Time moves on: what a script did for each queue, as one answer."""

from collections.abc import Iterable, Sequence

from queuekit.backend import Upkeep
from queuekit.job import Micros
from queuekit_redis.inspect import RedisInspector
from queuekit_redis.rows import read_change
from queuekit_redis.statements import Scripts


async def maintain(scripts: Scripts, queues: Sequence[str]) -> Upkeep:
    """Promote, rescue, expire, renew and prune in these queues."""
    answers = await scripts.run_everywhere("maintain", queues)
    done = list(zip(queues, answers, strict=True))
    return Upkeep(
        rescued=[read_change(queue, raw) for queue, one in done for raw in one[3]],
        expired=[read_change(queue, raw) for queue, one in done for raw in one[4]],
        promoted=sum(promoted for promoted, *_ in answers),
        renewed=sum(renewed for _, renewed, *_ in answers),
        pruned=sum(pruned for _, _, pruned, *_ in answers),
        due_in=_first(one[5] for one in answers),
        again_in=_first(one[6] for one in answers),
    )


def _first(times: Iterable[Micros | None]) -> Micros | None:
    return min((one for one in times if one is not None), default=None)


async def unserved(scripts: Scripts, inspector: RedisInspector) -> list[str]:
    """Queues that hold something and that no present process serves."""
    served = {queue for one in await inspector.workers() for queue in one.presence.queues}
    names = [queue for queue in await scripts.queues() if queue not in served]
    return [info.name for info in await inspector.count(names) if info.counts]
