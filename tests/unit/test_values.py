"""What arrives as it was sent, and what is refused because it would not."""

import dataclasses
import enum
import ipaddress
import re
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pydantic.dataclasses
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FutureDatetime,
    Json,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    SecretBytes,
    SecretStr,
    Tag,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from queuekit.codec import Arguments, Results
from queuekit.difference import difference
from queuekit.errors import InvalidPayload

LIMIT = 1_000_000
T = TypeVar("T")


def arguments_of(hint: Any) -> Arguments:
    def task(value: Any) -> None: ...

    task.__annotations__["value"] = hint
    return Arguments("task", task)


def sent(hint: Any, value: Any) -> Any:
    """An argument as the task gets it."""
    arguments = arguments_of(hint)
    payload = arguments.dump(arguments.bind((value,), {}), LIMIT)
    return arguments.load(payload)["value"]


def returned(hint: Any, value: Any) -> Any:
    """A result as `result()` gives it."""
    results = Results("task", hint)
    return results.load(results.dump(value))


class Alias(BaseModel):
    user_id: int = Field(alias="userId")


class ValidationAlias(BaseModel):
    user_id: int = Field(validation_alias="userId")


class SerializationAlias(BaseModel):
    user_id: int = Field(serialization_alias="userId")


class BothAliases(BaseModel):
    user_id: int = Field(validation_alias="in", serialization_alias="out")


class Choices(BaseModel):
    user_id: int = Field(validation_alias=AliasChoices("userId", "id"))


class InPath(BaseModel):
    user_id: int = Field(validation_alias=AliasPath("user", "ids", 0))


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    user_id: int
    inner: Alias


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    user_id: int = Field(alias="userId")


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: int = Field(alias="a")


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    width: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def area(self) -> int:
        return self.width**2

    @cached_property
    def half(self) -> float:
        return self.width / 2


class Patch(BaseModel):
    name: str | None = None
    age: int | None = None


class Stamped(BaseModel):
    id: UUID = Field(default_factory=uuid4)
    name: str = "x"


class Excluded(BaseModel):
    name: str
    note: str = Field(default="", exclude=True)


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class Private(BaseModel):
    name: str
    _seen: int = PrivateAttr(default=0)

    def look(self) -> "Private":
        self._seen += 1
        return self


class Locked(BaseModel):
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


class Secretive(BaseModel):
    name: str
    password: SecretStr


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)

    n: int


class Box(BaseModel, Generic[T]):
    item: T


class Ids(RootModel[list[int]]):
    pass


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: tuple[str, ...] = ()


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
CallablePet = Annotated[
    Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")],
    Discriminator(lambda pet: pet["kind"] if isinstance(pet, dict) else pet.kind),
]


class Node(BaseModel):
    name: str
    children: "list[Node]" = []


class Money(BaseModel):
    cents: int

    @model_serializer
    def write(self) -> str:
        return f"{self.cents} cents"

    @model_validator(mode="before")
    @classmethod
    def read(cls, value: Any) -> Any:
        return {"cents": int(value.split()[0])} if isinstance(value, str) else value


class OneWay(BaseModel):
    cents: int

    @field_serializer("cents")
    def write(self, cents: int) -> str:
        return f"{cents} cents"


class Doubling(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def double(cls, n: int) -> int:
        return 2 * n


class NotFinite(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")

    x: float


class Event(BaseModel):
    name: str


class Paid(Event):
    amount: int


class Whatever(BaseModel):
    data: Any


class Sizes(enum.Enum):
    SMALL = (1, 2)
    LARGE = (3, 4)


class Objects(enum.Enum):
    A = Event(name="a")
    B = re.compile("b")


class Mixed(enum.Enum):
    INT = 1
    STR = "1"
    FLOAT = 1.5
    NONE = None


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Holder(BaseModel):
    size: Sizes
    many: dict[Sizes, list[Sizes]] = {}


@dataclasses.dataclass
class Order:
    total: int
    tax: int = dataclasses.field(init=False, default=0)


@dataclasses.dataclass
class Derived:
    total: int
    double: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.total


@dataclasses.dataclass(slots=True, kw_only=True, frozen=True)
class Slotted:
    x: int
    y: "list[Order]" = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class WithInitVar:
    x: int
    scale: dataclasses.InitVar[int]

    def __post_init__(self, scale: int) -> None:
        self.x *= scale


@dataclasses.dataclass
class WithDefaultInitVar:
    x: int
    scale: dataclasses.InitVar[int] = 1

    def __post_init__(self, scale: int) -> None:
        self.x *= scale


@dataclasses.dataclass
class Premium(Order):
    perks: str = ""


@pydantic.dataclasses.dataclass(config=ConfigDict(extra="forbid"))
class Strict:
    total: int
    alias: int = Field(alias="aliased", default=1)
    tax: int = dataclasses.field(init=False, default=0)


class Nested(TypedDict, total=False):
    order: Order
    at: datetime


class Aliased(TypedDict):
    user_id: Annotated[int, Field(alias="userId")]


class Pair(NamedTuple):
    left: int
    right: tuple[Decimal, ...] = ()


class Coordinates:
    """An arbitrary class that does not say when two are equal."""

    def __init__(self, x: int) -> None:
        self.x = x


AnyCoordinates = Annotated[
    Any,
    BeforeValidator(lambda value: value if isinstance(value, Coordinates) else Coordinates(value)),
    PlainSerializer(lambda value: value.x),
]
Cents = Annotated[int, AfterValidator(lambda euros: euros * 100)]
Shown = Annotated[SecretStr, PlainSerializer(lambda secret: secret.get_secret_value())]
BERLIN = ZoneInfo("Europe/Berlin")

ARRIVE: list[tuple[Any, Any]] = [
    (Alias, Alias(userId=7)),
    (ValidationAlias, ValidationAlias.model_validate({"userId": 7})),
    (SerializationAlias, SerializationAlias(user_id=7)),
    (BothAliases, BothAliases(**{"in": 7})),
    (Choices, Choices.model_validate({"id": 7})),
    (InPath, InPath.model_validate({"user": {"ids": [7]}})),
    (Camel, Camel.model_validate({"userId": 1, "inner": {"userId": 2}})),
    (ByName, ByName.model_validate({"user_id": 7})),
    (Swapped, Swapped(a=1, b=2)),
    (list[Swapped | Alias], [Swapped(a=1, b=2), Alias(userId=7)]),
    (Computed, Computed(width=3)),
    (Patch, Patch(name="ada")),
    (Stamped, Stamped()),
    (Excluded, Excluded(name="a")),
    (Extra, Extra.model_validate({"name": "a", "more": [1, {"b": None}]})),
    (Private, Private(name="a")),
    (Frozen, Frozen(n=1)),
    (Box[Order], Box[Order](item=Order(5))),
    (Box[Box[Decimal]], Box[Box[Decimal]](item=Box[Decimal](item=Decimal("1.10")))),
    (Ids, Ids([1, 2])),
    (Pet, Dog(tricks=("sit",))),
    (CallablePet, Cat(lives=7)),
    (list[Cat | Dog], [Cat(), Dog()]),
    (Node, Node(name="a", children=[Node(name="b"), Node(name="c", children=[])])),
    (Money, Money(cents=5)),
    (NotFinite, NotFinite(x=float("-inf"))),
    (Paid, Paid(name="a", amount=5)),
    (Event | Paid, Paid(name="a", amount=5)),
    (list[Event], [Event(name="NaN"), Event(name="Infinity")]),
    (Sizes, Sizes.SMALL),
    (dict[Sizes, Sizes], {Sizes.SMALL: Sizes.LARGE}),
    (Holder, Holder(size=Sizes.LARGE, many={Sizes.SMALL: [Sizes.LARGE]})),
    (Objects, Objects.A),
    (Objects, Objects.B),
    *((Mixed, member) for member in Mixed),
    (Permission, Permission.READ | Permission.WRITE),
    (Permission, Permission(0)),
    (Level, Level.LOW),
    (Word, Word.YES),
    (Literal["a", 1, Word.YES], Word.YES),
    (Order, Order(5)),
    (Derived, Derived(4)),
    (Slotted, Slotted(x=1, y=[Order(1)])),
    (WithDefaultInitVar, WithDefaultInitVar(3, 2)),
    (Premium, Premium(3, "lounge")),
    (Strict, Strict(total=5, aliased=2)),
    (Nested, {"order": Order(1), "at": datetime(2026, 1, 1, tzinfo=UTC)}),
    (Nested, {}),
    (Pair, Pair(1, (Decimal("0.1"),))),
    (list[Pair], [Pair(1), Pair(2)]),
    (AnyCoordinates, Coordinates(5)),
    (Shown, SecretStr("hunter2")),
    (int, 10**4000),
    (int, -(2**70)),
    (Decimal, Decimal("1e-400")),
    (Decimal, Decimal("-0.00")),
    (Decimal, Decimal(10) ** 400),
    (float, 5e-324),
    (float, -1.7976931348623157e308),
    (complex, 1 + 2j),
    (Fraction, Fraction(1, 3)),
    (int | float, 1.0),
    (int | float, 2**53 + 1),
    (bool | int, 1),
    (bool | int, True),
    (int | str, "1"),
    (datetime | str, "tomorrow"),
    (UUID | str, "not one"),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)),
    (datetime, datetime.fromisoformat("0001-01-01")),
    (datetime, datetime.fromisoformat("9999-12-31T23:59:59.999999")),
    (date, date.min),
    (time, time(1, 2, 3, 4, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))),
    (timedelta, timedelta.min),
    (timedelta, timedelta(microseconds=-1)),
    (UUID, UUID(int=1)),
    (bytes, bytes(range(256))),
    (Path, Path("/a b/c")),
    (PurePosixPath, PurePosixPath("a")),
    (ipaddress.IPv4Address, ipaddress.IPv4Address("10.0.0.1")),
    (ipaddress.IPv6Network, ipaddress.IPv6Network("::/64")),
    (re.Pattern[str], re.compile("a+")),
    (set[int], {1, 2}),
    (frozenset[Frozen], frozenset(map(Frozen.model_validate, [{"n": 1}, {"n": 2}]))),
    (deque[int], deque([1, 2])),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (Sequence[int], [1, 2]),
    (dict[int, dict[UUID, date]], {1: {UUID(int=5): date(2026, 1, 1)}}),
    (dict[bytes, bytes], {b"\xff": b"\xfe"}),
    (tuple[int, ...], (1, 2)),
    (tuple[int, tuple[str, None]], (1, ("a", None))),
    (Any, {"a": [1, 1.5, True, None, {"b": "c"}]}),
    (dict, {"a": [1]}),
    (list[Any], [1, "a", [None]]),
    (dict[str, Any] | None, {"a": 1}),
]


# Those that pydantic reads as something else than what it is given are below.
@pytest.mark.parametrize(("hint", "value"), ARRIVE, ids=range(len(ARRIVE)))
@pytest.mark.parametrize("way", [sent, returned])
def test_what_is_sent_arrives(way: Any, hint: Any, value: Any) -> None:
    assert difference(value, way(hint, value)) is None


def tampered(value: Any, name: str, part: Any) -> Any:
    object.__setattr__(value, name, part)
    return value


NOTHING: dict[str, Any] = {}
NO_NAME: dict[str, Any] = {"name": 5}
ANNOTATE = "annotate the (parameter|result) with the type of what it holds"
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
REFUSED: list[tuple[Any, Any, str]] = [
    (SecretStr, SecretStr("hunter2"), "value: a secret arrives as asterisks"),
    (SecretBytes, SecretBytes(b"hunter2"), "a secret arrives as asterisks"),
    (Secretive, Secretive(name="a", password=SecretStr("b")), "password: a secret arrives"),
    (Secretive, {"name": "a", "password": "hunter2"}, "password: a secret arrives"),
    (Event, Paid(name="a", amount=5), "Paid would arrive as Event; annotate .* with Paid"),
    (list[Event], [Event(name="a"), Paid(name="a", amount=5)], "1: Paid would arrive as Event"),
    (Order, Premium(1, "lounge"), "Premium would arrive as Order; annotate .* with Premium"),
    (Excluded, Excluded(name="a", note="b"), "note: str would arrive with another value"),
    (Locked, Locked(), "_lock: lock would arrive with another value"),
    (Private, Private(name="a").look(), "_seen: int would arrive with another value"),
    (WithInitVar, WithInitVar(1, 2), "scale: Field required.*when it is read again"),
    (Order, tampered(Order(1), "tax", 5), "tax: int would arrive with another value"),
    (Derived, tampered(Derived(1), "double", 5), "double: int would arrive with another value"),
    (Strict, tampered(Strict(total=1), "tax", 5), "tax: int would arrive with another value"),
    (OneWay, OneWay(cents=5), "cents: Input should be a valid integer.*when it is read again"),
    (Doubling, Doubling(n=1), "n: int would arrive with another value"),
    (Event, Event.model_construct(**NO_NAME), "name: Input should be a valid string"),
    (Event, Event.model_construct(**NOTHING), "name: "),
    (
        Extra,
        Extra.model_validate({"name": "a", "at": date(2026, 1, 1)}),
        "at: date would arrive as str",
    ),
    (Whatever, Whatever(data=(1,)), f"data: tuple would arrive as list; {ANNOTATE}"),
    (NotFinite, NotFinite(x=float("nan")), "NaN is no JSON"),
    (Box[float], Box[float](item=float("inf")), "Infinity is no JSON"),
    (Decimal | None, Decimal("inf"), "value: Input should be a finite number"),
    (int, 10**5000, "an integer of more than 4,300 digits"),
    (Any, -(10**5000), "an integer of more than 4,300 digits"),
    (Box[int], Box[int](item=10**5000), "an integer of more than 4,300 digits"),
    (datetime | str, "2026-01-01T00:00:00", "str would arrive as datetime"),
    (datetime, datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=90))), "another value"),
    (time, time(1, tzinfo=BERLIN), "another value"),
    (Sequence[int], (1, 2), f"tuple would arrive as list; {ANNOTATE}"),
    (re.Pattern[str], re.compile("a", re.IGNORECASE), "another value"),
    (dict[str | int, int], {"1": 1, 1: 2}, "1: int would arrive with another value"),
    (dict[tuple[int, int], int], {(1, 2): 3}, "when it is read again"),
    (Any, (1, 2), f"tuple would arrive as list; {ANNOTATE}"),
    (Any, {1}, f"set would arrive as list; {ANNOTATE}"),
    (Any, {1: 2}, f"1: would be lost, or arrive by another name; {ANNOTATE}"),
    (Any, {"a": {"b": (1,)}}, f"a.b: tuple would arrive as list; {ANNOTATE}"),
    (Any, datetime(2026, 1, 1, tzinfo=UTC), f"datetime would arrive as str; {ANNOTATE}"),
    (Any, Event(name="a"), f"Event would arrive as dict; {ANNOTATE}"),
    (Any, Order(1), f"Order would arrive as dict; {ANNOTATE}"),
    (Any, Word.YES, f"Word would arrive as str; {ANNOTATE}"),
    (Any, Level.LOW, f"Level would arrive as int; {ANNOTATE}"),
    (Any, Pair(1), f"Pair would arrive as list; {ANNOTATE}"),
    (Any, b"a", f"bytes would arrive as str; {ANNOTATE}"),
    (Any, Decimal(1), f"Decimal would arrive as str; {ANNOTATE}"),
    (Any, iter([1]), ANNOTATE),
    (object, (1,), ANNOTATE),
    (list, [(1,)], ANNOTATE),
    (dict[str, Any], {"a": (1,)}, ANNOTATE),
    (list, ENDLESS, "nested more than 199 deep, or within itself"),
]


@pytest.mark.parametrize(("hint", "value", "message"), REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize("way", [sent, returned])
def test_what_would_not_arrive_is_refused(way: Any, hint: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidPayload, match=message) as error:
        way(hint, value)
    assert str(error.value).startswith(("task 'task': ", "result of task 'task': "))
    assert "hunter2" not in str(error.value)


READ: list[tuple[Any, Any, Any]] = [
    (Json[list[int]], "[1, 2]", [1, 2]),
    (Cents, 3, 300),
    (Cents, "3", 300),
    (list[Cents], [1, 2], [100, 200]),
    (tuple[Alias, Cents], (Alias(userId=7), 1), (Alias(userId=7), 100)),
    (Doubling, {"n": 1}, Doubling.model_construct(n=2)),
    (list[int], (1, 2), [1, 2]),
    (set[int], [1, 1], {1}),
    (float, 1, 1.0),
    (int, Level.LOW, 1),
    (str, Word.YES, "yes"),
    (bytes, "YWJj", b"abc"),
    (Path, "a", Path("a")),
    (datetime, "2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
    (Aliased, {"userId": 7}, {"user_id": 7}),
    (Aliased, {"user_id": 7}, {"user_id": 7}),
    (Iterable[int], (1, 2), [1, 2]),
    (dict[int, int], {"1": 2}, {1: 2}),
]


@pytest.mark.parametrize(("hint", "value", "read"), READ, ids=range(len(READ)))
@pytest.mark.parametrize("way", [sent, returned])
def test_what_pydantic_reads_it_as_arrives(way: Any, hint: Any, value: Any, read: Any) -> None:
    assert difference(read, way(hint, value)) is None


@pytest.mark.parametrize("hint", [list[int], Iterable[int], Sequence[int], Box[Iterable[int]]])
@pytest.mark.parametrize("way", [sent, returned])
def test_an_iterator_is_consumed_once(way: Any, hint: Any) -> None:
    numbers = (n for n in (1, 2, 3))
    try:
        back = way(
            hint, Box[Iterable[int]](item=numbers) if hint == Box[Iterable[int]] else numbers
        )
    except InvalidPayload:
        assert hint in {Sequence[int], Box[Iterable[int]]}
    else:
        assert back == [1, 2, 3]


def in_lists(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def in_dicts(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def in_nodes(levels: int) -> Any:
    value = Node(name="a", children=[])
    for _ in range(levels // 2):
        value = Node(name="a", children=[value])
    return value


NESTED = [(Any, in_lists), (Any, in_dicts), (dict[str, Any], in_dicts), (Node, in_nodes)]


@pytest.mark.parametrize(("hint", "nested"), NESTED)
@pytest.mark.parametrize("way", [sent, returned])
def test_what_is_nested_199_deep_arrives(way: Any, hint: Any, nested: Any) -> None:
    assert way(hint, nested(199)) == nested(199)


@pytest.mark.parametrize("levels", [200, 260, 2_000])
@pytest.mark.parametrize(("hint", "nested"), NESTED)
@pytest.mark.parametrize("way", [sent, returned])
def test_what_is_nested_deeper_is_refused(way: Any, hint: Any, nested: Any, levels: int) -> None:
    with pytest.raises(InvalidPayload, match=r"value: what is nested more than 199 deep.*as text"):
        way(hint, nested(levels))


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


@pytest.mark.parametrize("name", ["user_id", "userId"])
@pytest.mark.parametrize("hint", [Alias, Aliased, ValidationAlias, ByName])
def test_payloads_of_others_are_read_by_names_and_by_aliases(hint: Any, name: str) -> None:
    back = arguments_of(hint).load(f'{{"v":1,"a":{{"value":{{"{name}":7}}}}}}')["value"]

    assert (back if isinstance(back, dict) else dict(back)) == {"user_id": 7}


def test_fields_that_were_not_set_stay_so() -> None:
    assert sent(Patch, Patch(name="ada")).model_fields_set == {"name"}
    assert sent(list[Patch], [Patch(), Patch(age=None)])[1].model_fields_set == {"age"}


def test_any_other_default_than_none_is_stored() -> None:
    arguments = arguments_of(Cat)
    payload = arguments.dump(arguments.bind((Cat(),), {}), LIMIT)

    assert payload == '{"v":1,"a":{"value":{"kind":"cat","lives":9}}}'


def test_a_default_that_is_made_is_stored() -> None:
    made = Stamped()

    assert sent(Stamped, made).id == made.id


def test_a_default_that_was_changed_arrives() -> None:
    node = Node(name="a")
    node.children.append(Node(name="b"))

    assert sent(Node, node) == node


class Reminder(BaseModel):
    at: FutureDatetime


@pytest.mark.parametrize("hint", [FutureDatetime, Reminder])
def test_what_was_to_come_is_read_when_it_has_passed(hint: Any) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    arguments = arguments_of(hint)
    stored = '"2020-01-01T00:00:00Z"' if hint is FutureDatetime else '{"at":"2020-01-01T00:00:00Z"}'

    back = arguments.load(f'{{"v":1,"a":{{"value":{stored}}}}}')["value"]

    assert (back.at if isinstance(back, Reminder) else back) == past
    with pytest.raises(InvalidPayload, match="should be in the future"):
        arguments.bind((past if hint is FutureDatetime else {"at": past},), {})


def test_proving_changes_nothing_of_the_callers() -> None:
    data: dict[str, Any] = {"a": [1, {"b": 2}]}
    one = Whatever(data=data)

    assert sent(Whatever, one) == one

    assert one.data is data
    assert data == {"a": [1, {"b": 2}]}


def test_the_surplus_arrives_or_is_refused_as_well() -> None:
    def task(first: Any, *rest: Alias, **more: Cents) -> None: ...

    arguments = Arguments("task", task)
    bound = arguments.bind(("a", Alias(userId=1)), {"x": 1})
    call = arguments.spread(arguments.load(arguments.dump(bound, LIMIT)))

    assert call.args == ("a", Alias(userId=1))
    assert call.kwargs == {"x": 100}
    with pytest.raises(InvalidPayload, match="first: tuple would arrive as list"):
        arguments.dump(arguments.bind(((1,),), {}), LIMIT)


def test_untyped_parameters_take_json() -> None:
    def task(a, b=1, *rest, **more): ...  # type: ignore[no-untyped-def]

    arguments = Arguments("task", task)
    bound = arguments.bind((1, [2]), {})

    assert arguments.load(arguments.dump(bound, LIMIT)) == {"a": 1, "b": [2]}
    with pytest.raises(InvalidPayload, match=r"\*rest\.0: tuple would arrive as list; annotate"):
        arguments.dump(arguments.bind((1, 2, (3,)), {}), LIMIT)


def test_a_type_whose_schema_fails_is_refused_at_once() -> None:
    class Odd:
        @classmethod
        def __get_pydantic_core_schema__(cls, *_: Any) -> Any:
            raise RuntimeError("no schema today")

    with pytest.raises(InvalidPayload, match="can't store this type: no schema today"):
        arguments_of(Odd)
