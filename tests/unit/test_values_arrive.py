"""What arrives as it was sent, as an argument and as a result."""

import ipaddress
import re
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    BaseModel,
    FutureDatetime,
    Json,
    SecretStr,
)

from queuekit.codec import Arguments
from queuekit.difference import difference
from queuekit.errors import InvalidPayload
from tests.unit.typed import (
    BERLIN,
    LIMIT,
    Alias,
    Aliased,
    AnyCoordinates,
    BothAliases,
    Box,
    ByName,
    CallablePet,
    Camel,
    Cat,
    Cents,
    Choices,
    Computed,
    Coordinates,
    Derived,
    Dog,
    Doubling,
    Event,
    Excluded,
    Extra,
    Frozen,
    Holder,
    Ids,
    InPath,
    Level,
    Mixed,
    Money,
    Nested,
    Node,
    NotFinite,
    Objects,
    Order,
    Paid,
    Pair,
    Patch,
    Permission,
    Pet,
    Premium,
    Private,
    SerializationAlias,
    Shown,
    Sizes,
    Slotted,
    Stamped,
    Strict,
    Swapped,
    ValidationAlias,
    Whatever,
    WithDefaultInitVar,
    Word,
    arguments_of,
    returned,
    sent,
)

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
