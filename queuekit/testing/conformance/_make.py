"""What the cases are made of: jobs, claims, outcomes, and patience."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from queuekit.backend import Ask, Backend, Change, JobFilter
from queuekit.job import (
    Ack,
    Claim,
    Claimant,
    Job,
    JobOptions,
    JobRef,
    Keep,
    KeyPolicy,
    Micros,
    Return,
    ReturnKind,
    State,
    new_id,
)
from queuekit.lifecycle import Event
from queuekit.record import JobRecord

T = TypeVar("T")

MILLISECOND: Final[Micros] = 1_000
SECOND: Final[Micros] = 1_000_000
LONG: Final[Micros] = 60 * SECOND
"""A lease that no test outlives, however slow the machine."""
BRIEF: Final[Micros] = 20 * MILLISECOND
"""A lease that is meant to lapse."""
NOTHING: Final = '{"v":1,"a":{}}'
UNSTORABLE: Final = '"\ud800"'
"""A lone surrogate is no text in UTF-8, so no server takes it."""
ALICE: Final = "alice-4711"
BOB: Final = "bob-4712"

STORED: Final = "stored"
REPLACED: Final = "replaced"
DONE: Final = "done"

Settling: TypeAlias = Callable[[Claim], Ack]

_numbers = itertools.count(1)


PATIENCE = 30.0
"""Seconds after which what should come is taken for missing."""


async def eventually(check: Callable[[], Awaitable[T]]) -> T:
    """The first true value of `check`, asked again and again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = await check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {value!r}"
        await asyncio.sleep(0.01)


async def punctual(lateness: Callable[[], Awaitable[float]], within: float = 0.2) -> None:
    """Three times in a row something must come in time; a busy machine may spoil some tries, but not all."""
    in_a_row = 0
    late: list[float] = []
    while in_a_row < 3:
        late.append(await lateness())
        in_a_row = in_a_row + 1 if late[-1] <= within else 0
        assert len(late) < 25, f"seconds late: {late}"


def job(  # the fields of a job, with defaults
    payload: str = NOTHING,
    *,
    task: str = "send",
    queue: str = "default",
    key: str | None = None,
    id: UUID | None = None,  # noqa: A002  # the field's name
    fresh: bool | None = None,
    **options: Any,
) -> Job[Any]:
    """A job; a given id is no fresh one unless that is said."""
    if fresh is None:
        fresh = id is None
    chosen = JobOptions(queue=queue, **options)
    return Job(id or new_id(), task, payload, chosen, key, fresh)


def numbered(count: int, **options: Any) -> list[Job[Any]]:
    """Jobs whose payload is their number."""
    return [job(str(number), **options) for number in range(count)]


def answer_of(change: Change) -> str:
    """What became of one element, in a word: stored, replaced, done, or why it was refused."""
    if change.refused:
        return change.refused
    return STORED if change.found is None else REPLACED if change.holder else DONE


def answers_of(changes: Sequence[Change]) -> list[str]:
    """The same of a batch."""
    return [answer_of(change) for change in changes]


async def put(backend: Backend, *jobs: Job[Any]) -> None:
    """Enqueue jobs that must all be stored."""
    answers = await backend.enqueue(jobs)
    assert [answer_of(answer) for answer in answers] == [STORED] * len(jobs), answers


def claimant(process: str = ALICE) -> Claimant:
    """The next claim of a process."""
    return Claimant(process, next(_numbers))


async def claim(
    backend: Backend,
    count: int,
    *,
    queues: Sequence[str] = ("default",),
    lease: Micros = LONG,
    suspects: int = 0,
    process: str = ALICE,
) -> list[Claim]:
    """So many claims, in the order in which they came: a backend may need a second look."""
    claims: list[Claim] = []

    async def enough() -> bool:
        wanted = count - len(claims)
        who = claimant(process)
        fetched = await backend.fetch(Ask(queues, wanted, who, lease, suspects))
        claims.extend(fetched.claims)
        return len(claims) >= count

    await eventually(enough)
    assert len(claims) == count
    return claims


async def claim_one(
    backend: Backend,
    *,
    queue: str = "default",
    lease: Micros = LONG,
    suspects: int = 0,
    process: str = ALICE,
) -> Claim:
    """One claim."""
    (only,) = await claim(
        backend, 1, queues=[queue], lease=lease, suspects=suspects, process=process
    )
    return only


async def claims_nothing(
    backend: Backend, queue: str = "default", *, suspects: int = 0, limit: int = 10
) -> None:
    """No claim comes, not at a second or third look either."""
    for _ in range(3):
        fetched = await backend.fetch(Ask([queue], limit, claimant(), LONG, suspects))
        assert not fetched.claims
        await asyncio.sleep(0.025)


async def running(backend: Backend, payload: str = NOTHING, **options: Any) -> Claim:
    """A job that was just stored and claimed."""
    one = job(payload, **options)
    await put(backend, one)
    return await claim_one(backend, queue=one.options.queue)


def succeeded(claim: Claim, result: str = "null", keep: Keep | None = None) -> Ack:
    """The task returned."""
    return Ack(claim.token, claim.task, State.SUCCEEDED, result, keep=keep)


def failed(
    claim: Claim, reason: str = "exhausted", message: str = "no luck", keep: Keep | None = None
) -> Ack:
    """The last attempt failed."""
    error = error_text(claim, message)
    return Ack(claim.token, claim.task, State.FAILED, reason=reason, error=error, keep=keep)


def cancelled(claim: Claim, reason: str | None = None) -> Ack:
    """The task was interrupted on request."""
    return Ack(claim.token, claim.task, State.CANCELLED, reason=reason)


def retried(claim: Claim, delay: Micros = 0, message: str = "no luck") -> Return:
    """An attempt failed and was not the last."""
    return Return(claim.token, ReturnKind.RETRY, delay, error_text(claim, message))


def snoozed(claim: Claim, delay: Micros = 0) -> Return:
    """The task asks for another time."""
    return Return(claim.token, ReturnKind.SNOOZE, delay)


def released(claim: Claim) -> Return:
    """The worker gives it back."""
    return Return(claim.token, ReturnKind.RELEASE)


def dead(claim: Claim) -> Return:
    """The child process that ran it died."""
    return Return(claim.token, ReturnKind.DEATH, error=error_text(claim, "killed by signal 9"))


def error_text(claim: Claim, message: str) -> str:
    """A failed attempt, as the codec writes it."""
    return json.dumps(
        {"attempt": claim.attempt, "type": "Oops", "message": message, "traceback": "Oops\n"}
    )


async def ack(backend: Backend, *acks: Ack) -> None:
    """End jobs that must all be ours."""
    assert answers_of(await backend.ack(acks)) == [DONE] * len(acks)


async def give_back(backend: Backend, *returns: Return) -> None:
    """Return jobs that must all be ours."""
    assert answers_of(await backend.retry(returns)) == [DONE] * len(returns)


async def record(backend: Backend, job: UUID | JobRef) -> JobRecord:
    """What is known of a job that must be there; an id is searched for in all queues."""
    (ref,) = await backend.inspector.locate([job]) if isinstance(job, UUID) else [job]
    assert ref is not None
    (found,) = await backend.inspector.get([ref])
    assert found is not None
    return found


async def state_of(backend: Backend, job: UUID | JobRef) -> State | None:
    """Where a job is; None: nowhere."""
    (ref,) = await backend.inspector.locate([job]) if isinstance(job, UUID) else [job]
    (found,) = await backend.inspector.get([ref]) if ref else [None]
    return found.state if found else None


async def find_all(
    backend: Backend, where: JobFilter | None = None, *, limit: int = 100
) -> list[JobRecord]:
    """All pages together."""
    found = await backend.inspector.find(where or JobFilter(), limit=limit)
    last = found
    while len(last) == limit:
        mark = last[-1].ref
        last = await backend.inspector.find(where or JobFilter(), limit=limit, after=mark)
        found = [*found, *last]
    return found


async def sweep(backend: Backend, event: Event, where: JobFilter | None = None) -> int:
    """Steer all jobs that a filter fits; how many were changed."""
    refs = [ref async for some in backend.inspector.refs(where or JobFilter()) for ref in some]
    return sum(change.done for change in await backend.inspector.steer(event, refs))


async def lapse(backend: Backend, *claims: Claim) -> list[Change]:
    """Tick until those leases have lapsed; what became of their jobs.

    One of them may be renewed once, if this machine sleeps meanwhile.
    """
    left = {claim.token.ref for claim in claims}
    queues = sorted({claim.token.queue for claim in claims})
    rescued: list[Change] = []

    async def all_rescued() -> bool:
        rescued.extend((await backend.maintain(queues)).rescued)
        return left <= {change.ref for change in rescued}

    await eventually(all_rescued)
    return rescued


async def lapse_times(backend: Backend, times: int, *jobs: Job[Any], suspects: int = 100) -> None:
    """Claim and lapse the only jobs of a queue so many times."""
    queue = jobs[0].options.queue
    for _ in range(times):
        claims = await claim(backend, len(jobs), queues=[queue], lease=BRIEF, suspects=suspects)
        await lapse(backend, *claims)


def events(record: JobRecord) -> list[str]:
    """What happened to a job besides attempts."""
    return [json.loads(text)["event"] for text in record.notes.history]


async def drop_all(backend: Backend, queue: str = "default") -> None:
    """Cancel whatever could be claimed."""
    await sweep(backend, Event.DRAIN, JobFilter(queues=[queue]))


async def wakes(
    backend: Backend,
    ring: Callable[[], Awaitable[None]],
    after: float = 0.0,
    *,
    queues: Sequence[str] = ("default",),
) -> float:
    """Seconds from `ring`, plus `after`, to the end of Alice's wait."""
    waiting = asyncio.create_task(backend.wait(queues, 30, ALICE))
    # Rung before it sleeps it would not have to be woken; too late is no harm.
    await asyncio.sleep(0.04)
    begun = time.monotonic()
    await ring()  # in any case: a wait may end too early
    while not (await asyncio.wait([waiting], timeout=2))[0]:
        await ring()
    return time.monotonic() - begun - after


async def one_of_each(backend: Backend) -> dict[State, UUID]:
    """A job in each state that a job can be in without limits; the waiting one succeeds the running one."""
    ends: Sequence[Settling] = (succeeded, failed, cancelled)
    ended = [end(await running(backend)) for end in ends]
    await ack(backend, *ended)
    found = {one.state: one.token.id for one in ended}
    holder = await running(backend, key="k", task="holder")
    waiting = job(key="k", key_policy=KeyPolicy.REPLACE)
    found[State.RUNNING] = holder.token.id
    ready, later = job(), job(delay=LONG)
    await put(backend, waiting, ready, later)
    found |= {State.WAITING: waiting.id, State.READY: ready.id, State.SCHEDULED: later.id}
    return found
