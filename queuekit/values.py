"""Values of one Python type to JSON text and back by pydantic, so that what arrives is equal to what was sent.

Most types are *plain*: whatever their value, it arrives equal, so it is written and nothing else. A value of any other
type is *proved*: what was written is read by the validator that the worker uses, and compared.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from pydantic import (
    ConfigDict,
    PydanticUserError,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import CoreConfig, ErrorDetails, SchemaSerializer, SchemaValidator

from queuekit.core_schema import SCALARS, adapted, is_plain, none_is_default
from queuekit.difference import MISSING, Difference, difference, is_deeper, leaves
from queuekit.errors import InvalidPayload
from queuekit.failure import kind_of, message_of, printable

CONFIG: Final = ConfigDict(
    extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
)
CORE_CONFIG: Final = CoreConfig(
    ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
)
# Else pydantic takes the validators of models as they are, and what was adapted within them is lost.
WHOLE: Final[Mapping[str, Any]] = (
    {"_use_prebuilt": False} if "_use_prebuilt" in str(SchemaValidator.__text_signature__) else {}
)

SUSPICIOUS: Final = re.compile(rb"NaN|Infinity|\\u0000").search
SURROGATE: Final = re.compile("[\ud800-\udfff]").search
DIGITS: Final = 4_300
"""An integer of more can't be read from JSON."""
LEVELS: Final = 200
"""More lists and objects, one within the other, can't be read from JSON."""

Write: TypeAlias = Callable[[Any], bytes]

SECRETS: Final = (Secret, SecretBytes, SecretStr)
JSON_CLASSES: Final = SCALARS | {list, dict}
NUL: Final = "NUL characters can't be stored; remove them or pass bytes"
LONG: Final = f"an integer of more than {DIGITS:,} digits can't be read; pass it as text or bytes"
DEEP: Final = (
    f"what is nested more than {LEVELS - 1} deep, or within itself, can't be read; "
    "pass it flatter, or as text or bytes"
)
ASTERISKS: Final = "**********"
HIDDEN: Final = (
    "a secret arrives as asterisks; pass a name by which the task finds it, "
    "or annotate it with a PlainSerializer that writes it"
)
STORABLE: Final = (
    "annotate plain types, containers of them, dataclasses, typed dicts or pydantic models"
)
MEND: Final = "pass plain values, or mend the type so that it reads what it writes"


class Values:
    """Values of one Python type, to JSON text and back.

    Args:
        hint: a type annotation that pydantic understands.
        what: how to call a value of it in messages.
        config: for types without one of their own.
        noun: what may be annotated with another type.
        depth: how many steps from the outside in say nothing to people.
        spare_defaults: don't write fields that were not set, if all defaults are None, so that they stay unset.

    Attributes:
        plain: whether each value arrives equal, without a proof.

    Raises:
        InvalidPayload: pydantic can't make a schema of the type.
    """

    def __init__(
        self,
        hint: Any,
        what: str,
        config: ConfigDict | None = None,
        *,
        noun: str = "parameter",
        depth: int = 0,
        spare_defaults: bool = False,
    ) -> None:
        self._what = what
        self._noun = noun
        self._depth = depth
        try:
            schema = adapted(TypeAdapter(hint, config=config).core_schema)
            # Of its own, as a TypedDict's configuration reaches the validator but not the serializer.
            validator = SchemaValidator(schema, CORE_CONFIG, **WHOLE)
            self._to_json = SchemaSerializer(schema, CORE_CONFIG, **WHOLE).to_json
        except Exception as error:  # a type's own hooks may raise anything
            told = error.message if isinstance(error, PydanticUserError) else message_of(error)
            # Without pydantic's own advice, which is for those who write a model.
            told = told.partition("\n")[0].partition(". ")[0]
            raise InvalidPayload(
                f"{what}: pydantic can't store this type: {told}; {STORABLE}"
            ) from error
        self.plain = is_plain(schema, CORE_CONFIG)
        self._validate = validator.validate_python
        self._validate_json = validator.validate_json
        if not self.plain:
            # What was written by names must be read, and so must what others write by aliases.
            self._validate = partial(self._validate, by_alias=True, by_name=True)
            self._validate_json = partial(self._validate_json, by_alias=True, by_name=True)
        form = partial(self._to_json, warnings=False, round_trip=True)
        self._by_name = partial(form, by_alias=False)
        self._forms = [self._by_name, partial(form, by_alias=True)]
        if spare_defaults and none_is_default(schema):
            self._forms.insert(0, partial(self._by_name, exclude_unset=True))

    def check(self, value: Any) -> Any:
        """The value as pydantic reads it. Raises `InvalidPayload`."""
        try:
            return self._validate(value)
        except ValidationError as error:
            raise InvalidPayload(self._explain(error)) from None
        except Exception as error:  # a validator may raise anything
            raise InvalidPayload(self._explain_other(error)) from error

    def dump(self, value: Any, write: Write | None = None) -> str:
        """JSON text of a checked value.

        Args:
            value: as `check` gave it.
            write: what writes it; pydantic's serializer with its own defaults if not given.

        Raises:
            InvalidPayload: it can't be written as JSON.
        """
        try:
            data = write(value) if write else self._to_json(value, warnings=False)
        except Exception as error:  # a serializer may raise anything
            told = f"can't be written as JSON: {message_of(error)}; {MEND}"
            raise self._refusal(value, told) from error
        if SUSPICIOUS(data) and (unfit := _no_json(data)):
            raise self._refusal(value, unfit)
        if len(data) > DIGITS and _has_long_number(data) and not self._is_read(data):
            raise self._refusal(value, LONG)
        return data.decode()

    def prove(self, value: Any, given: Any) -> str:
        """JSON text of a checked value, of which it is proved that it is read as an equal one.

        Args:
            value: as `check` gave it.
            given: what `check` was given. A type may write what it has made of it, but read only this.

        Raises:
            InvalidPayload: no text of it is read as an equal value.
        """
        try:
            return self._prove(value, given)
        except InvalidPayload:
            raise
        except Exception as error:  # a class's == may raise anything
            told = f"can't be compared with what arrives: {message_of(error)}; {MEND}"
            raise InvalidPayload(f"{self._what}: {self._top(value)}: {told}") from error

    def load(self, text: str) -> Any:
        """The value of a JSON text. Raises `InvalidPayload`."""
        try:
            return self._validate_json(text)
        except ValidationError as error:
            raise InvalidPayload(self._explain(error)) from None
        except Exception as error:  # a validator may raise anything
            raise InvalidPayload(self._explain_other(error)) from error

    def take(self, text: str) -> Any:
        """The value of a JSON text that somebody else wrote and that is to be stored. Raises `InvalidPayload`."""
        value = self.load(text)
        if unfit := _no_json(text.encode()):
            raise self._refusal(value, unfit)
        return value

    def _prove(self, value: Any, given: Any) -> str:
        problems = []
        for source, write in self._ways(value, given):
            try:
                return self._proved(value, source, write)
            except InvalidPayload as problem:
                problems.append(problem)
        raise self._unstorable(value) or problems[self._forms.index(self._by_name)]

    def _ways(self, value: Any, given: Any) -> Iterator[tuple[Any, Write]]:
        for write in self._forms:
            yield value, write
        # Who passes a secret's bare text has not asked for it to be stored.
        if not _may_hold_a_secret(value):
            for write in self._forms:
                yield given, write

    def _proved(self, value: Any, source: Any, write: Write) -> str:
        text = self.dump(source, write)
        try:
            back = self.load(text)
        except InvalidPayload as error:
            remedy = HIDDEN if ASTERISKS in text else MEND
            raise InvalidPayload(f"{error}, when it is read again; {remedy}") from error.__cause__
        found = difference(value, back)
        if found is not None:
            where = self._where(found.path)
            raise InvalidPayload(f"{self._what}: {where}: {_told(found, self._noun)}")
        return text

    def _is_read(self, data: bytes) -> bool:
        try:
            self._validate_json(data)
        except ValidationError:
            return False
        return True

    def _refusal(self, value: Any, told: str) -> InvalidPayload:
        where = self._top(value)
        return self._unstorable(value) or InvalidPayload(f"{self._what}: {where}: {told}")

    def _top(self, value: Any) -> str:
        return self._where([*value] if isinstance(value, dict) and len(value) == 1 else [])

    def _unstorable(self, value: Any) -> InvalidPayload | None:
        """What can't be stored whatever its type, and where it is."""
        with suppress(Exception):  # one that can't be looked at has other faults
            if is_deeper(value, LEVELS):
                return InvalidPayload(f"{self._what}: {self._top(value)}: {DEEP}")
            for path, leaf in leaves(value):
                for told in filter(None, map(_no_store, (*path, leaf))):
                    return InvalidPayload(f"{self._what}: {self._where(path)}: {told}")
        return None

    def _explain(self, error: ValidationError) -> str:
        lines = [
            f"{self._where(detail['loc'])}: {_read_error(detail)}"
            for detail in error.errors(include_url=False, include_context=False)
        ]
        return f"{self._what}: {'; '.join(lines)}"

    def _explain_other(self, error: Exception) -> str:
        return f"{self._what}: a validator failed: {kind_of(error)}: {message_of(error)}"

    def _where(self, path: Sequence[Any]) -> str:
        return ".".join(printable(step) for step in path[self._depth :]) or "value"


def _read_error(detail: ErrorDetails) -> str:
    if detail["type"] == "json_invalid" and "recursion" in detail["msg"]:
        return DEEP
    return f"{detail['msg']} (got {type(detail['input']).__name__})"


def _told(found: Difference, noun: str) -> str:
    before, after = found.before, found.after
    annotate = f"annotate the {noun} with the type of what it holds"
    if isinstance(before, SECRETS):
        return HIDDEN
    if before is MISSING or after is MISSING:
        return f"would be lost, or arrive by another name; {annotate}, or {MEND}"
    sent, arrives = type(before), type(after)
    if sent is arrives:
        return f"{sent.__name__} would arrive with another value; {MEND}"
    change = f"{sent.__name__} would arrive as {arrives.__name__}"
    if arrives in JSON_CLASSES:
        return f"{change}; {annotate}"
    if issubclass(sent, arrives):
        return f"{change}; annotate the {noun} with {sent.__name__}, or with a union of both"
    return f"{change}; {annotate}, or {MEND}"


def _may_hold_a_secret(value: Any) -> bool:
    with suppress(Exception):
        return any(isinstance(leaf, SECRETS) for _, leaf in leaves(value))
    return True


def _no_store(part: Any) -> str | None:
    match part:
        case float() if not math.isfinite(part):
            return _constant("NaN" if math.isnan(part) else "Infinity")
        case str() if "\0" in part:
            return NUL
        case str() if SURROGATE(part):
            return "lone surrogates can't be stored; remove them or pass bytes"
        case int() if part.bit_length() > DIGITS * 3 and abs(part) >= 10**DIGITS:
            return LONG
        case _:
            return None


def _no_json(data: bytes) -> str | None:
    """What of a text that pydantic wrote is no JSON, or can't be stored as it."""
    found: list[str] = []
    texts = _texts(json.loads(data, parse_constant=found.append, parse_int=float))
    if found:
        return _constant(found[0].lstrip("-"))
    return NUL if any("\0" in text for text in texts) else None


def _constant(name: str) -> str:
    return f"{name} is no JSON; pass None or a string instead"


def _has_long_number(data: bytes) -> bool:
    # So many digits in a row fill a block of half the length, wherever they begin.
    half = DIGITS // 2
    return any(data[i : i + half].isdigit() for i in range(0, len(data) - half + 1, half))


def _texts(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case _:
            pass
