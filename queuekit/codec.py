"""Arguments and results to JSON text and back.

The payload is ``{"v":1,"a":{...}}``: arguments bound to their names, defaults not stored, bytes as base64. NaN and
infinities are refused (JSON has none), NUL and lone surrogates too (Postgres text holds neither), and whatever would
not arrive as it was sent. Nothing decodes and encodes a payload between `dump` and `load`, so digests over these bytes
stay valid.
"""

import inspect
import json
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, NotRequired

from typing_extensions import TypedDict

from queuekit.core_schema import SCALARS
from queuekit.errors import InvalidPayload, PayloadTooLarge
from queuekit.signature import signature_of
from queuekit.values import CONFIG, Values

PREFIX: Final = '{"v":1,"a":'


class Results:
    """The results of one task, to JSON text and back.

    Args:
        name: of the task, for messages.
        hint: the annotation of its result.
    """

    def __init__(self, name: str, hint: Any) -> None:
        self._is_int = hint is int
        self._none_fits = hint is None or hint is type(None) or hint is Any
        self._plain = SCALARS if hint is Any else frozenset[type]()
        # In a list of one the type inherits our configuration; pydantic takes none beside a bare dataclass.
        what = f"result of task {name!r}"
        self._values = Values(list[hint], what, CONFIG, noun="result", depth=1)

    def dump(self, result: Any) -> str:
        """JSON text of a result, or of what pydantic reads it as: a tuple for a list, an int for a float.

        Raises:
            InvalidPayload: it is not of the annotated type, or would not come back equal.
        """
        if result is None and self._none_fits:
            return "null"
        if self._is_int and type(result) is int and result.bit_length() < 64:
            return str(result)
        given = [result]
        value = self._values.check(given)
        if self._values.plain or type(result) in self._plain:
            return self._values.dump(value)[1:-1]
        return self._values.prove(value, given)[1:-1]

    def load(self, text: str) -> Any:
        """The result of a JSON text. Raises `InvalidPayload`."""
        return self._values.load(f"[{text}]")[0]

    def shown(self, text: str) -> Any:
        """A stored result for people to look at: as `load` gives it, else what is stored. Never raises."""
        try:
            return self.load(text)
        except BaseException:  # noqa: BLE001  # a validator may raise anything
            return _json_or(text, text)


class Arguments:
    """The arguments of one function, to a payload and back.

    Args:
        name: of the task, for messages.
        function: whose signature decides.
        filled_in: names of parameters that the worker passes; they are not part of the payload.

    Attributes:
        simple: whether all may be passed by name, so that there is nothing to `spread`.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], filled_in: Iterable[str] = ()
    ) -> None:
        self._name = name
        skipped = frozenset(filled_in)
        signature = signature_of(function)
        everything = tuple(signature.parameters.values())
        kept = [p for p in everything if p.name not in skipped]
        self._parameters = everything
        self._signature = signature.replace(parameters=kept, return_annotation=signature.empty)
        self._names = tuple(p.name for p in kept)
        self.simple = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in everything)
        fields = {_field(p): _hint(p) for p in kept}
        self._values = self._values_of(fields)
        self._check: Callable[[dict[str, Any]], dict[str, Any]] = self._values.check
        self._each: dict[str, Values] = {}
        self._plain = self._values.plain
        if not self._plain:
            self._check = self._check_and_keep
            self._each = {key: self._values_of({key: hint}) for key, hint in fields.items()}
        # Only these are looked at one by one.
        self._untyped = [_field(p) for p in kept if p.annotation is p.empty or p.annotation is Any]
        self._or_scalars = all(one.plain or key in self._untyped for key, one in self._each.items())

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name, checked; `inspect`-style names ``*args`` and ``**kwargs`` hold the surplus.

        Raises:
            InvalidPayload: they don't fit the signature.
        """
        if not self.simple or len(args) > len(self._names):
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
            InvalidPayload: they can't be written as JSON, or would not arrive equal.
            PayloadTooLarge: over `limit` bytes.
        """
        plain = self._plain or self._is_plain(bound)
        text = self._values.dump(bound) if plain else self._prove(bound)
        payload = f"{PREFIX}{text}}}"
        # A character is at most 4 bytes, so most payloads need not be encoded to be measured.
        if len(payload) * 4 > limit:
            self._refuse_if_over(limit, payload)
        return payload

    def take(self, text: str, limit: int) -> tuple[dict[str, Any], str]:
        """The arguments of a JSON object, and its payload, for doors at which there are no Python values.

        Raises:
            InvalidPayload: they don't fit the signature, or can't be stored.
            PayloadTooLarge: over `limit` bytes.
        """
        bound: dict[str, Any] = self._values.take(text)
        payload = f"{PREFIX}{text}}}"
        self._refuse_if_over(limit, payload)
        return bound, payload

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
            bound = self._read_upgraded(upgrade(json.loads(text)))
        return bound

    def shown(self, payload: str) -> dict[str, Any]:
        """Stored arguments for people to look at. Never raises.

        Returns:
            What `load` gives if they fit today's signature, else the JSON values that are stored; nothing if the
            payload holds none. The surplus is called ``*args`` and ``**kwargs``, as in `bind`.
        """
        try:
            return self.load(payload)
        except BaseException:  # noqa: BLE001  # a validator may raise anything
            stored = _json_or(payload, None)
        arguments = stored.get("a") if isinstance(stored, dict) else None
        return arguments if isinstance(arguments, dict) else {}

    def spread(self, bound: dict[str, Any]) -> "Call":
        """Arguments by name, those that are filled in among them, as the function takes them."""
        if self.simple:
            return Call((), bound)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for p in self._parameters:
            # A default that was left out is passed: what follows it would take its place.
            value = bound.get(_field(p), p.default)
            if value is p.empty:
                continue
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

    def _refuse_if_over(self, limit: int, payload: str) -> None:
        size = len(payload.encode())
        if size > limit:
            raise PayloadTooLarge(
                f"task {self._name!r}: the payload has {size:,} bytes, over the limit of {limit:,}. "
                "Pass a reference (a path, a key) instead, or raise max_payload."
            )

    def _read_upgraded(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """What is still JSON is read as such: bytes are base64, and some enums are names."""
        try:
            text = json.dumps(arguments)
        except (TypeError, ValueError):
            checked: dict[str, Any] = self._values.check(arguments)
            return checked
        read: dict[str, Any] = self._values.load(text)
        return read

    def _values_of(self, fields: dict[str, Any]) -> Values:
        make: Any = TypedDict
        shape = make(f"{self._name}_arguments", fields)
        shape.__pydantic_config__ = CONFIG
        try:
            return Values(shape, f"task {self._name!r}", spare_defaults=True)
        except InvalidPayload as error:
            if len(fields) > 1:
                for key, hint in fields.items():
                    self._values_of({key: hint})  # names the one that is at fault
                raise
            (key,) = fields
            raise InvalidPayload(f"parameter {key!r}: {error}") from error.__cause__

    def _check_and_keep(self, given: dict[str, Any]) -> dict[str, Any]:
        return Checked(self._values.check(given), given)

    def _is_plain(self, bound: dict[str, Any]) -> bool:
        return self._or_scalars and all(type(bound.get(key)) in SCALARS for key in self._untyped)

    def _prove(self, bound: dict[str, Any]) -> str:
        """Each argument is proved alone, since one may need another form than its neighbour."""
        given = bound.given if isinstance(bound, Checked) else bound
        texts = []
        for key, value in bound.items():
            one = self._each[key]
            if one.plain:
                texts.append(one.dump({key: value}))
            else:
                texts.append(one.prove({key: value}, {key: given[key]}))
        return f"{{{','.join(text[1:-1] for text in texts)}}}"

    def _bind_by_signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidPayload(
                f"task {self._name!r}: {error}; its signature is {self._signature}"
            ) from None
        parameters = self._signature.parameters
        return self._check(
            {_field(parameters[name]): value for name, value in bound.arguments.items()}
        )


class Checked(dict[str, Any]):
    """Checked arguments by name, and what they were made of."""

    def __init__(self, bound: dict[str, Any], given: dict[str, Any]) -> None:
        super().__init__(bound)
        self.given = given


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


def _hint(parameter: inspect.Parameter) -> Any:
    hint: Any = Any if parameter.annotation is parameter.empty else parameter.annotation
    match parameter.kind:
        case parameter.VAR_POSITIONAL:
            return NotRequired[list[hint]]
        case parameter.VAR_KEYWORD:
            return NotRequired[dict[str, hint]]
        case _:
            return hint if parameter.default is parameter.empty else NotRequired[hint]


def _json_or(text: str, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
