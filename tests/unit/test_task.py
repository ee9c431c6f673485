"""What can be a task, and what is refused where it is defined."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Optional

import pytest

from queuekit import Context, InvalidOption, InvalidPayload, Job, Queuekit
from queuekit.job import new_id


@pytest.fixture
def qk() -> Queuekit:
    return Queuekit("sqlite://")


async def add(x: int, kind: str = "a") -> str:
    return f"{x}{kind}"


class Adder:
    async def __call__(self, x: int) -> int:
        return x + 1

    def method(self, x: int) -> int:
        return x + 2

    @classmethod
    def of_class(cls, x: int) -> int:
        return x + 3

    @staticmethod
    async def static(x: int) -> int:
        return x + 4

    given = staticmethod(add)
    of_class_given: Any = classmethod(add)  # type: ignore[arg-type]


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("function", "args", "result"),
    [
        (functools.partial(add, 1), ("b",), "1b"),
        (functools.partial(add, kind="c"), (1,), "1c"),
        (lambda x: x, (5,), 5),
        (Adder(), (1,), 2),
        (Adder().method, (1,), 3),
        (Adder.of_class, (1,), 4),
        (Adder.static, (1,), 5),
        (Adder.__dict__["given"], (1,), "1a"),
        (str.upper, ("a",), "A"),
        ("a".__add__, ("b",), "ab"),
        (wrapped(add), (1,), "1a"),
    ],
)
async def test_what_can_be_called_can_be_a_task(
    qk: Queuekit, function: Any, args: tuple[Any, ...], result: Any
) -> None:
    task: Any = qk.task(name="task", max_attempts=1)(function)
    async with qk, qk.worker():
        assert await (await task.enqueue(*args)).result(timeout=50) == result


def several(n: int) -> Iterator[int]:
    yield n


async def several_later(n: int) -> AsyncIterator[int]:
    yield n


def two(a: Context, b: Context | None) -> None: ...


def starred(*contexts: Context) -> None: ...


def double_starred(**contexts: Context) -> None: ...


def context_or_number(ctx: Context | int) -> None: ...


def its_own_wrapper() -> None: ...


its_own_wrapper.__wrapped__ = its_own_wrapper  # type: ignore[attr-defined]


class Strange:
    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
        raise KeyError("strange")


def of_strange(one: Strange) -> None: ...


class Opaque: ...


def of_opaque(one: Opaque) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "email",
            r"'email' is no function; pass a function, and options by name, as @qk.task\(queue=",
        ),
        (Adder.__dict__["of_class_given"], r"is no function; .* task\(Class.method\)"),
        (Adder, r"test_task.Adder is a class; write a function that makes one"),
        (several, r"several yields, and a job has one result; return a list"),
        (functools.partial(several_later, 1), r"yields, .* return a list"),
        (Adder.method, r"Adder.method is a method, and a worker has no object .* staticmethod"),
        (two, "only one parameter may be annotated Context"),
        (starred, r"a Context is one parameter; annotate one without \* or \*\*"),
        (double_starred, "a Context is one parameter"),
        (context_or_number, "pydantic can't store this type: .*Context"),
        (of_strange, "pydantic can't store this type: .*strange"),
        (of_opaque, "pydantic can't store this type: .*Opaque"),
        (max, "Python does not tell its signature"),
        (its_own_wrapper, "Python does not tell its signature"),
    ],
)
def test_what_can_not_be_a_task_is_refused(qk: Queuekit, function: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        qk.task(name="task")(function)
    assert not qk.tasks


@pytest.mark.parametrize("function", [functools.partial(add, 1), lambda x: x, Adder()])
def test_who_has_no_name_needs_one(qk: Queuekit, function: Any) -> None:
    with pytest.raises(InvalidOption, match="has no name that a task can have; pass name="):
        qk.task(function)


def test_a_method_is_refused_in_its_class(qk: Queuekit) -> None:
    with pytest.raises(InvalidOption, match=r"Mailer.send is a method"):

        class Mailer:
            @qk.task
            def send(self, to: str) -> None: ...


def test_a_static_method_is_a_task_of_its_class(qk: Queuekit) -> None:
    class Mailer:
        @staticmethod
        @qk.task
        def inner(to: str) -> str:
            return to

        @qk.task
        @staticmethod
        def outer(to: str) -> str:
            return to

    assert Mailer().inner("a") == Mailer.inner("a") == "a"
    assert Mailer().outer("a") == Mailer.outer("a") == "a"
    assert isinstance(Mailer.inner.job("a"), Job)
    assert isinstance(Mailer.outer.job("a"), Job)


def test_a_task_is_made_once(qk: Queuekit) -> None:
    task = qk.task(add)
    with pytest.raises(
        InvalidOption, match=r"<Task 'add' .*> is a task already; pass its function"
    ):
        qk.task(name="again")(task)
    qk.task(name="again")(task.function)
    assert sorted(qk.tasks) == ["add", "again"]


def test_names_are_text_and_taken_once(qk: Queuekit) -> None:
    with pytest.raises(InvalidOption, match="name=5"):
        qk.task(name=5)(add)  # type: ignore[call-overload]
    qk.task(name="first", aliases=["first", "old"])(add)
    partly: Any = functools.partial(add, 1)
    with pytest.raises(
        InvalidOption, match=r"'old' is taken by .*test_task.add; pass another name="
    ):
        qk.task(name="second", aliases=["other", "old"])(partly)
    assert sorted(qk.tasks) == ["first", "old"], "nothing of what is refused stays"
    qk.task(name="partial")(partly)
    with pytest.raises(InvalidOption, match=r"'partial' is taken by functools.partial"):
        qk.task(name="partial")(add)


# Calls and jobs


def test_a_task_called_here_and_now_is_its_function(qk: Queuekit) -> None:
    @qk.task
    def half(n: int) -> float:
        """Of a number."""
        return n / 2

    assert half(5) == 2.5
    assert half.__doc__ == "Of a number."
    assert repr(half) == "<Task 'half' on queue 'default'>"


def test_a_job_has_the_tasks_options_its_payload_and_an_id_of_its_own(qk: Queuekit) -> None:
    task = qk.task(queue="mail", priority=3)(add)
    first, second = task.job(1), task.job(1, kind="b")
    assert (first.task, first.options.queue, first.options.priority) == ("add", "mail", 3)
    assert (first.payload, second.payload) == (
        '{"v":1,"a":{"x":1}}',
        '{"v":1,"a":{"x":1,"kind":"b"}}',
    )
    assert first.id != second.id
    assert first.fresh


def test_options_of_one_call_leave_the_task_as_it_is(qk: Queuekit) -> None:
    task = qk.task(queue="mail", priority=3)(add)
    mine = new_id()
    other = task.with_options(priority=5).with_options(id=mine)
    job = other.job(1)
    assert (job.id, job.fresh) == (mine, False)
    assert (job.options.queue, job.options.priority) == ("mail", 5)
    assert (task.job(1).options.priority, task.job(1).fresh) == (3, True)
    assert (other.queue, repr(other)) == ("mail", "<Task 'add' on queue 'mail'>")


def test_arguments_may_come_as_json(qk: Queuekit) -> None:
    task = qk.task(key=lambda x: f"k{x}")(add)
    job = task.job_of_json('{"x": 1}')
    assert (job.payload, job.key) == ('{"v":1,"a":{"x": 1}}', "k1")
    with pytest.raises(InvalidPayload, match="x"):
        task.job_of_json('{"x": "one"}')


def test_a_task_is_enqueued_from_code_without_an_event_loop(qk: Queuekit) -> None:
    task = qk.task(queue="mail")(add)
    try:
        handle = task.enqueue_sync(1)
    finally:
        qk.close_sync()
    assert (handle.queue, handle.deduplicated) == ("mail", False)


# Contexts


async def before_others(ctx: Context, *numbers: int) -> Any:
    return [ctx.attempt, sum(numbers)]


async def positional_only(ctx: Context, /, number: int) -> Any:
    return [ctx.attempt, number]


async def after_a_default(number: int = 2, ctx: Context | None = None, /, *rest: int) -> Any:
    return [ctx and ctx.attempt, number]


async def quoted(ctx: "Context", number: int) -> Any:
    return [ctx.attempt, number]


async def optional(number: int, ctx: Optional["Context"] = None) -> Any:
    return [ctx and ctx.attempt, number]


async def annotated(number: int, *, ctx: Annotated[Context | None, "mine"]) -> Any:
    return [ctx and ctx.attempt, number]


def in_a_thread(ctx: Context, number: int) -> Any:
    return [ctx.attempt, number]


CONTEXTS: list[tuple[Any, tuple[int, ...], int]] = [
    (before_others, (1, 2), 3),
    (positional_only, (3,), 3),
    (after_a_default, (), 2),
    (quoted, (3,), 3),
    (optional, (3,), 3),
    (annotated, (3,), 3),
    (in_a_thread, (3,), 3),
]


@pytest.mark.parametrize(("function", "args", "number"), CONTEXTS)
async def test_a_context_is_filled_in_wherever_it_stands(
    qk: Queuekit, function: Any, args: tuple[int, ...], number: int
) -> None:
    task: Any = qk.task(max_attempts=1)(function)
    async with qk, qk.worker():
        assert await (await task.enqueue(*args)).result(timeout=50) == [1, number]


@pytest.mark.parametrize(("function", "args", "number"), CONTEXTS)
async def test_a_task_that_calls_another_passes_its_own_context(
    qk: Queuekit, function: Any, args: tuple[int, ...], number: int
) -> None:
    task: Any = qk.task(function)

    @qk.task(max_attempts=1)
    async def outer() -> Any:
        found = task(*args)
        return await found if inspect.isawaitable(found) else found

    async with qk, qk.worker():
        assert await (await outer.enqueue()).result(timeout=50) == [1, number]


@pytest.mark.parametrize(("function", "args", "number"), CONTEXTS)
async def test_called_where_no_job_runs_a_context_has_its_default_or_is_missed(
    qk: Queuekit, function: Any, args: tuple[int, ...], number: int
) -> None:
    task: Any = qk.task(function)
    if function in {after_a_default, optional}:
        assert await task(*args) == [None, number]
    else:
        with pytest.raises(
            LookupError, match=r"takes a Context, and no job is running .*`function`"
        ):
            await task(*args)


async def test_a_context_of_ones_own_goes_to_the_function(qk: Queuekit) -> None:
    task: Any = qk.task(quoted)
    with pytest.raises(TypeError, match=r"callers pass \(number: int\) .*Context is filled in"):
        await task(object(), 3)
    with pytest.raises(TypeError, match="missing a required argument: 'number'"):
        await task()
    assert str(inspect.signature(task)) == "(number: int) -> Any"


def test_a_task_gives_a_coroutine_that_may_become_an_asyncio_task(qk: Queuekit) -> None:
    task = qk.task(add)
    assert asyncio.run(task(1)) == "1a"


# Arguments left out


async def loose(a: int = 1, b: int = 2, *, c: int = 3) -> list[int]:
    return [a, b, c]


async def test_a_default_that_is_left_out_keeps_its_place(qk: Queuekit) -> None:
    task = qk.task(loose)
    async with qk, qk.worker():
        assert await (await task.enqueue(b=5)).result(timeout=50) == [1, 5, 3]


# Keys


async def surplus(first: int, *rest: int, last: int = 0, **more: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "key", "args", "kwargs", "made"),
    [
        (add, lambda x, kind: f"{x}{kind}", (1,), {}, "1a"),
        (add, lambda x: f"{x}", (1,), {"kind": "b"}, "1"),
        (add, lambda **all_of_them: str(sorted(all_of_them)), (1,), {}, "['kind', 'x']"),
        (add, lambda kind, x, **_: f"{kind}{x}", (1,), {}, "a1"),
        (add, lambda: "one", (1,), {}, "one"),
        (add, lambda x, other="d": f"{x}{other}", (1,), {}, "1d"),
        (add, lambda x: None, (1,), {}, None),
        (quoted, lambda number: f"{number}", (7,), {}, "7"),
        (surplus, lambda first, *rest: f"{first}{rest}", (1, 2, 3), {}, "1(2, 3)"),
        (surplus, lambda *, last, **more: f"{last}{more}", (1,), {"m": 5}, "0{'first': 1, 'm': 5}"),
        (surplus, lambda first, m: f"{first}{m}", (1,), {"m": 5}, "15"),
    ],
)
def test_a_key_function_gets_the_arguments_that_it_names(
    qk: Queuekit, function: Any, key: Any, args: Any, kwargs: Any, made: str | None
) -> None:
    assert qk.task(key=key)(function).job(*args, **kwargs).key == made


async def coroutine(x: int) -> str: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "key='': a key is text"),
        ("a\0b", "a key is text"),
        (
            lambda y: y,
            r"the key function wants 'y'; what callers pass is \(number: int\).*by their names",
        ),
        (lambda ctx, number: number, "the key function wants 'ctx'"),
        (coroutine, "a key function is called without await"),
        (max, "Python does not tell the signature .* pass a lambda"),
    ],
)
def test_a_key_that_can_not_be_is_refused_where_it_is_written(
    qk: Queuekit, key: Any, message: str
) -> None:
    with pytest.raises(InvalidOption, match=message):
        qk.task(key=key)(quoted)
    task = qk.task(quoted)
    with pytest.raises(InvalidOption, match=message):
        task.with_options(key=key)


@pytest.mark.parametrize(
    ("key", "message", "cause"),
    [
        (lambda x: x, "key=1: a key is text", None),
        (lambda x: "", "key='': a key is text", None),
        (
            lambda x: [][x],
            "the key function failed: IndexError: list index out of range",
            IndexError,
        ),
        (
            lambda gone: gone,
            "the key function failed: .*wants 'gone', which this call does not",
            LookupError,
        ),
    ],
)
def test_a_key_function_that_makes_none_is_told(
    qk: Queuekit, key: Any, message: str, cause: type[Exception] | None
) -> None:
    async def task(x: int, **more: int) -> None: ...

    with pytest.raises(InvalidOption, match=f"task 'task': {message}") as error:
        qk.task(key=key)(task).job(1)
    assert type(error.value.__cause__) is (cause or type(None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backoff": lambda: 1}, "a backoff function is called with attempt and error"),
        ({"backoff": coroutine}, "a backoff function is called without await"),
        ({"upgrade": lambda: None}, "an upgrade function is called with the stored arguments"),
        ({"upgrade": 5}, "upgrade=5: .*an upgrade function is a function, called with the stored"),
    ],
)
def test_functions_that_can_not_be_called_are_refused(
    qk: Queuekit, options: Any, message: str
) -> None:
    with pytest.raises(InvalidOption, match=message):
        qk.task(**options)(add)


def test_a_connection_does_not_travel_with_a_job(qk: Queuekit) -> None:
    task = qk.task(add).with_options(connection=object())
    with pytest.raises(
        InvalidOption, match="connection= does not travel with a job; pass it to enqueue_many"
    ):
        task.job(1)


@pytest.mark.parametrize(
    "option", [{"name": "other"}, {"executor": "process"}, {"aliases": ["a"]}, {"upgrade": dict}]
)
def test_what_belongs_on_the_decorator_is_refused_for_one_call(qk: Queuekit, option: Any) -> None:
    task = qk.task(add)
    (name,) = option
    with pytest.raises(
        InvalidOption, match=f"task 'add'.with_options: {name}: on the decorator alone"
    ):
        task.with_options(**option)
