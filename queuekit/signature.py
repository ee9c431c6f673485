"""What a function's signature says, with its annotations evaluated; and which functions can be no task."""

import contextlib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from queuekit.errors import InvalidOption


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """A function's signature, with every annotation evaluated, quoted and nested ones, too.

    Raises:
        InvalidOption: an annotation can't be evaluated, or Python does not know the signature.
    """
    try:
        signature = inspect.signature(function)
    except NameError as error:  # of annotations that Python 3.14 evaluates only when asked
        raise InvalidOption(f"{described(function)}: {_unknown(error)}") from error
    except (TypeError, ValueError) as error:
        raise InvalidOption(
            f"{described(function)}: Python does not tell its signature; write a function that calls it"
        ) from error
    known = _Names(function)
    return signature.replace(
        parameters=[
            p.replace(annotation=known.evaluated(f"parameter {p.name!r}", p.annotation))
            for p in signature.parameters.values()
        ],
        return_annotation=known.evaluated("the result", signature.return_annotation),
    )


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine: of a coroutine function, a partial or a callable object made of one."""
    return _is(inspect.iscoroutinefunction, function)


def refuse_unfit(function: Any) -> None:
    """Raise `InvalidOption` for what can't be run as a task, whatever its signature."""
    if not callable(function):
        why = (
            "pass the class's own attribute once the class is made, as task(Class.method)"
            if isinstance(function, classmethod)
            else 'pass a function, and options by name, as @qk.task(queue="email")'
        )
        raise InvalidOption(f"{function!r} is no function; {why}")
    if isinstance(function, type):
        raise InvalidOption(f"{described(function)} is a class; write a function that makes one")
    if _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function):
        raise InvalidOption(
            f"{described(function)} yields, and a job has one result; return a list instead"
        )
    if _is_method(function):
        raise InvalidOption(
            f"{described(function)} is a method, and a worker has no object to call it on; "
            "make it a function or a staticmethod, or pass a method of an object that every worker has"
        )


def refuse_uncallable(what: str, function: Any, *arguments: str, awaited: bool = False) -> None:
    """Raise `ValueError` if it can't be called with so many arguments, or gives a coroutine that nobody awaits."""
    how = f"with {' and '.join(arguments)}" if arguments else "without arguments"
    if not callable(function):
        raise ValueError(f"{what} is a function, called {how}")  # noqa: TRY004
    if is_async(function) and not awaited:
        raise ValueError(f"{what} is called without await; pass an ordinary function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError, NameError):
        return  # of C, or with annotations that are not known yet: calling it will tell
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ValueError(f"{what} is called {how}") from None


def described(function: Any) -> str:
    """How messages call a function."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(function)


class _Names:
    """What the names in a function's annotations mean: in its module, and in the functions under way around it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        written = _written(function)
        self._function = function
        self._globals: dict[str, Any] = getattr(written, "__globals__", {})
        variables = {p.__name__: p for p in getattr(written, "__type_params__", ())}
        self._locals = {**_locals_around(self._globals), **_enclosed(written), **variables}

    def evaluated(self, what: str, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return annotation
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            hints = typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)
        except Exception as error:
            why = (
                _unknown(error)
                if isinstance(error, NameError)
                else f"it can't be evaluated: {error}"
            )
            raise InvalidOption(
                f"{described(self._function)}: annotation {annotation!r} of {what}: {why}"
            ) from error
        return hints["it"]


def _unknown(error: NameError) -> str:
    return (
        f"{error.name!r} is not defined where the task is; define it above the task, "
        "and import it at run time, not only under TYPE_CHECKING"
    )


def _locals_around(module: Mapping[str, Any]) -> dict[str, Any]:
    """Local names of this module's functions that are under way: types defined in them are known nowhere else."""
    found: dict[str, Any] = {}
    frame = sys._getframe()  # noqa: SLF001  # the public ways to it read source files
    while frame is not None:
        if frame.f_globals is module and frame.f_locals is not module:
            found = {**frame.f_locals, **found}
        frame = frame.f_back  # type: ignore[assignment]
    return found


def _enclosed(function: Any) -> dict[str, Any]:
    """What it uses of a function around it that has ended."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    unfilled = types.CellType()
    return {
        name: cell.cell_contents
        for name, cell in zip(names, cells, strict=True)
        if cell != unfilled
    }


def _written(function: Any) -> Any:
    """The function whose source has the annotations: behind decorators, partials, methods and callable objects."""
    with contextlib.suppress(ValueError):  # of functions that wrap themselves
        function = inspect.unwrap(function)
    match function:
        case functools.partial():
            return _written(function.func)
        case types.MethodType():
            return _written(function.__func__)
        case types.FunctionType() | types.BuiltinFunctionType() | type():
            return function
        case _:
            return _call_of(function)


def _is(kind: Callable[[Any], bool], function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return kind(function) or kind(_call_of(function))


def _call_of(called: Any) -> Any:
    """What runs when an object is called."""
    return inspect.getattr_static(type(called), "__call__", None)


def _is_method(function: Any) -> bool:
    """Whether it is written in a class and takes the object: by custom its first parameter is self or cls."""
    written = _written(function) if isinstance(function, types.FunctionType) else None
    if not isinstance(written, types.FunctionType):
        return False
    owner = written.__qualname__.rpartition(".")[0]
    first = written.__code__.co_varnames[: min(written.__code__.co_argcount, 1)]
    return bool(owner) and not owner.endswith("<locals>") and first in {("self",), ("cls",)}
