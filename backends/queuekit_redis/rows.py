"""How jobs, claims and ends are written on the server, and read back."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from queuekit.backend import Ended, Held, Presence, WorkerInfo
from queuekit.job import Claim, Job, JobOptions, JobRecord, JobRef, Keep, Micros, State, Token

PLAIN: Final = b"p"
EXTRA: Final = b"e"
OWN: Final = b"o"
PLAIN_BYTE: Final = PLAIN[0]
SEPARATOR: Final = "\x1e"
USUAL: Final = JobOptions()
NO_CLAIM: Final = b"p:0:0:0:0:0:0:"
CAME_BACK: Final = frozenset({b"retry", b"snooze", b"release", b"death", b"lapse"})
"""How a run was settled that was not its job's last; a person's rerun begins a new life, which has not begun."""


def flag_of(job: Job[Any]) -> bytes:
    """Whether a job has options of its own, and whether its claim and ack depend on them."""
    options = job.options
    if job.key is not None:
        return OWN
    if options.plain:
        return PLAIN
    return OWN if options.expires or options.lease or options.keep else EXTRA


def is_ready_at_once(job: Job[Any]) -> bool:
    """Whether a job can be put in line without a look at anything else."""
    options = job.options
    return job.key is None and (
        options.plain or not (options.due or options.delay or options.expires)
    )


def head_of(job: Job[Any]) -> bytes:
    """A job's record between the flag and time that the server writes, and the payload."""
    options = job.options
    head = f"{options.priority};{options.max_attempts};{job.task}\n".encode()
    return head if flag_of(job) == PLAIN else head + _own_options(job)


def _own_options(job: Job[Any]) -> bytes:
    """The line with what a job does not share with plain ones."""
    options = job.options
    own: dict[str, Any] = {
        name: value
        for name in ("due", "delay", "expires", "lease", "tags", "extra")
        if (value := getattr(options, name))
    }
    own |= {
        name: value
        for name in ("max_crashes", "max_lapses")
        if (value := getattr(options, name)) != getattr(USUAL, name)
    }
    if options.due is not None:
        own.pop("delay", None)
    if options.keep is not None:
        own["age"] = options.keep.age
        if options.keep.count is not None:
            own["count"] = options.keep.count
    if job.key is not None:
        # The origin tells a repeated replacement from a new one.
        own |= {"key": job.key, "until": options.key_until, "origin": job.id.hex}
    return json.dumps(own).encode() + b"\n"


def count_of(keep: Keep) -> int:
    """The bound of a retention as scripts take it."""
    return -1 if keep.count is None else keep.count


@lru_cache(maxsize=1024)
def _parsed_head(head: bytes) -> tuple[int, int, str]:
    priority, max_attempts, task = head.decode().split(";", 2)
    return int(priority), int(max_attempts), task


@dataclass(frozen=True, slots=True)
class StoredJob:
    """What was enqueued, as the server has it."""

    stored_at: Micros
    priority: int
    max_attempts: int
    task: str
    own: dict[str, Any]
    payload: str


def read_stored(blob: bytes) -> StoredJob:
    """A job's record."""
    first, head, rest = blob.split(b"\n", 2)
    own: dict[str, Any] = {}
    if first[0] != PLAIN_BYTE:
        line, rest = rest.split(b"\n", 1)
        own = json.loads(line)
    return StoredJob(int(first[1:]), *_parsed_head(head), own, rest.decode())


def read_claims(queue: str, lease: Micros, reply: Sequence[Any]) -> list[Claim]:
    """The claims in the answer of the fetch script."""
    _, ms, ids, addresses, blobs, odd, *_ = reply
    delivery = int(ms)
    claims = []
    for id_, address, blob in zip(ids, addresses, blobs, strict=True):
        _, head, payload = blob.split(b"\n", 2)
        _, max_attempts, task = _parsed_head(head)
        extra = ""
        if blob[0] != PLAIN_BYTE:
            own, payload = payload.split(b"\n", 1)
            extra = json.loads(own).get("extra", "")
        token = Token(queue, UUID(bytes=id_), delivery, address)
        text = payload.decode()
        claims.append(Claim(token, task, text, 1, max_attempts, 0, 0, lease, None, extra))
    for start in range(0, len(odd), 7):
        index, *values = map(int, odd[start : start + 7])
        claims[index] = _odd_claim(claims[index], values)
    return claims


def _odd_claim(claim: Claim, values: Sequence[int]) -> Claim:
    attempt, delivery, lapses, crashes, lease, left = values
    return claim._replace(
        token=claim.token._replace(delivery=delivery),
        attempt=attempt,
        lapses=lapses,
        crashes=crashes,
        lease=lease,
        expires_in=None if left < 0 else left,
    )


def read_ended(queue: str, reply: Sequence[bytes]) -> Iterator[Ended]:
    """What a script ended as failed."""
    for id_, task, reason in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
        yield Ended(queue, UUID(bytes=id_), task.decode(), reason.decode())


def read_held(queue: str, reply: Sequence[Any]) -> Iterator[Held]:
    """The answer of the leases script."""
    for id_, address, number in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
        delivery, _, _ = read_address(address)
        yield Held(Token(queue, UUID(bytes=id_), delivery, address), int(number))


def read_address(address: bytes) -> tuple[int, int, Micros]:
    """Delivery and attempt of a claim, and when it began."""
    _, delivery, attempt, started_at, _ = address.split(b":", 4)
    return int(delivery), int(attempt), int(started_at)


def address_of(token: Token) -> bytes:
    """The claim that a token stands for; a token of another delivery than its address's stands for another claim."""
    flag, _, rest = (token.address or NO_CLAIM).split(b":", 2)
    return b"%b:%d:%b" % (flag, token.delivery, rest)


@dataclass(frozen=True, slots=True)
class _End:
    """How a finished job ended. `attempt` None: as in its claim."""

    finished_at: Micros | None = None
    attempt: int | None = None
    address: bytes | None = None
    reason: str | None = None
    result: str | None = None


def _read_end(raw: bytes | None) -> _End:
    if raw is None:
        return _End()
    head, address, rest = raw.split(b"\n", 2)
    _, finished_at, attempt, _, size = head.split(b" ")
    reason, result = rest[: int(size)], rest[int(size) :]
    return _End(
        int(finished_at),
        None if attempt == b"-" else int(attempt),
        address or None,
        reason.decode() or None,
        result.decode() or None,
    )


def _items(raw: bytes | None) -> tuple[str, ...]:
    return tuple(raw.decode().split(SEPARATOR)) if raw else ()


def _number(raw: bytes | None) -> int | None:
    return None if raw is None else int(float(raw))


def read_record(ref: JobRef, reply: Sequence[Any]) -> JobRecord | None:
    """One answer of the records script."""
    if reply[0] is None:
        return None
    state, blob, ended, running, lease_ends, due, counts, *texts, cancel_requested = reply
    errors, history, progress, logs = texts
    stored, end = read_stored(blob), _read_end(ended)
    *numbers, settled = (counts or b"0 0 0 0 0 0 -").split(b" ", 6)
    attempt, lapses, crashes, generation, delivery, last_due = map(int, numbers)
    # Of a run that came back only its delivery is kept, which is its beginning in milliseconds.
    started_at = max(delivery * 1000, stored.stored_at) if settled in CAME_BACK else None
    if address := running or end.address:
        delivery, attempt, started_at = read_address(address)
    if end.attempt is not None:
        attempt = end.attempt
    own = stored.own
    return JobRecord(
        id=ref.id,
        task=stored.task,
        queue=ref.queue,
        state=State(state.decode()),
        payload=stored.payload,
        priority=stored.priority,
        attempt=attempt,
        max_attempts=stored.max_attempts,
        delivery=delivery,
        lapses=lapses,
        crashes=crashes,
        generation=generation,
        reason=end.reason,
        result=end.result,
        errors=_items(errors),
        history=_items(history),
        enqueued_at=stored.stored_at,
        scheduled_at=_number(due) or last_due or (None if generation else _first_due(stored)),
        started_at=started_at,
        finished_at=end.finished_at,
        expires_at=None
        if generation or "expires" not in own
        else stored.stored_at + own["expires"],
        leased_until=_number(lease_ends),
        cancel_requested=bool(cancel_requested),
        key=own.get("key"),
        tags=tuple(own.get("tags", ())),
        extra=own.get("extra", ""),
        progress=progress.decode() if progress else None,
        logs=tuple(json.loads(line) for line in _items(logs)),
    )


def _first_due(stored: StoredJob) -> Micros | None:
    due: Micros | None = stored.own.get("due")
    delay: Micros | None = stored.own.get("delay")
    return stored.stored_at + delay if delay is not None else due


def presence_text(presence: Presence) -> str:
    """How a process describes itself."""
    return json.dumps(asdict(presence))


def read_worker(raw: bytes) -> WorkerInfo:
    """A registered process."""
    seen_at, text = raw.split(b" ", 1)
    return WorkerInfo(presence=Presence(**json.loads(text)), seen_at=int(seen_at))
