"""Random types and values: what is taken arrives equal, and what must be taken is; the rest is refused."""

import dataclasses
import enum
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union
from uuid import UUID

import pydantic.dataclasses
import pytest
from hypothesis import HealthCheck, given, reject, settings, strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    ConfigDict,
    Field,
    PydanticUserError,
    SecretStr,
    ValidationError,
    computed_field,
    create_model,
)
from typing_extensions import TypedDict

from queuekit.codec import Arguments, Results
from queuekit.difference import difference
from queuekit.errors import InvalidPayload

LIMIT = 10_000_000


class Typed(NamedTuple):
    """A type, values of it, and whether each of them must be taken."""

    hint: Any
    values: SearchStrategy[Any]
    taken: bool = True


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Corner(enum.Enum):
    TOP = (0, 1)
    BOTTOM = (1, 0)


class Code(enum.Enum):
    ONE = 1
    TEXT = "1"
    HALF = 0.5
    BYTES = b"\xff"


class Bits(enum.IntFlag):
    A = 1
    B = 2
    C = 4


class Pair(NamedTuple):
    left: int
    right: Decimal | None = None


storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
minutes = st.integers(-1_439, 1_439).map(lambda n: timezone(timedelta(minutes=n)))
seconds = st.integers(-86_399, 86_399).map(lambda n: timezone(timedelta(seconds=n)))
json_values: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | storable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable, inner, max_size=3),
    max_leaves=5,
)
others = st.one_of(
    st.binary(max_size=3),
    st.dates(),
    st.tuples(st.integers()),
    st.sampled_from([Colour.RED, Bits.A, Pair(1), Decimal(1), UUID(int=1), {1}, {1: 2}, object()]),
)

HASHABLE = [
    Typed(int, st.integers() | st.sampled_from([2**64, -(2**63) - 1, 10**40])),
    Typed(str, storable),
    Typed(bool, st.booleans()),
    Typed(float, finite),
    Typed(bytes, st.binary(max_size=8)),
    Typed(UUID, st.uuids()),
    Typed(date, st.dates()),
    Typed(Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    Typed(PurePosixPath, storable.map(PurePosixPath)),
    Typed(Colour, st.sampled_from(Colour)),
    Typed(Corner, st.sampled_from(Corner)),
    Typed(Code, st.sampled_from(Code)),
    Typed(Bits, st.integers(0, 7).map(Bits)),
    Typed(Literal["a", "b"], st.sampled_from(["a", "b"])),
    Typed(int | str | None, st.integers() | storable | st.none()),
    Typed(bool | int | float, st.booleans() | st.integers() | finite),
]
DOUBTFUL = [
    Typed(str, st.text(max_size=4), taken=False),
    Typed(float, st.floats(), taken=False),
    Typed(Decimal, st.decimals(), taken=False),
    Typed(datetime, st.datetimes(timezones=st.none() | seconds), taken=False),
    Typed(time, st.times(timezones=st.none() | seconds), taken=False),
    Typed(Any, json_values | others, taken=False),
    Typed(SecretStr, storable.map(SecretStr), taken=False),
    Typed(datetime | str, st.datetimes() | st.datetimes().map(str) | storable, taken=False),
    Typed(bytes | str, st.binary(max_size=4) | storable, taken=False),
    Typed(Literal[1, "1", Colour.RED], st.sampled_from([1, "1", Colour.RED]), taken=False),
]
SINGLE = [
    *HASHABLE,
    *DOUBTFUL,
    Typed(None, st.none()),
    Typed(datetime, st.datetimes(timezones=st.none() | minutes)),
    Typed(time, st.times(timezones=st.none() | minutes)),
    Typed(timedelta, st.timedeltas()),
    Typed(Pair, st.builds(Pair, st.integers(), st.none() | st.just(Decimal("1.10")))),
    Typed(Any, json_values),
    Typed(dict[str, Any], st.dictionaries(storable, json_values, max_size=3)),
    Typed(Annotated[int, AfterValidator(lambda n: n * 100)], st.integers(), taken=False),
]
ALIASES: list[Callable[[int], dict[str, Any]]] = [
    lambda _: {},
    lambda i: {"alias": f"nameOf{i}"},
    lambda i: {"alias": f"f{(i + 1) % 2}"},
    lambda i: {"validation_alias": f"read{i}"},
    lambda i: {"serialization_alias": f"written{i}"},
    lambda i: {"validation_alias": f"read{i}", "serialization_alias": f"written{i}"},
    lambda i: {"validation_alias": AliasChoices(f"one{i}", f"other{i}")},
    lambda i: {"validation_alias": AliasPath(f"outer{i}", 0)},
]


@st.composite
def lists(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    one = draw(inner)
    return Typed(list[one.hint], st.lists(one.values, max_size=3), one.taken)  # type: ignore[name-defined]


@st.composite
def sets(draw: DrawFn) -> Typed:
    one = draw(st.sampled_from(HASHABLE))
    # 1 and True are one element, and which of them stays is chance.
    hint: Any = draw(st.sampled_from([set, frozenset]))
    return Typed(hint[one.hint], st.frozensets(one.values, max_size=3).map(hint), taken=False)


@st.composite
def dicts(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    key, one = draw(st.sampled_from(HASHABLE)), draw(inner)
    taken = one.taken and key.hint in {int, str, bytes, UUID, date, Colour}
    values = st.dictionaries(key.values, one.values, max_size=3)
    return Typed(dict[key.hint, one.hint], values, taken)  # type: ignore[name-defined]


@st.composite
def tuples(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    ones = draw(st.lists(inner, min_size=1, max_size=3))
    hint = tuple.__class_getitem__(tuple(one.hint for one in ones))
    return Typed(hint, st.tuples(*(one.values for one in ones)), all(one.taken for one in ones))


@st.composite
def unions(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    one, other = draw(inner), draw(inner)
    # The operator does not know all of them.
    return Typed(Union[one.hint, other.hint], one.values | other.values, taken=False)  # noqa: UP007


@st.composite
def optionals(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    one = draw(inner)
    return Typed(Optional[one.hint], one.values | st.none(), taken=False)  # noqa: UP045


@st.composite
def typed_dicts(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    ones = draw(st.lists(inner, min_size=1, max_size=3))
    total = draw(st.booleans())
    make: Any = TypedDict
    hint = make("Shape", {f"f{i}": one.hint for i, one in enumerate(ones)}, total=total)
    parts = {f"f{i}": one.values for i, one in enumerate(ones)}
    values = st.fixed_dictionaries(parts) if total else st.fixed_dictionaries({}, optional=parts)
    return Typed(hint, values, all(one.taken for one in ones))


@st.composite
def data_classes(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    ones = draw(st.lists(inner, min_size=1, max_size=3))
    fields: list[Any] = [(f"f{i}", one.hint) for i, one in enumerate(ones)]
    if draw(st.booleans()):
        fields.append(("made", list[int], dataclasses.field(init=False, default_factory=list)))
    kind: Any = dataclasses.make_dataclass(
        "Record", fields, slots=draw(st.booleans()), kw_only=draw(st.booleans())
    )
    if draw(st.booleans()):
        config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
        kind = pydantic.dataclasses.dataclass(kind, config=config)
    return Typed(kind, _built(kind, ones), all(one.taken for one in ones))


@st.composite
def models(draw: DrawFn, inner: SearchStrategy[Typed]) -> Typed:
    ones = draw(st.lists(inner, min_size=1, max_size=3))
    config = ConfigDict(
        extra=draw(st.sampled_from(["allow", "forbid", "ignore"])),
        populate_by_name=draw(st.booleans()),
        serialize_by_alias=draw(st.booleans()),
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )
    names = [draw(st.sampled_from(ALIASES))(i) for i, _ in enumerate(ones)]
    fields: Any = {
        f"f{i}": (one.hint, Field(**name))
        for i, (one, name) in enumerate(zip(ones, names, strict=True))
    }
    ambiguous = any(name.get("alias") in fields for name in names)
    try:
        base: Any = create_model("Base", __config__=config, **fields)
    except PydanticUserError:  # init=False within extra="allow"
        reject()
    kind = _with_a_computed_field(base) if draw(st.booleans()) else base

    def build(**parts: Any) -> Any:
        return kind.model_validate(parts, by_name=True, by_alias=False)

    taken = not ambiguous and all(one.taken for one in ones)
    return Typed(kind, _built(build, ones), taken)


def _with_a_computed_field(base: Any) -> Any:
    class Computing(base):  # type: ignore[misc]
        @computed_field  # type: ignore[prop-decorator]
        @property
        def names(self) -> list[str]:
            return sorted(type(self).model_fields)

    return Computing


def _built(build: Callable[..., Any], ones: list[Typed]) -> SearchStrategy[Any]:
    parts = {f"f{i}": one.values for i, one in enumerate(ones)}
    return st.fixed_dictionaries(parts).map(lambda parts: _call(build, parts))


def _call(build: Callable[..., Any], parts: dict[str, Any]) -> Any:
    try:
        return build(**parts)
    except ValidationError:
        return reject()


typed = st.recursive(
    st.sampled_from(SINGLE) | sets(),
    lambda inner: st.one_of(
        lists(inner),
        dicts(inner),
        tuples(inner),
        unions(inner),
        optionals(inner),
        typed_dicts(inner),
        data_classes(inner),
        models(inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.parametrize("way", ["argument", "result"])
def test_what_is_taken_arrives(way: str, data: st.DataObject) -> None:
    one = data.draw(typed)
    value = data.draw(one.values)

    def task(value: Any) -> Any: ...

    task.__annotations__["value"] = one.hint
    arguments, results = Arguments("task", task), Results("task", one.hint)
    try:
        read = arguments.bind((value,), {})
        if way == "argument":
            back = arguments.load(arguments.dump(read, LIMIT))
        else:
            back = {"value": results.load(results.dump(value))}
    except InvalidPayload:
        if one.taken:
            raise
    else:
        assert back == read
        assert difference(read["value"], back["value"]) is None
