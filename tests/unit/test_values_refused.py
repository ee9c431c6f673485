"""What would be lost or changed on the way is refused, with what to do."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import (
    SecretBytes,
    SecretStr,
)

from queuekit.errors import InvalidPayload
from tests.unit.typed import (
    BERLIN,
    Box,
    Derived,
    Doubling,
    Event,
    Excluded,
    Extra,
    Level,
    Locked,
    NotFinite,
    OneWay,
    Order,
    Paid,
    Pair,
    Premium,
    Private,
    Secretive,
    Strict,
    Whatever,
    WithInitVar,
    Word,
    returned,
    sent,
)


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
