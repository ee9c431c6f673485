"""Whatever a task raised, its attempt has a text."""

import json
from typing import Any

import pytest

from queuekit.failure import failure, printable


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__qualname__":
            raise SystemExit(3)
        return super().__getattribute__(name)


class Mute(Exception):
    def __str__(self) -> str:
        raise GeneratorExit


class NoText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


class Odd(str):
    __slots__ = ()

    def replace(self, *args: Any) -> Any:
        raise KeyError


class OddText(Exception):
    def __str__(self) -> str:
        return Odd("odd")


class Nameless(Exception, metaclass=Meta):
    pass


class Noted(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise KeyboardInterrupt


def cycle() -> Exception:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    return ExceptionGroup("both", [first, second])


def deep(depth: int) -> BaseException:
    error: BaseException = ValueError("inside")
    for _ in range(depth):
        error = BaseExceptionGroup[Any]("group", [error])
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("plain"), "ValueError", "plain"),
        (Mute(), "Mute", "<its message can't be shown: __str__ failed>"),
        (NoText(), "NoText", "<its message can't be shown: __str__ failed>"),
        (OddText(), "OddText", "odd"),
        (Nameless("x"), "<an error without a name>", "x"),
        (Noted("x"), "Noted", "x"),
        (cycle(), "ExceptionGroup", "both (2 sub-exceptions)"),
        (deep(5_000), "ExceptionGroup", "group (1 sub-exception)"),
        (GeneratorExit(), "GeneratorExit", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_that_can_not_be_looked_at_is_told_all_the_same(
    error: BaseException, kind: str, message: str
) -> None:
    fields = json.loads(failure(error, 1))
    assert (fields["type"], fields["message"]) == (kind, message)
    assert fields["traceback"]


def test_a_failure_is_storable_whatever_its_text() -> None:
    text = failure(ValueError("a\0b\ud800" + "x" * 5000), 2)

    assert "\\u0000" not in text
    assert len(text) < 10_000
    assert json.loads(text)["attempt"] == 2


@pytest.mark.parametrize(
    ("given", "text"),
    [("a\0\ud800", "a\\0\\ud800"), (5, "5"), (Odd("x"), "x"), ("x" * 5000, "x" * 2000)],
)
def test_any_object_has_a_text_that_can_be_stored(given: object, text: str) -> None:
    assert printable(given) == text
