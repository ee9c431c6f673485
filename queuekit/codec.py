"""Arguments and results to JSON text and back, by pydantic.

The payload is ``{"v":1,"a":{...}}``: arguments bound to their names, defaults not stored, bytes as base64. NaN and
infinities are refused (JSON has none), NUL and lone surrogates too (Postgres text holds neither). Nothing decodes and
encodes a payload between `dump` and `load`, so digests over these bytes stay valid.
"""

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, NotRequired

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import CoreConfig, PydanticSerializationError, SchemaSerializer, SchemaValidator
from typing_extensions import TypedDict

from queuekit.errors import InvalidPayload, PayloadTooLarge
from queuekit.signature import hints_of

PREFIX: Final = '{"v":1,"a":'
CONFIG: Final = ConfigDict(
    extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
)

SUSPICIOUS: Final = re.compile(rb"NaN|Infinity|\\u0000").search
CORE_CONFIG: Final = CoreConfig(
    ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
)


class Values:
    """Values of one Python type, to JSON text and back.

    Args:
        hint: a type annotation that pydantic understands.
        what: how to call a value of it in messages.
        config: for types without one of their own.

    Raises:
        InvalidPayload: pydantic can't make a schema of the type.
    """

    def __init__(self, hint: Any, what: str, config: ConfigDict | None = None) -> None:
        self._what = what
        try:
            adapter = TypeAdapter(hint, config=config)
        except PydanticUserError as error:
            raise InvalidPayload(
                f"{what}: pydantic can't store this type: {error.message}"
            ) from error
        # Of its own, as a TypedDict's configuration reaches the validator but not the serializer.
        self._validator = SchemaValidator(adapter.core_schema, CORE_CONFIG)
        self._serializer = SchemaSerializer(adapter.core_schema, CORE_CONFIG)
        self._models = _mentions_models(adapter.core_schema)
        self._validate = self._validator.validate_python
        self._to_json = self._serializer.to_json

    def check(self, value: Any) -> Any:
        """The value as pydantic reads it. Raises `InvalidPayload`."""
        try:
            return self._validate(value)
        except ValidationError as error:
            raise InvalidPayload(_explain(self._what, error)) from None

    def dump(self, value: Any, *, strictly: bool = False) -> str:
        """JSON text of a value of the type.

        Args:
            value: of the type, or close to it unless `strictly`.
            strictly: refuse a value of another type instead of writing it as what it is.

        Raises:
            InvalidPayload: it can't be written as JSON.
        """
        try:
            data = (
                self._to_json(value, warnings="error")
                if strictly
                else self._to_json(value, warnings=False)
            )
        except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
            raise InvalidPayload(f"{self._what}: can't be written as JSON: {error}") from error
        if SUSPICIOUS(data):
            self._look_closer(data)
        if self._models:
            self._refuse_not_finite(self._serializer.to_python(value, warnings=False))
        return data.decode()

    def load(self, text: str) -> Any:
        """The value of a JSON text. Raises `InvalidPayload`."""
        try:
            return self._validator.validate_json(text)
        except ValidationError as error:
            raise InvalidPayload(_explain(self._what, error)) from None

    def _look_closer(self, data: bytes) -> None:
        for text in _texts(json.loads(data, parse_constant=self._refuse_constant)):
            if "\0" in text:
                raise InvalidPayload(
                    f"{self._what}: NUL characters can't be stored; remove them or pass bytes"
                )

    def _refuse_constant(self, name: str) -> NoReturn:
        raise InvalidPayload(f"{self._what}: {name} is no JSON; pass None or a string instead")

    def _refuse_not_finite(self, value: Any) -> None:
        """Models have a configuration of their own, by which pydantic would silently write null."""
        match value:
            case float():
                if not math.isfinite(value):
                    self._refuse_constant("NaN" if math.isnan(value) else "Infinity")
            case Mapping():
                for item in value.values():
                    self._refuse_not_finite(item)
            case list() | tuple() | set() | frozenset():
                for item in value:
                    self._refuse_not_finite(item)
            case _:
                pass


class Results:
    """The results of one task, to JSON text and back.

    Args:
        name: of the task, for messages.
        hint: the annotation of its result.
    """

    def __init__(self, name: str, hint: Any) -> None:
        self._is_int = hint is int
        self._none_fits = hint is None or hint is type(None) or hint is Any
        # In a list of one the type inherits our configuration; pydantic takes none beside a bare dataclass.
        self._values = Values(list[hint], f"result of task {name!r}", CONFIG)

    def dump(self, result: Any) -> str:
        """JSON text of a result.

        Raises:
            InvalidPayload: it is not of the annotated type, or can't be written as JSON.
        """
        if result is None and self._none_fits:
            return "null"
        if self._is_int and type(result) is int:
            return str(result)
        try:
            text = self._values.dump([result], strictly=True)
        except InvalidPayload:
            # A tuple for a list, an int for a float: what pydantic reads as the type may be written as the type.
            text = self._values.dump(self._values.check([result]), strictly=True)
        return text[1:-1]

    def load(self, text: str) -> Any:
        """The result of a JSON text. Raises `InvalidPayload`."""
        return self._values.load(f"[{text}]")[0]

    def shown(self, text: str) -> Any:
        """A stored result for people to look at: as `load` gives it, else what is stored. Never raises."""
        try:
            return self.load(text)
        except Exception:  # noqa: BLE001  # a validator may raise anything
            return _json_or(text, text)


class Arguments:
    """The arguments of one function, to a payload and back.

    Args:
        name: of the task, for messages.
        function: whose signature decides.
        filled_in: names of parameters that the worker passes; they are not part of the payload.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], filled_in: Iterable[str] = ()
    ) -> None:
        self._name = name
        skipped = frozenset(filled_in)
        signature = inspect.signature(function)
        hints = hints_of(function)
        everything = tuple(signature.parameters.values())
        kept = [p for p in everything if p.name not in skipped]
        self._parameters = everything
        self._signature = signature.replace(parameters=kept, return_annotation=signature.empty)
        self._names = tuple(p.name for p in kept)
        self._simple = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in everything)
        fields = {_field(p): _hint(p, hints.get(p.name, Any)) for p in kept}
        make: Any = TypedDict
        shape = make(f"{name}_arguments", fields)
        shape.__pydantic_config__ = CONFIG
        self._values = Values(shape, f"task {name!r}")
        self._check: Callable[[dict[str, Any]], dict[str, Any]] = self._values.check

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name, checked; `inspect`-style names ``*args`` and ``**kwargs`` hold the surplus.

        Raises:
            InvalidPayload: they don't fit the signature.
        """
        if not self._simple or len(args) > len(self._names):
            return self._bind_by_signature(args, kwargs)
        bound = dict(zip(self._names, args))  # noqa: B905  # defaults may stay out; strict= costs a third here
        if kwargs:
            if kwargs.keys() & bound.keys():
                return self._bind_by_signature(args, kwargs)
            bound.update(kwargs)
        return self._check(bound)

    def dump(self, bound: dict[str, Any], limit: int) -> str:
        """The payload of checked arguments.

        Raises:
            InvalidPayload: they can't be written as JSON.
            PayloadTooLarge: over `limit` bytes.
        """
        payload = f"{PREFIX}{self._values.dump(bound)}}}"
        # A character is at most 4 bytes, so most payloads need not be encoded to be measured.
        if len(payload) * 4 > limit and len(payload.encode()) > limit:
            raise PayloadTooLarge(
                f"task {self._name!r}: the payload has {len(payload.encode()):,} bytes, over the limit of {limit:,}. "
                "Pass a reference (a path, a key) instead, or raise max_payload."
            )
        return payload

    def load(
        self, payload: str, upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Arguments by name, as `bind` gave them.

        Args:
            payload: as stored.
            upgrade: turns arguments of an older signature into today's; tried when they don't fit.

        Raises:
            InvalidPayload: it doesn't fit the signature any more.
        """
        if not payload.startswith(PREFIX):
            raise InvalidPayload(
                f"task {self._name!r}: unknown payload format {payload[:20]!r}; upgrade queuekit"
            )
        text = payload[len(PREFIX) : -1]
        try:
            bound: dict[str, Any] = self._values.load(text)
        except InvalidPayload:
            if upgrade is None:
                raise
            bound = self._values.check(upgrade(json.loads(text)))
        return bound

    def shown(self, payload: str) -> dict[str, Any]:
        """Stored arguments for people to look at. Never raises.

        Returns:
            What `load` gives if they fit today's signature, else the JSON values that are stored; nothing if the
            payload holds none. The surplus is called ``*args`` and ``**kwargs``, as in `bind`.
        """
        try:
            return self.load(payload)
        except Exception:  # noqa: BLE001  # a validator may raise anything
            stored = _json_or(payload, None)
        arguments = stored.get("a") if isinstance(stored, dict) else None
        return arguments if isinstance(arguments, dict) else {}

    def spread(self, bound: dict[str, Any]) -> "Call":
        """Arguments by name, those that are filled in among them, as the function takes them."""
        if self._simple:
            return Call((), bound)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for p in self._parameters:
            if _field(p) not in bound:
                continue
            value = bound[_field(p)]
            match p.kind:
                case p.VAR_POSITIONAL:
                    args.extend(value)
                case p.VAR_KEYWORD:
                    kwargs.update(value)
                case p.KEYWORD_ONLY:
                    kwargs[p.name] = value
                case _:
                    args.append(value)
        return Call(tuple(args), kwargs)

    def _bind_by_signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidPayload(
                f"task {self._name!r}: {error}; its signature is {self._signature}"
            ) from None
        parameters = self._signature.parameters
        checked: dict[str, Any] = self._values.check(
            {_field(parameters[name]): value for name, value in bound.arguments.items()}
        )
        return checked


class Call(NamedTuple):
    """Arguments as a function takes them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _field(parameter: inspect.Parameter) -> str:
    match parameter.kind:
        case parameter.VAR_POSITIONAL:
            return f"*{parameter.name}"
        case parameter.VAR_KEYWORD:
            return f"**{parameter.name}"
        case _:
            return parameter.name


def _hint(parameter: inspect.Parameter, hint: Any) -> Any:
    match parameter.kind:
        case parameter.VAR_POSITIONAL:
            return NotRequired[list[hint]]
        case parameter.VAR_KEYWORD:
            return NotRequired[dict[str, hint]]
        case _:
            return hint if parameter.default is parameter.empty else NotRequired[hint]


def _has_own_config(hint: Any) -> bool:
    # pydantic refuses a configuration from outside for these
    return (
        hasattr(hint, "model_fields")
        or hasattr(hint, "__pydantic_config__")
        or hasattr(hint, "__dataclass_fields__")
    )


def _mentions_models(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        if schema.get("type") in {"model", "dataclass"}:
            return True
        return any(_mentions_models(part) for part in schema.values())
    return isinstance(schema, (list, tuple)) and any(_mentions_models(part) for part in schema)


def _json_or(text: str, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


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


def _explain(what: str, error: ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in detail['loc']) or 'value'}: {detail['msg']}"
        f" (got {type(detail['input']).__name__})"
        for detail in error.errors(include_url=False, include_context=False)
    ]
    return f"{what}: {'; '.join(lines)}"
