"""Arguments and results, to JSON text and back."""

import dataclasses
import enum
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, field_validator

from queuekit.codec import Arguments, Call, Results
from queuekit.errors import InvalidOption, InvalidPayload, PayloadTooLarge

LIMIT = 1_000_000


def called(arguments: Arguments, payload: str) -> Call:
    return arguments.spread(arguments.load(payload))


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    x: float = 0.0
    raw: bytes = b""


@dataclasses.dataclass
class Point:
    raw: bytes
    x: float = 0.0


def everything(
    n: int,
    point: Point,
    model: Model,
    colour: Colour,
    at: datetime,
    one: UUID,
    path: Path,
    /,
    *rest: int,
    flag: bool = False,
    **more: float,
) -> None: ...


def loose(x: Any = 1, s: str = "", model: Model | None = None, y: float = 0.0) -> None: ...


def test_rich_types_round_trip() -> None:
    arguments = Arguments("everything", everything)
    given_args = (
        10**400,
        Point(b"\xff\x00", 1.5),
        Model(x=2.5),
        Colour.RED,
        datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
        uuid4(),
        Path("/tmp/x"),
        1,
        2,
    )

    payload = arguments.dump(arguments.bind(given_args, {"flag": True, "z": 1.5}), LIMIT)
    call = called(arguments, payload)

    assert call.args == given_args
    assert call.kwargs == {"flag": True, "z": 1.5}


def test_defaults_are_not_stored() -> None:
    arguments = Arguments("loose", loose)

    assert arguments.dump(arguments.bind((), {"s": "a"}), LIMIT) == '{"v":1,"a":{"s":"a"}}'


@pytest.mark.parametrize(
    ("value", "stored"),
    [(b"\xff\x00", '"_wA="'), (b"abc", '"YWJj"'), (1.5, "1.5"), (math.nan, None), (math.inf, None)],
)
def test_a_signature_without_models_has_the_same_rules(value: Any, stored: str | None) -> None:
    def of_bytes(x: bytes) -> None: ...
    def of_float(x: float) -> None: ...

    arguments = Arguments("simple", of_bytes if isinstance(value, bytes) else of_float)
    bound = arguments.bind((value,), {})
    if stored is None:
        with pytest.raises(InvalidPayload, match="is no JSON"):
            arguments.dump(bound, LIMIT)
    else:
        payload = arguments.dump(bound, LIMIT)
        assert payload == f'{{"v":1,"a":{{"x":{stored}}}}}'
        assert called(arguments, payload).kwargs == {"x": value}


@given(st.binary())
def test_bytes_round_trip(raw: bytes) -> None:
    def of_bytes(x: bytes, *more: bytes) -> None: ...

    arguments = Arguments("simple", of_bytes)
    assert called(arguments, arguments.dump(arguments.bind((raw, raw), {}), LIMIT)).args == (
        raw,
        raw,
    )
    assert Results("simple", bytes).load(Results("simple", bytes).dump(raw)) == raw


@given(st.integers())
def test_integers_of_any_size_round_trip(n: int) -> None:
    arguments = Arguments("loose", loose)

    assert called(arguments, arguments.dump(arguments.bind((n,), {}), LIMIT)).kwargs == {"x": n}


@given(st.text())
def test_text_round_trips_or_is_refused(text: str) -> None:
    arguments = Arguments("loose", loose)
    storable = "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)

    try:
        payload = arguments.dump(arguments.bind((), {"s": text}), LIMIT)
    except InvalidPayload:
        assert not storable
    else:
        assert storable
        assert called(arguments, payload).kwargs == {"s": text}


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"y": math.nan}, "y: NaN is no JSON"),
        ({"x": math.inf}, "x: Infinity is no JSON"),
        ({"x": [{"deep": -math.inf}]}, "x.0.deep: Infinity is no JSON"),
        ({"model": Model(x=math.nan)}, "model.x: NaN is no JSON"),
        ({"s": "a\0b"}, "s: NUL characters can't be stored"),
        ({"x": {"a\0": 1}}, "NUL characters can't be stored"),
        ({"s": "\ud800"}, "s: lone surrogates can't be stored"),
        ({"x": object()}, "x: can't be written as JSON"),
        ({"model": Model(raw=b"\xff")}, "model: can't be written as JSON"),
    ],
)
def test_what_json_does_not_have_is_refused(kwargs: dict[str, Any], message: str) -> None:
    arguments = Arguments("loose", loose)

    with pytest.raises(InvalidPayload, match=message):
        arguments.dump(arguments.bind((), kwargs), LIMIT)


@pytest.mark.parametrize("text", ["\\u0000", "NaN", "Infinity", 'quote " NaN'])
def test_text_that_looks_like_it_is_stored(text: str) -> None:
    arguments = Arguments("loose", loose)

    assert called(arguments, arguments.dump(arguments.bind((text,), {}), LIMIT)).kwargs == {
        "x": text
    }


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("x",), {}, "n: Input should be a valid integer"),
        ((), {}, "n: Field required"),
        ((1,), {"other": 2}, "other: Extra inputs are not permitted"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"n": 2}, "multiple values for argument 'n'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    def task(n: int, m: int = 0) -> None: ...

    with pytest.raises(InvalidPayload, match=message):
        Arguments("task", task).bind(args, kwargs)


def test_an_oversized_payload_is_refused_with_its_size() -> None:
    arguments = Arguments("loose", loose)

    with pytest.raises(PayloadTooLarge, match=r"220 bytes, over the limit of 100"):
        arguments.dump(arguments.bind(("é" * 100,), {}), 100)


def test_the_size_counts_bytes_not_characters() -> None:
    arguments = Arguments("loose", loose)
    bound = arguments.bind(("é" * 40,), {})

    with pytest.raises(PayloadTooLarge):
        arguments.dump(bound, 90)
    assert arguments.dump(bound, 120)


def test_upgrade_turns_old_arguments_into_new_ones() -> None:
    def old(to: str) -> None: ...
    def new(address: str, subject: str) -> None: ...

    payload = Arguments("mail", old).dump({"to": "ada"}, LIMIT)

    bound = Arguments("mail", new).load(
        payload, lambda old: {"address": old["to"], "subject": "hi"}
    )
    assert bound == {"address": "ada", "subject": "hi"}


class Corner(enum.Enum):
    TOP = (0, 1)


def test_upgrade_hands_on_what_is_stored() -> None:
    def old(raw: bytes, corner: Corner) -> None: ...
    def new(data: bytes, corner: Corner, n: Any) -> None: ...

    before = Arguments("task", old)
    payload = before.dump(before.bind((b"\xff", Corner.TOP), {}), LIMIT)

    for n in (1, {2}):
        bound = Arguments("task", new).load(
            payload,
            lambda old, n=n: {  # type: ignore[misc]
                "data": old["raw"],
                "corner": old["corner"] if n == 1 else Corner.TOP,
                "n": n,
            },
        )
        assert bound == {"data": b"\xff", "corner": Corner.TOP, "n": n}


def test_a_payload_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(InvalidPayload, match="upgrade queuekit"):
        Arguments("loose", loose).load('{"v":2,"a":{}}')


def test_a_payload_that_fits_no_longer_is_refused() -> None:
    def task(n: int) -> None: ...

    with pytest.raises(InvalidPayload, match="n: Input should be a valid integer"):
        Arguments("task", task).load('{"v":1,"a":{"n":"x"}}')


def test_an_annotation_that_is_not_importable_is_named() -> None:
    def task(n: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidOption, match="'Missing' is not defined"):
        Arguments("task", task)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 5),
        (None, None),
        (list[int], [1, 2]),
        (Point, Point(b"\xff")),
        (Model, Model(x=1)),
        (Path, Path("/a")),
        (Any, {"a": [1, None]}),
        (bytes, b"\x00\xff"),
    ],
)
def test_results_round_trip(hint: Any, value: Any) -> None:
    results = Results("task", hint)

    assert results.load(results.dump(value)) == value


def test_a_result_close_to_its_type_is_written_as_the_type() -> None:
    assert Results("task", list[int]).dump((1, 2)) == "[1,2]"


@pytest.mark.parametrize(("hint", "value"), [(int, "x"), (Any, object()), (float, math.nan)])
def test_results_that_can_not_be_stored_are_refused(hint: Any, value: Any) -> None:
    with pytest.raises(InvalidPayload, match="result of task 'task'"):
        Results("task", hint).dump(value)


def test_stored_arguments_are_shown_as_they_would_be_given() -> None:
    arguments = Arguments("everything", everything)
    given_args = (1, Point(b"a"), Model(), Colour.RED, datetime.now(UTC), uuid4(), Path("/a"), 2)

    bound = arguments.bind(given_args, {"flag": True, "z": 1.5})

    assert arguments.shown(arguments.dump(bound, LIMIT)) == bound
    assert bound["*rest"] == [2]
    assert bound["**more"] == {"z": 1.5}


DEEP = "[" * 100_000
HUGE = "9" * 5_000


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ('{"v":1,"a":{"n":"x"}}', {"n": "x"}),
        ('{"v":1,"a":{"m":1}}', {"m": 1}),
        ('{"v":2,"a":{"n":"x"}}', {"n": "x"}),
        ('{"v":1,"a":[1]}', {}),
        ('{"v":1,"a":', {}),
        ("[]", {}),
        ("", {}),
        ("null", {}),
        ("\ud800", {}),
        (f'{{"v":1,"a":{{"n":{HUGE}}}}}', {}),
        (f'{{"v":1,"a":{{"n":{DEEP}}}}}', {}),
    ],
)
def test_any_payload_can_be_shown(payload: str, shown: dict[str, Any]) -> None:
    def task(n: int) -> None: ...

    assert Arguments("task", task).shown(payload) == shown


class Hostile(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def refuse(cls, n: int) -> int:
        raise RuntimeError(n)


def test_a_validator_that_raises_anything_can_be_shown() -> None:
    def task(one: Hostile) -> None: ...

    assert Arguments("task", task).shown('{"v":1,"a":{"one":{"n":1}}}') == {"one": {"n": 1}}
    assert Results("task", Hostile).shown('{"n":1}') == {"n": 1}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"/a"', Path("/a")),
        ("5", 5),
        ('{"a":1}', {"a": 1}),
        ("", ""),
        ("1]", "1]"),
        (HUGE, HUGE),
        (DEEP, DEEP),
        ("\ud800", "\ud800"),
    ],
)
def test_any_result_can_be_shown(text: str, shown: Any) -> None:
    assert Results("task", Path).shown(text) == shown


def test_a_json_object_is_taken_as_it_is_written() -> None:
    text = '{"point": {"raw": "_w==", "x": 1}, "n" : 5}'

    def task(n: int, point: Point) -> None: ...

    bound, payload = Arguments("task", task).take(text, LIMIT)

    assert bound == {"n": 5, "point": Point(b"\xff", 1)}
    assert payload == f'{{"v":1,"a":{text}}}'


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ('{"x": NaN}', InvalidPayload, "x: NaN is no JSON"),
        ('{"x": -Infinity}', InvalidPayload, "x: Infinity is no JSON"),
        ('{"x": {"a\\u0000": 1}}', InvalidPayload, "NUL characters can't be stored"),
        ('{"x": "\ud800"}', InvalidPayload, "unable to parse raw data"),
        ('{"x": "\\ud800"}', InvalidPayload, "hex escape"),
        (f'{{"x": {HUGE}}}', InvalidPayload, "number out of range"),
        (f'{{"x": {DEEP}}}', InvalidPayload, "nested more than 199 deep"),
        ('{"z": 1}', InvalidPayload, "z: Extra inputs"),
        ("[]", InvalidPayload, "should be an object"),
        ('{"s": "' + "é" * 100 + '"}', PayloadTooLarge, "over the limit of 100"),
    ],
)
def test_a_json_object_that_can_not_be_stored_is_refused(
    text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Arguments("loose", loose).take(text, 100 if error is PayloadTooLarge else LIMIT)
