"""Time moves on: what a script did for each queue, as one answer."""

from collections.abc import Sequence
from uuid import UUID

from queuekit.backend import Upkeep
from queuekit.job import JobRef
from queuekit_redis.rows import read_ended
from queuekit_redis.statements import Scripts


async def maintain(scripts: Scripts, queues: Sequence[str]) -> Upkeep:
    """Promote, rescue, expire, renew and prune in these queues."""
    answers = await scripts.run_everywhere("maintain", queues)
    done = list(zip(queues, answers, strict=True))
    return Upkeep(
        promoted=sum(promoted for promoted, *_ in answers),
        rescued=[JobRef(queue, UUID(bytes=id_)) for queue, one in done for id_ in one[3]],
        renewed=sum(renewed for _, renewed, *_ in answers),
        pruned=sum(pruned for _, _, pruned, *_ in answers),
        ended=[ended for queue, one in done for ended in read_ended(queue, one[4])],
    )
