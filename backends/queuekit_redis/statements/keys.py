"""Every key on the server: its type and what it means.

All keys of a queue share the hash tag ``{namespace:queue}``, so that in a cluster a queue is one slot. An id is its 16
bytes, a time is integer microseconds. "Exists only when used" matters: a collection that does not exist costs a batch
one EXISTS.
"""

from typing import Final

QUEUE_KEYS: Final = {
    "jobs": "hash: id -> what was enqueued (`queuekit_redis.rows`), live or finished",
    "ready": "sorted set: id by priority * 2^45 + order of becoming ready",
    "suspects": "sorted set, as ready: jobs with 2 lapses or more",
    "solitary": "sorted set, as ready: jobs with 10 lapses or more, moved to suspects one at a time",
    "scheduled": "sorted set: id by due time",
    "running": "hash: id -> flag:delivery:attempt:started at:lease:score:claim:claimant, also the token's address",
    "leases": "sorted set: id of a running job by the end of its lease",
    "expiring": "sorted set: id by expiry, of jobs that expire and have not begun",
    "counts": "hash: id -> attempt, lapses, crashes, generation, delivery, due, start, settlement; once it came back",
    "ended": "hash: id -> how a finished job ended, and how long it is kept (`queuekit_redis.rows`)",
    "succeeded": "sorted set for each task, named succeeded:<task>: id by the end of its retention",
    "failed": "sorted set: id by the end of its retention",
    "cancelled": "sorted set: id by the end of its retention",
    "spared": "sorted set: end of retention, count and id of waited-for successes, by when a count may cut them",
    "tasks": "set: tasks that have a succeeded:<task>",
    "errors": "hash: id -> JSON texts, separated by \\x1e",
    "history": "hash: id -> JSON texts, separated by \\x1e",
    "progress": "hash: id -> JSON text",
    "logs": "hash: id -> JSON strings, separated by \\x1e",
    "cancels": "hash: id of a running job -> when its cancellation was requested",
    "waiters": "hash: id -> channels to tell when it has finished, separated by spaces",
    "keyed": "hash: unique key -> id that holds it, followed by the end of its protection if that is a time",
    "protected": "sorted set: unique key by the end of its protection",
    "successors": "hash: id of a running job -> id that waits for its end",
    "waiting": "hash: the reverse of successors",
    "known0": "set: ids of one minute whose record is gone, with how they ended, and that minute's number",
    "known1": "as known0",
    "known2": "as known0",
    "known3": "as known0",
    "schedules": "hash: name -> next tick, its time, count, whether paused, rule and job of a schedule, one a line",
    "schedules_due": "sorted set: name of a schedule that has a next tick and is not paused, by its time",
    "fired": "hash: name of a schedule -> its last ticks, each: identity, time, id of its job (as text) or -, \\x1e",
    "gate": "string: what the store keeps of the cutover that the queue is in (`queuekit.backend.Gate`)",
    "held": "hash: id -> generation, epoch, delivery, \\n, text of the mirror of a job of the other side",
    "moving": "hash, as held: jobs and failed records on their way to the other side",
    "tombs": "hash, as held: what has ended while the queue was in a cutover",
    "sleepers": "sorted set: channel of a sleeping process by the end of its registration",
    "paused": "string: exists while the queue is paused",
    "seq": "string: number of jobs that became ready so far",
    "tick": "string: time of the last upkeep",
    "solo": "string: id of the solitary job that is out",
    "renewed": "hash: id -> claimant whose lease was renewed after an outage, until its next heartbeat or claim",
}

NAMESPACE_KEYS: Final = {
    "queues": "set: names of all queues",
    "processes": "hash: process -> when it was seen, a space, its presence as a JSON object",
    "seen": "sorted set: process by the end of its registration",
}


class Keys:
    """Names of keys and channels in one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.bells = f"{namespace}:bell:"
        """What the channels of all processes start with."""

    def of_queue(self, queue: str, names: tuple[str, ...]) -> list[str]:
        """Keys of a queue."""
        return [f"{{{self._namespace}:{queue}}}:{name}" for name in names]

    def of_namespace(self, names: tuple[str, ...]) -> list[str]:
        """Keys that belong to no queue."""
        return [f"{{{self._namespace}}}:{name}" for name in names]
