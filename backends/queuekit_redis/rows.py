"""How jobs, claims and ends are written on the server, and read back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from queuekit.backend import Change, Held, Presence, Refusal, WorkerInfo
from queuekit.backend.model import takes_key
from queuekit.codes import SETTLEMENTS
from queuekit.job import (
    LAST_MOMENT,
    Claim,
    Claimant,
    Job,
    JobOptions,
    JobRef,
    Keep,
    Micros,
    ReturnKind,
    State,
    Token,
)
from queuekit.record import JobRecord, Lease, Life, Notes, Settled, Times
from queuekit_redis.connection import Argument

PLAIN: Final = b"p"
EXTRA: Final = b"e"
OWN: Final = b"o"
PLAIN_BYTE: Final = PLAIN[0]
SEPARATOR: Final = "\x1e"
USUAL: Final = JobOptions()
NO_CLAIM: Final = b"p:0:0:0:0:0:0:"
NO_COUNTS: Final = b"0 0 0 0 0 0 0 "
ACKED: Final = b"ack"
HOW: Final[Mapping[bytes, State | ReturnKind]] = {how.encode(): how for how in SETTLEMENTS}
"""How a run was settled; a lapse has settled nothing."""


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


def head_of(job: Job[Any], flag: bytes) -> bytes:
    """A job's record between its first line, which the server writes, and the payload."""
    options = job.options
    head = f"{options.priority};{options.max_attempts};{job.task}\n".encode()
    return head if flag == PLAIN else head + _own_options(job)


def _own_options(job: Job[Any]) -> bytes:
    """The line with what a job does not share with plain ones."""
    options = job.options
    own: dict[str, Any] = {
        name: value for name in ("lease", "tags", "extra") if (value := getattr(options, name))
    }
    own |= {
        name: value
        for name in ("max_crashes", "max_lapses")
        if (value := getattr(options, name)) != getattr(USUAL, name)
    }
    if options.keep is not None:
        own["age"] = options.keep.age
        if options.keep.count is not None:
            own["count"] = options.keep.count
    if job.key is not None:
        own |= {"key": job.key, "until": options.key_until}
    return json.dumps(own, ensure_ascii=False).encode() + b"\n"


def due_of(options: JobOptions) -> Sequence[Argument]:
    """When a job is due and when it expires, as scripts take it."""
    return (
        "" if options.due is None else options.due,
        options.delay,
        "" if options.expires is None else options.expires,
    )


def count_of(keep: Keep) -> int:
    """The bound of a retention as scripts take it."""
    return -1 if keep.count is None else keep.count


@lru_cache(maxsize=1024)
def _parsed_head(head: bytes) -> tuple[int, int, str]:
    priority, max_attempts, task = head.decode().split(";", 2)
    return int(priority), int(max_attempts), task


class StoredJob(NamedTuple):
    """What was enqueued, as the server has it. `times`: due, expires, origin, if it has one of them."""

    enqueued_at: Micros
    times: Sequence[bytes]
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
    enqueued_at, *times = first[1:].split(b" ")
    return StoredJob(int(enqueued_at), times, *_parsed_head(head), own, rest.decode())


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
    for start in range(0, len(odd), 8):
        index, *values = map(int, odd[start : start + 8])
        claims[index] = _odd_claim(claims[index], values)
    return claims


def _odd_claim(claim: Claim, values: Sequence[int]) -> Claim:
    attempt, delivery, lapses, crashes, lease, left, generation = values
    return claim._replace(
        token=claim.token._replace(delivery=delivery, generation=generation),
        attempt=attempt,
        lapses=lapses,
        crashes=crashes,
        lease=lease,
        expires_in=None if left < 0 else left,
    )


def read_change(queue: str, raw: Sequence[Any]) -> Change:
    """What became of a job."""
    id_, found, now, generation, refused, holder, task, why = raw
    reason, moved = why.decode() if why else None, refused == b"moved"
    return Change(
        JobRef(queue, UUID(bytes=id_)),
        State(found.decode()) if found else None,
        State(now.decode()) if now else None,
        generation,
        Refusal(refused.decode()) if refused else None,
        UUID(bytes=holder) if holder else None,
        detail=reason if moved else None,
        task=task.decode() if task else None,
        reason=None if moved else reason,
    )


def read_odd(queue: str, reply: Sequence[Any]) -> Iterator[tuple[int, Change]]:
    """Places in a batch, and what became of those that did not go as was asked."""
    for place, raw in zip(reply[::2], reply[1::2], strict=True):
        yield place, read_change(queue, raw)


def read_held(queue: str, reply: Sequence[Any]) -> Iterator[Held]:
    """The answer of the leases script."""
    fields = (reply[start::4] for start in range(4))
    for id_, address, number, generation in zip(*fields, strict=True):
        delivery = read_run(address).delivery
        token = Token(queue, UUID(bytes=id_), delivery, address, generation)
        yield Held(token, int(number))


class Run(NamedTuple):
    """A claim, as its address says."""

    delivery: int
    attempt: int
    started_at: Micros | None
    lease: Lease


def read_run(address: bytes) -> Run:
    """The run of an address."""
    _, delivery, attempt, started_at, length, _, number, process = address.split(b":", 7)
    lease = Lease(Claimant(process.decode(), int(number or 0)), int(length))
    return Run(int(delivery), int(attempt), int(started_at) or None, lease)


def address_of(token: Token) -> bytes:
    """The claim that a token stands for; a token of another delivery than its address's stands for another claim."""
    flag, _, rest = (token.address or NO_CLAIM).split(b":", 2)
    return b"%b:%d:%b" % (flag, token.delivery, rest)


class _End(NamedTuple):
    """How a finished job ended. `attempt` None: as in its claim; `settled`: how its last run was, by which event."""

    finished_at: Micros | None = None
    kept_until: Micros | None = None
    attempt: int | None = None
    settled: bytes = b""
    address: bytes = b""
    reason: str | None = None
    result: str | None = None


def _read_end(raw: bytes | None) -> _End:
    if raw is None:
        return _End()
    head, address, rest = raw.split(b"\n", 2)
    state, finished_at, attempt, event, size, kept_until = head.split(b" ")
    reason, result = rest[: int(size)], rest[int(size) :]
    return _End(
        int(finished_at),
        int(kept_until),
        None if attempt == b"-" else int(attempt),
        state if event == ACKED else event,
        address,
        reason.decode() or None,
        result.decode() or None,
    )


class _Counts(NamedTuple):
    """What is known of a job's runs that came back; `settled`: how the last of them was."""

    settled: bytes
    attempt: int
    lapses: int
    crashes: int
    generation: int
    delivery: int
    due: Micros
    started_at: Micros


def _read_counts(raw: bytes) -> _Counts:
    *numbers, settled = raw.split(b" ", 7)
    return _Counts(settled, *map(int, numbers))


def _items(raw: bytes | None) -> tuple[str, ...]:
    return tuple(raw.decode().split(SEPARATOR)) if raw else ()


def read_record(ref: JobRef, reply: Sequence[Any]) -> JobRecord | None:
    """One answer of the records script."""
    if reply[0] is None:
        return None
    state, blob, ended, running, lease_ends, counts, *notes, follows, cancel_requested = reply
    stored, end, past = read_stored(blob), _read_end(ended), _read_counts(counts or NO_COUNTS)
    address = running or end.address
    run = read_run(address) if address else None
    last = run or past
    attempt = last.attempt if end.attempt is None else end.attempt
    settled, of = (end.settled, last.delivery) if end.address else (past.settled, past.delivery)
    due, expires, origin = stored.times or (b"0", b"0", b"-")
    job = _job_of(ref, stored)
    return JobRecord(
        job=job,
        life=Life(
            State(state.decode()),
            attempt,
            last.delivery,
            past.lapses,
            past.crashes,
            past.generation,
            bool(cancel_requested),
            end.reason,
            job.options.max_lapses,
            job.options.max_crashes,
        ),
        times=Times(
            stored.enqueued_at,
            past.due or int(due) or None,
            last.started_at or None,
            end.finished_at,
            int(expires) or None,
            int(float(lease_ends)) if lease_ends else None,
            end.kept_until,
        ),
        notes=_notes(end.result, *notes),
        lease=run.lease if run and running else None,
        settled=Settled(HOW[settled], of) if settled in HOW else None,
        follows=UUID(bytes=follows) if follows else None,
        origin=None if origin == b"-" else UUID(hex=origin.decode()),
    )


def _job_of(ref: JobRef, stored: StoredJob) -> Job[Any]:
    own = stored.own
    options = JobOptions(
        queue=ref.queue,
        priority=stored.priority,
        max_attempts=stored.max_attempts,
        lease=own.get("lease"),
        max_crashes=own.get("max_crashes", USUAL.max_crashes),
        max_lapses=own.get("max_lapses", USUAL.max_lapses),
        key_until=own.get("until", USUAL.key_until),
        keep=Keep(own["age"], own.get("count")) if "age" in own else None,
        tags=tuple(own.get("tags", ())),
        extra=own.get("extra", ""),
    )
    return Job(ref.id, stored.task, stored.payload, options, own.get("key"), fresh=False)


def _notes(
    result: str | None,
    errors: bytes | None,
    history: bytes | None,
    progress: bytes | None,
    logs: bytes | None,
) -> Notes:
    return Notes(
        result,
        _items(errors),
        _items(history),
        progress.decode() if progress else None,
        tuple(json.loads(line) for line in _items(logs)),
    )


def written_record(record: JobRecord) -> Iterator[Argument]:
    """A whole job as the transfer script takes it."""
    times, notes, settled = record.times, record.notes, record.settled
    flag = OWN if times.expires_at else flag_of(record.job)
    yield record.job.id.bytes
    yield record.state
    yield _first_line(flag, record) + head_of(record.job, flag) + record.job.payload.encode()
    yield int(takes_key(record, 0))  # whether its time is over is for the server to say
    yield _written_counts(record)
    yield record.follows.bytes if record.follows else ""
    yield from _written_run(record, record.lease) if record.lease else ("", "")
    yield _written_end(record) if record.finished else ""
    yield (times.kept_until or LAST_MOMENT) if record.finished else times.leased_until or 0
    yield settled.how if settled else ""
    yield settled.delivery if settled else 0
    yield int(record.life.cancel_requested)
    yield SEPARATOR.join(notes.errors).encode()
    yield SEPARATOR.join(notes.history).encode()
    yield (notes.progress or "").encode()
    yield SEPARATOR.join(map(json.dumps, notes.logs))


def _first_line(flag: bytes, record: JobRecord) -> bytes:
    times, origin = record.times, record.origin
    line = b"%b%d" % (flag, times.enqueued_at)
    if times.scheduled_at or times.expires_at or origin:
        written = origin.hex if origin else "-"
        line += f" {times.scheduled_at or 0} {times.expires_at or 0} {written}".encode()
    return line + b"\n"


def _written_counts(record: JobRecord) -> bytes:
    """What is known of past runs; of a job that runs, of the run before, as far as a repeat may ask."""
    life, settled = record.life, record.settled
    delivery, started_at = life.delivery, record.times.started_at or 0
    if record.lease:
        delivery, started_at = settled.delivery if settled else 0, 0
    numbers = (life.attempt, life.lapses, life.crashes, life.generation, delivery, 0, started_at)
    how = settled.how if settled else ""
    counts = f"{' '.join(map(str, numbers))} {how}".encode()
    return b"" if counts == NO_COUNTS else counts


def _written_run(record: JobRecord, lease: Lease) -> tuple[Argument, Argument]:
    """The address of a run, in two parts: its score, which this server gives it, stands between them."""
    job, life, times = record.job, record.life, record.times
    closely = job.key is not None or job.options.keep or times.expires_at
    flag, (process, number) = "o" if closely else "p", lease.claimant
    before = f"{flag}:{life.delivery}:{life.attempt}:{times.started_at or 0}:{lease.length}:"
    return before, f":{number}:{process}".encode()


def _written_end(record: JobRecord) -> bytes:
    """How a finished job ended; its runs are in its counters."""
    times, reason = record.times, (record.life.reason or "").encode()
    words = (
        record.state,
        times.finished_at or 0,
        record.life.attempt,
        "moved",
        len(reason),
        times.kept_until or LAST_MOMENT,
    )
    head = " ".join(map(str, words)).encode()
    return b"%b\n\n%b%b" % (head, reason, (record.notes.result or "").encode())


def presence_text(presence: Presence) -> str:
    """How a process describes itself."""
    return json.dumps(asdict(presence))


def read_worker(raw: bytes) -> WorkerInfo:
    """A registered process."""
    seen_at, text = raw.split(b" ", 1)
    return WorkerInfo(presence=Presence(**json.loads(text)), seen_at=int(seen_at))
