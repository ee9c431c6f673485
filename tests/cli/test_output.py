"""What programs get: one document a line, whatever is in it."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, model_serializer

from queuekit.cli.output import emit


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError


class Closed(BaseModel):
    @model_serializer
    def refuse(self) -> str:
        raise RuntimeError


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@dataclass
class Looked:
    result: Any
    id: int = 1
    errors: list[Any] = field(default_factory=list)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (1, 1),
        (float("nan"), "NaN"),
        (b"ab", "YWI="),
        ("\ud800", "'\\ud800'"),
        ({"a": "\ud800", "b": 2}, {"a": "'\\ud800'", "b": 2}),
        ({"\ud800": 1}, {"\\ud800": 1}),
        (Closed(), "Closed()"),
        (Hostile(), "<Unserializable Hostile object>"),
        ([Looked(Closed())], [{"result": "Closed()", "id": 1, "errors": []}]),
    ],
)
def test_each_value_is_told(capsys: pytest.CaptureFixture[str], result: Any, shown: Any) -> None:
    emit(Looked(result))

    assert json.loads(capsys.readouterr().out) == {"result": shown, "id": 1, "errors": []}


@pytest.mark.parametrize(
    "result", [deep(100), *(deep(levels) for levels in range(240, 260)), deep(900), circle()]
)
def test_depth_does_not_matter(capsys: pytest.CaptureFixture[str], result: Any) -> None:
    emit(Looked(result))

    assert json.loads(capsys.readouterr().out)["id"] == 1
