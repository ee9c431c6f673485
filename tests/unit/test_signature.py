"""Annotations are evaluated wherever their names are known, and refused in our words where they are not."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional

import pytest
from pydantic import BaseModel

from queuekit.errors import InvalidOption
from queuekit.signature import is_async, signature_of

if TYPE_CHECKING:
    from decimal import Decimal


class User(BaseModel):
    id: int


def nested(users: list["User"], boss: Optional["User"] = None) -> dict[str, "User"]: ...  # type: ignore[empty-body]


def starred(*users: "User", **by_name: "User") -> None: ...


def annotated(user: Annotated["User", "whatever"]) -> None: ...


def quoted_twice(users: 'list["User"]') -> "None": ...


@pytest.mark.parametrize(
    ("function", "hints"),
    [
        (quoted_twice, [list[User], type(None)]),
        (nested, [list[User], User | None, dict[str, User]]),
        (starred, [User, User, type(None)]),
        (annotated, [Annotated[User, "whatever"], type(None)]),
        (functools.partial(nested, []), [User | None, dict[str, User]]),
        (functools.lru_cache(nested), [list[User], User | None, dict[str, User]]),
        (
            functools.wraps(nested)(lambda *a, **k: None),
            [list[User], User | None, dict[str, User]],
        ),
    ],
)
def test_quoted_types_are_what_they_name(function: Callable[..., Any], hints: list[Any]) -> None:
    signature = signature_of(function)
    found = [p.annotation for p in signature.parameters.values()]
    assert [*found, signature.return_annotation] == hints


def test_types_of_a_function_that_is_under_way_are_known() -> None:
    class Local: ...

    def inner() -> Any:
        def task(one: "list[Local]") -> None: ...

        return signature_of(task)

    assert inner().parameters["one"].annotation == list[Local]


def made() -> Callable[..., Any]:
    class Local: ...

    def task(one: "Local") -> Any:
        return Local, task

    return task


def test_types_of_a_function_that_has_ended_are_known_if_the_task_uses_them() -> None:
    task = made()
    assert signature_of(task).parameters["one"].annotation is task(None)[0]


def test_a_task_that_uses_itself_is_not_there_yet() -> None:
    found = []

    def note(function: Callable[..., Any]) -> Callable[..., Any]:
        found.append(signature_of(function))
        return function

    @note
    def task(n: "int") -> Any:
        return task

    assert found[0].parameters["n"].annotation is int


def test_an_object_that_is_called_has_the_signature_of_its_method() -> None:
    class Async:
        async def __call__(self, user: "User") -> int: ...  # type: ignore[empty-body]

    assert signature_of(Async()).parameters["user"].annotation is User
    assert is_async(Async())
    assert is_async(functools.partial(Async()))
    assert not is_async(nested)


def only_checked(amounts: list["Decimal"]) -> None: ...


def later(n: "Later") -> None: ...


def nonsense(n: Any) -> None: ...


nonsense.__annotations__["n"] = "5 5"


def no_attribute(n: "functools.nothing") -> None: ...  # type: ignore[name-defined]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (only_checked, r"only_checked: .*'amounts': 'Decimal' is not defined .*TYPE_CHECKING"),
        (nonsense, r"nonsense: annotation '5 5' of parameter 'n': it can't be evaluated"),
        (no_attribute, r"no_attribute: .*can't be evaluated: .*nothing"),
        (type, "does not tell its signature; write a function"),
        (max, "does not tell its signature; write a function"),
    ],
)
def test_what_can_not_be_evaluated_is_named(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message) as error:
        signature_of(function)
    assert error.value.__cause__ is not None


with pytest.raises(
    InvalidOption, match="'Later' is not defined where the task is; define it above"
):
    signature_of(later)


class Later: ...
