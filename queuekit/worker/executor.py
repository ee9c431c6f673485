"""Run one job and say what came of it, as a value."""

import asyncio
import contextlib
import contextvars
import json
import queue
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

from queuekit.backend import UNKNOWN_TASK_PATIENCE
from queuekit.codec import Call
from queuekit.context import Cancel, Context, GiveUp, Retry, Snooze, current_run
from queuekit.errors import UnknownTask
from queuekit.failure import failure
from queuekit.job import SUSPECT_AFTER, Micros, Reason
from queuekit.lifecycle import Cancelled, Failed, Outcome, Released, Snoozed, Succeeded
from queuekit.log import log
from queuekit.options import Policy, micros
from queuekit.retry import matches
from queuekit.task import Task
from queuekit.worker.board import Board, Interruption, NotBegun, Run

UNKNOWN_TASK_SNOOZE: Final[Micros] = 30_000_000


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
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        board: Board,
        threads: int,
        isolation: Isolation | None,
        enqueued_at: "Callable[[Run], Any]",
    ) -> None:
        self._tasks = tasks
        self._board = board
        self._threads = Threads(threads)
        self._places = asyncio.Semaphore(threads)
        self._isolation = isolation
        self._enqueued_at = enqueued_at
        self._unknown: set[str] = set()

    async def run(self, run: Run) -> Outcome | None:
        """Run to the end; None if nothing is to be written, because the lease is lost."""
        claim = run.claim
        task = self._tasks.get(claim.task)
        if task is None:
            return await self._unknown_task(run)
        policy = task.policy.overlaid(json.loads(claim.extra)) if claim.extra else task.policy
        if claim.expires_in is not None and run.age() * 1_000_000 > claim.expires_in:
            return Failed(None, Reason.EXPIRED)
        try:
            run.check()
            if self._isolation and (claim.lapses >= SUSPECT_AFTER or task.executor == "process"):
                return await self._isolation.run(run, policy.timeout)
        except NotBegun:
            return _interrupted(run)
        return await self._call(run, task, policy)

    async def _call(self, run: Run, task: Task[..., Any], policy: Policy) -> Outcome | None:
        try:
            bound = task.arguments.load(run.claim.payload, task.upgrade)
        except Exception as error:  # noqa: BLE001  # an upgrade function may raise anything
            return Failed(failure(error, run.claim.attempt), Reason.INVALID)
        if task.context_parameter:
            bound[task.context_parameter] = Context(run)
        call = task.arguments.spread(bound)
        limit = policy.timeout
        current_run.set(run)
        try:
            if not task.is_async:
                value = await self._in_thread(run, task.function, call, limit)
            elif limit is None:
                run.interruptible = True
                value = await task.function(*call.args, **call.kwargs)
            else:
                run.time_out_after(limit)
                run.interruptible = True
                value = await _within(run, limit, task.function(*call.args, **call.kwargs))
        except BaseException as error:  # noqa: BLE001  # SystemExit of a task is its failure, not the worker's
            run.no_more_interrupts()
            return _raised(run, error, policy)
        if run.interruption is not None:
            run.no_more_interrupts()
            if run.interruption is Interruption.TIMED_OUT:
                return _raised(run, _timeout(policy), policy)
        run.interruptible = False
        try:
            return Succeeded(task.results.dump(value))
        except Exception as error:  # noqa: BLE001  # a validator of the result's type may raise anything
            return Failed(failure(error, run.claim.attempt), Reason.INVALID_RESULT)

    async def _in_thread(
        self, run: Run, function: Callable[..., Any], call: Call, limit: float | None
    ) -> Any:
        """A thread can't be killed: on a timeout or a cancel it is told, and its slot stays taken until it returns."""
        context = contextvars.copy_context()

        def work() -> Any:
            run.check()
            return context.run(function, *call.args, **call.kwargs)

        async with self._board.place(self._places, run):
            if limit is not None:
                run.time_out_after(limit)
            future = self._threads.submit(work)
            if limit is not None:
                await asyncio.wait([future], timeout=limit)
                if not future.done():
                    run.interrupt(Interruption.TIMED_OUT)
            return await asyncio.shield(future)

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


def _raised(run: Run, error: BaseException, policy: Policy) -> Outcome | None:
    match error:
        case NotBegun():
            return _interrupted(run)
        case Snooze():
            return Snoozed(error.delay)
        case Cancel():
            return Cancelled(error.reason)
        case asyncio.CancelledError() if run.interruption is None and run.slot.cancelling():
            raise error  # the slot itself is to end; else it is of something that the task awaited
        case _ if run.interruption not in {None, Interruption.TIMED_OUT}:
            return _interrupted(run)
        case Retry():
            return Failed(failure(error, run.claim.attempt), delay=error.delay)
        case GiveUp():
            return Failed(failure(error, run.claim.attempt), Reason.GAVE_UP)
        case _:
            return _failed(run, error, policy)


async def _within(run: Run, limit: float, work: Coroutine[Any, Any, Any]) -> Any:
    scope = None
    try:
        async with asyncio.timeout(limit) as scope:
            return await work
    except TimeoutError:
        if scope is not None and scope.expired():
            run.interruption = run.interruption or Interruption.TIMED_OUT
        raise


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
        delay = micros(max(0.0, policy.backoff(attempt, error)))
    except Exception:  # noqa: BLE001  # a backoff function of the user's own
        log.exception("the backoff function failed; trying again in 60 s", task=run.claim.task)
        delay = 60_000_000
    return Failed(text, timed_out=timed_out, delay=delay)


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


class Threads:
    """Daemon threads for sync tasks, made as needed: one that hangs does not keep the process from ending."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: list[threading.Thread] = []
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = 0
        """threads that wait for work, less the work that waits for a thread"""
        self._guard = threading.Lock()

    def submit(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Run it in a thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def item() -> None:
            try:
                value = work()
            except StopIteration as error:
                _tell(loop, _fail, future, RuntimeError(f"the task raised StopIteration({error})"))
            except BaseException as error:  # noqa: BLE001  # it is the task's, and goes to who awaits it
                _tell(loop, _fail, future, error)
            else:
                _tell(loop, _succeed, future, value)

        self._waiting.put(item)
        with self._guard:
            self._idle -= 1
            if self._idle < 0 and len(self._threads) < self._most:
                thread = threading.Thread(target=self._serve, name="queuekit-task", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def _serve(self) -> None:
        while True:
            with self._guard:
                self._idle += 1
            self._waiting.get()()


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *args: Any) -> None:
    """Call it on the loop, unless that has ended before the thread did."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(what, *args)


def _succeed(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
