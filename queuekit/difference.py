"""Where two values differ: by class and ``==``, all the way down."""

import dataclasses
import enum
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Set as AbstractSet
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

Path = tuple[Hashable, ...]
MISSING: Final = object()
LIKE_THEIR_BASE: Final = (int, float, str, bytes, datetime, date, time, timedelta)
"""Classes whose values arrive as such if they are of a class made from them."""


class Difference(NamedTuple):
    """Where two values differ, and what they have there.

    Attributes:
        path: names, keys and indices from the outside in.
        before: of the first value; `MISSING` if it has nothing there.
        after: of the second one.
    """

    path: Path
    before: Any
    after: Any


def difference(before: Any, after: Any, path: Path = ()) -> Difference | None:
    """The first difference of two values; None if they are equal. An error in a class's ``==`` comes out as it is."""
    here = Difference(path, before, after)
    if not _alike(before, after):
        return here
    ours, theirs = _parts(before), _parts(after)
    if ours is None or theirs is None:
        return None if _equal(before, after) else here
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        found = difference(ours.get(key, MISSING), theirs.get(key, MISSING), (*path, _step(key)))
        if found is not None:
            return found
    return None


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What a value is made of in the end, and where it is."""
    parts = _parts(value)
    if parts is None:
        yield path, value
        return
    for key, part in parts.items():
        yield from leaves(part, (*path, _step(key)))


def is_deeper(value: Any, levels: int) -> bool:
    """Whether more parts than that are one within the other; so it is with what holds itself."""
    parts = _parts(value)
    if parts is None:
        return False
    return levels == 0 or any(is_deeper(part, levels - 1) for part in parts.values())


class _Key(NamedTuple):
    """A key and its class, because 1, 1.0 and True are one key."""

    kind: type
    key: Hashable


def _alike(before: Any, after: Any) -> bool:
    if type(before) is type(after):
        return True
    return (
        type(after) in LIKE_THEIR_BASE
        and isinstance(before, type(after))
        and not isinstance(before, (bool, enum.Enum))
    )


def _parts(value: Any) -> dict[Any, Any] | None:
    """What a value is made of; None if it is of one piece."""
    match value:
        case str() | bytes() | int() | float() | None:
            return None
        case BaseModel():
            fields = {name: value.__dict__.get(name, MISSING) for name in type(value).model_fields}
            # What is extra may have the name of a field, if that has an alias.
            extra = {_Key(dict, name): part for name, part in (value.model_extra or {}).items()}
            return {**fields, **extra, **(value.__pydantic_private__ or {})}
        case Mapping():
            return {_Key(type(key), key): part for key, part in value.items()}
        case AbstractSet():
            return {_Key(type(part), part): part for part in value}
        case list() | tuple() | deque():
            return dict(zip(getattr(value, "_fields", range(len(value))), value, strict=True))
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _attributes(value)
        case _:
            return None


def _attributes(value: Any) -> dict[str, Any]:
    """Its fields, and what it was given beside them; no cached properties."""
    names = [field.name for field in dataclasses.fields(value)]
    own = getattr(value, "__dict__", {})
    return {name: getattr(value, name, MISSING) for name in names} | {
        name: part
        for name, part in own.items()
        if not hasattr(type(value), name) and name not in names
    }


def _equal(before: Any, after: Any) -> bool:
    match before:
        case enum.Enum():
            return before is after
        case datetime() | time():
            return bool(_clock(before) == _clock(after))
        case _ if not _knows_its_equals(type(before)):
            return before is after or bool(_state(before) == _state(after))
        case _:
            return bool(before == after)


def _knows_its_equals(kind: Any) -> bool:
    return kind.__eq__ is not object.__eq__


def _clock(moment: Any) -> Any:
    # An offset, since two zones are unequal in the hour that a clock is set back, by Python's rule.
    return moment.tzinfo is None, moment.replace(tzinfo=None), moment.utcoffset()


def _state(value: Any) -> Any:
    """What makes up a value whose class does not say when two are equal."""
    try:
        return value.__reduce_ex__(2)
    except Exception:  # noqa: BLE001  # what can't be taken apart is equal to itself alone
        return value


def _step(key: Hashable) -> Hashable:
    return key.key if isinstance(key, _Key) else key
