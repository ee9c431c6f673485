"""The executor: runs one job, and says what came of it as a value."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from types import CoroutineType
from typing import Any, Final, Protocol

from queuekit.backend import UNKNOWN_TASK_PATIENCE, Backend
from queuekit.context import Cancel, Context, GiveUp, Retry, Snooze, delay_asked
from queuekit.errors import BackendRefused, BackendUnavailable, InvalidOption, UnknownTask
from queuekit.failure import failure, kind_of, message_of, printable
from queuekit.job import SUSPECT_AFTER, Micros, Reason
from queuekit.lifecycle import Cancelled, Failed, Outcome, Released, Snoozed, Succeeded
from queuekit.log import log
from queuekit.options import Policy
from queuekit.retry import delay_of, matches
from queuekit.task import Task
from queuekit.worker.board import Board
from queuekit.worker.run import Interruption, NotBegun, Run
from queuekit.worker.steps import Abandoned, Clean, first, others
from queuekit.worker.threads import Threads

UNKNOWN_TASK_SNOOZE: Final[Micros] = 30_000_000
AFTER_TROUBLE: Final[Micros] = 60_000_000
"""The delay of a retry where neither the task nor its options give one that can be used."""


class Isolation(Protocol):
    """Runs a job in a child process."""

    async def run(self, run: Run, limit: float | None) -> Outcome | None:
        """The outcome that the child found, or that its death is."""
        ...


class Executor:
    """Runs jobs of one app.

    Args:
        tasks: by name.
        board: whose runs they are.
        threads: how many sync tasks run at once.
        isolation: where suspects and ``executor="process"`` run; None inside a child.
        enqueued_at: asks when a job was enqueued, for unknown tasks.
        clean: the context variables that each begins with; `run` is called in a copy of them.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        board: Board,
        threads: int,
        isolation: Isolation | None,
        enqueued_at: Callable[[Run], Awaitable[int]],
        clean: Clean,
    ) -> None:
        self._tasks = tasks
        self._board = board
        self._threads = Threads(threads)
        self._places = asyncio.Semaphore(threads)
        self._isolation = isolation
        self._enqueued_at = enqueued_at
        self._unknown: set[str] = set()
        self._clean = clean

    async def run(self, run: Run) -> Outcome | None:
        """The outcome of a run; None if it was abandoned or its lease is lost, so that nothing may be settled."""
        claim = run.claim
        task = self._tasks.get(claim.task)
        if task is None:
            return await self._unknown_task(run)
        if claim.expires_in is not None and run.age() * 1_000_000 > claim.expires_in:
            return Failed(None, Reason.EXPIRED)
        isolation = self._isolation
        if claim.lapses < SUSPECT_AFTER and task.executor != "process":
            isolation = None
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        try:
            run.check()
            policy = task.policy.overlaid(json.loads(claim.extra)) if claim.extra else task.policy
            if isolation is None:
                kwargs = task.arguments.load(claim.payload, task.upgrade)
                if task.context_parameter:
                    kwargs[task.context_parameter] = Context(run)
                if not task.arguments.simple:
                    args, kwargs = task.arguments.spread(kwargs)
        except NotBegun:
            return _interrupted(run)
        except BaseException as error:  # noqa: BLE001  # validators and upgrade functions may raise anything
            return Failed(failure(error, claim.attempt), Reason.INVALID)
        try:
            if isolation is not None:
                return await isolation.run(run, policy.timeout)
            if not task.is_async:
                value = await self._in_thread(run, task.function, args, kwargs, policy.timeout)
            else:
                self._clean.begin(run)
                if policy.timeout is not None:
                    run.time_out_after(policy.timeout)
                ended, value = first(run, task.function, args, kwargs)
                if not ended:
                    value = await self._others(run, value)
        except Abandoned:
            return None
        except BaseException as error:  # noqa: BLE001  # SystemExit of a task is its failure, not the worker's
            return _judged(run, error, policy)
        # On Python 3.11 members of an enum are slow look-ups.
        if run.interruption is not None and run.interruption is Interruption.TIMED_OUT:
            return _judged(run, _timeout(policy), policy)
        try:
            return Succeeded(task.results.dump(value))
        except BaseException as error:  # noqa: BLE001  # a validator of the result's type may raise anything
            return Failed(failure(_unfit(value, error), claim.attempt), Reason.INVALID_RESULT)

    def abandoned(self, run: Run) -> Outcome | None:
        """The outcome of a run whose task did not heed its interruption."""
        if run.interruption is not Interruption.TIMED_OUT:
            return _interrupted(run)
        claim = run.claim
        policy = self._tasks[claim.task].policy.overlaid(json.loads(claim.extra or "{}"))
        return _judged(run, _timeout(policy), policy)

    async def _others(self, run: Run, waits_for: Any) -> Any:
        if run.ends_at is None:
            return await others(run, waits_for)
        left, loop = run.ends_at - monotonic(), asyncio.get_running_loop()
        timer = loop.call_later(max(left, 0), run.interrupt, Interruption.TIMED_OUT)
        try:
            return await others(run, waits_for)
        finally:
            timer.cancel()

    async def _in_thread(
        self,
        run: Run,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        limit: float | None,
    ) -> Any:
        """Call a sync task. On a timeout or a cancel it is told, and keeps its slot: no thread can be killed."""
        context = self._clean.copy()

        def work() -> Any:
            run.check()
            return context.run(self._clean.call, run, function, args, kwargs)

        async with self._board.place(self._places, run):
            if limit is not None:
                run.time_out_after(limit)
            future = self._threads.submit(work)
            if limit is not None:
                await asyncio.wait([future], timeout=limit)
                if not future.done():
                    run.interrupt(Interruption.TIMED_OUT)
            value, error = await self._unmoved(run, future)
        if isinstance(error, StopIteration):
            error = RuntimeError(f"the task raised StopIteration({error})")
        if error is not None:
            raise error
        return value

    async def _unmoved(self, run: Run, future: "asyncio.Future[Any]") -> Any:
        """Wait for a thread, also if a task cancels all asyncio tasks of the process, because it goes on all the same.

        Raises:
            Abandoned: the worker ends without waiting for it, so that nobody may have the job before its lease is over.
        """
        while True:
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                if self._board.stopping.is_set():
                    raise Abandoned from None
                run.slot.uncancel()

    async def _unknown_task(self, run: Run) -> Outcome:
        """Put it back for workers that know it; after a day nobody does."""
        claim = run.claim
        error = UnknownTask(
            f"No task {claim.task!r} in this worker's app. Deploy a worker that has it, or give the task that "
            f"replaced it aliases=[{claim.task!r}]."
        )
        if claim.task not in self._unknown:
            self._unknown.add(claim.task)
            log.warning("unknown task: its jobs wait for a worker that knows it", task=claim.task)
        # The delivery is the server's clock at the claim, in milliseconds.
        age = claim.token.delivery * 1_000 - await self._enqueued_at(run)
        if age > UNKNOWN_TASK_PATIENCE:
            return Failed(failure(error, claim.attempt), Reason.INVALID)
        return Snoozed(UNKNOWN_TASK_SNOOZE)


async def enqueued_at(backend: Backend, run: Run) -> Micros:
    """When a job was enqueued; when it was claimed, if its store does not tell."""
    token = run.claim.token
    try:
        (record,) = await backend.inspector.get([token.ref])
    except (BackendUnavailable, BackendRefused):
        record = None  # it is asked again after the next claim
    return record.times.enqueued_at if record else token.delivery * 1_000


def _unfit(value: Any, error: BaseException) -> BaseException:
    """Why a result can't be stored."""
    if type(value) is not CoroutineType:
        return error
    value.close()
    return TypeError("the task returned a coroutine instead of its result; write `async def`")


def _judged(run: Run, error: BaseException, policy: Policy) -> Outcome | None:
    """The outcome of a run that raised, also if the error itself raises another one when it is looked at."""
    try:
        return _raised(run, error, policy)
    except InvalidOption as why:  # a delay out of the range
        return _failed(run, why, policy)
    except BaseException:  # noqa: BLE001  # say of a property named __class__
        told = (
            f"{kind_of(error)}: {message_of(error)} (it raises another error when it is looked at)"
        )
        return _failed(run, RuntimeError(told), policy)


def _raised(run: Run, error: BaseException, policy: Policy) -> Outcome | None:
    match error:
        case NotBegun():
            return _interrupted(run)
        case Snooze():
            return Snoozed(delay_asked(error))
        case Cancel():
            return Cancelled(printable(error.reason))
        case _ if run.interruption not in {None, Interruption.TIMED_OUT}:
            return _interrupted(run)
        case Retry():
            return Failed(failure(error, run.claim.attempt), delay=delay_asked(error))
        case GiveUp():
            return Failed(failure(error, run.claim.attempt), Reason.GAVE_UP)
        case asyncio.CancelledError() if run.interruption is None:
            return _failed(run, _own_cancel(error), policy)
        case _:
            return _failed(run, error, policy)


def _failed(run: Run, error: BaseException, policy: Policy) -> Failed:
    attempt = run.claim.attempt
    timed_out = run.interruption is Interruption.TIMED_OUT
    if timed_out:
        error = _timeout(policy)
    text = failure(error, attempt)
    if matches(error, policy.give_up_on) or (
        policy.retry_on and not matches(error, policy.retry_on)
    ):
        return Failed(text, Reason.GAVE_UP)
    try:
        delay = delay_of(policy.backoff, attempt, error)
    except BaseException:  # noqa: BLE001  # a backoff function of the user's own
        log.exception(
            "the backoff function failed; trying again in 60 s",
            task=run.claim.task,
            job_id=str(run.claim.token.id),
        )
        delay = AFTER_TROUBLE
    return Failed(text, timed_out=timed_out, delay=delay)


def _own_cancel(error: asyncio.CancelledError) -> asyncio.CancelledError:
    told = asyncio.CancelledError(
        str(error)
        or "the task's own code cancelled it, or something that it awaited; nobody else asked for that"
    )
    return told.with_traceback(error.__traceback__)


def _timeout(policy: Policy) -> TimeoutError:
    return TimeoutError(f"the task did not return within its timeout of {policy.timeout:g} s")


def _interrupted(run: Run) -> Outcome | None:
    match run.interruption:
        case Interruption.CANCELLED:
            return Cancelled("cancelled on request")
        case Interruption.LEASE_LOST:
            return None
        case _:
            return Released()
