"""A job's key: a text, or what a function makes of the job's arguments."""

import inspect
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, TypeAlias

from queuekit.errors import InvalidOption
from queuekit.options import KeyFunction
from queuekit.signature import is_async

KEY_LIMIT = 255
KeyMaker: TypeAlias = Callable[[Mapping[str, Any]], str | None]
"""From checked arguments, as `Arguments.bind` gives them, to the key."""


def key_maker(where: str, key: str | KeyFunction, task: inspect.Signature) -> KeyMaker:
    """How the jobs of a task get their keys.

    Args:
        where: for messages.
        key: the option.
        task: what callers pass. A key function gets of it what its own parameters name, defaults included.

    Raises:
        InvalidOption: the text can be no key, or the function wants what the task does not take.
    """
    if isinstance(key, str):
        stored = _storable(where, key)
        return lambda _: stored
    parameters = _fitting(where, key, task)
    defaults = {
        p.name: p.default
        for p in task.parameters.values()
        if p.default is not inspect.Parameter.empty
    }

    def make(bound: Mapping[str, Any]) -> str | None:
        try:
            made = _call(key, parameters, {**defaults, **bound})
        except Exception as error:
            raise InvalidOption(
                f"{where}: the key function failed: {type(error).__name__}: {error}"
            ) from error
        return None if made is None else _storable(where, made)

    return make


def _fitting(
    where: str, key: KeyFunction, task: inspect.Signature
) -> tuple[inspect.Parameter, ...]:
    if is_async(key):
        raise InvalidOption(
            f"{where}: a key function is called without await; pass an ordinary one"
        )
    try:
        parameters = tuple(inspect.signature(key).parameters.values())
    except (TypeError, ValueError, NameError) as error:
        raise InvalidOption(
            f"{where}: Python does not tell the signature of {key!r}; pass a lambda that calls it as key="
        ) from error
    kinds = {p.kind for p in task.parameters.values()}
    for p in parameters:
        surplus = p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD} or p.default is not p.empty
        if not surplus and p.name not in task.parameters and p.VAR_KEYWORD not in kinds:
            raise InvalidOption(
                f"{where}: the key function wants {p.name!r}; what callers pass is {task}. "
                "It gets arguments by their names"
            )
    return parameters


def _call(
    key: KeyFunction, parameters: tuple[inspect.Parameter, ...], bound: dict[str, Any]
) -> Any:
    """Call it with what its parameters name; ``*`` and ``**`` take the rest of their kind."""
    named = {name: value for name, value in bound.items() if not name.startswith("*")}
    surplus: list[Any] = []
    for name, value in bound.items():
        if name.startswith("**"):
            named.update(value)
        elif name.startswith("*"):
            surplus = value
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for p in parameters:
        match p.kind:
            case p.VAR_POSITIONAL:
                args.extend(surplus)
            case p.VAR_KEYWORD:
                kwargs.update(named)
            case p.KEYWORD_ONLY:
                kwargs[p.name] = _taken(named, p)
            case _:
                args.append(_taken(named, p))
    return key(*args, **kwargs)


def _taken(named: dict[str, Any], parameter: inspect.Parameter) -> Any:
    value = named.pop(parameter.name, parameter.default)
    if value is parameter.empty:
        raise LookupError(f"it wants {parameter.name!r}, which this call does not pass")
    return value


def _storable(where: str, key: Any) -> str:
    try:
        data: bytes = key.encode() if isinstance(key, str) else b""
    except UnicodeEncodeError:
        data = b""
    if not data or b"\0" in data:
        raise InvalidOption(
            f"{where}: key={key!r}: a key is text, not empty, without NUL or lone surrogates"
        )
    return key if len(data) <= KEY_LIMIT else f"sha256:{sha256(data).hexdigest()}"
