"""Types whose own code fails."""

from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    PlainSerializer,
    field_validator,
)

from queuekit.errors import InvalidPayload
from tests.unit.typed import arguments_of, returned, sent


class Hostile(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def refuse(cls, n: int) -> int:
        raise RuntimeError("I don't like it")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def speechless(value: Any) -> Any:
    raise Unspeakable


class Incomparable:
    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("never ask")

    __hash__ = None  # type: ignore[assignment]


AnyIncomparable = Annotated[
    Any,
    BeforeValidator(
        lambda value: value if isinstance(value, Incomparable) else Incomparable(value)
    ),
    PlainSerializer(lambda value: value.n),
]


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (Hostile, {"n": 1}, "a validator failed: RuntimeError: I don't like it"),
        (Hostile, Hostile.model_construct(n=1), "a validator failed: RuntimeError"),
        (Annotated[int, AfterValidator(speechless)], 1, "a validator failed: Unspeakable: <its"),
        (Annotated[int, PlainSerializer(speechless)], 1, "can't be written as JSON"),
        (AnyIncomparable, Incomparable(1), "can't be compared with what arrives: never ask"),
    ],
)
@pytest.mark.parametrize("way", [sent, returned])
def test_code_of_a_type_that_fails_is_told(way: Any, hint: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidPayload, match=message) as error:
        way(hint, value)
    assert isinstance(error.value.__cause__, Exception)


def test_a_validator_that_fails_in_the_worker_is_told() -> None:
    with pytest.raises(InvalidPayload, match="a validator failed: RuntimeError") as error:
        arguments_of(Hostile).load('{"v":1,"a":{"value":{"n":1}}}')
    assert isinstance(error.value.__cause__, RuntimeError)


def test_a_type_whose_schema_fails_is_refused_at_once() -> None:
    class Odd:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
            raise RuntimeError("no schema today")

    with pytest.raises(InvalidPayload, match="can't store this type: no schema today"):
        arguments_of(Odd)
