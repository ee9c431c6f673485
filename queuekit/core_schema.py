"""What pydantic's core schema of a type says about the way of its values through JSON."""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic_core import CoreSchema, core_schema

SCALARS: Final = frozenset({int, float, str, bool, type(None)})
"""Classes whose values JSON has."""

BOUNDS: Final = frozenset(
    {"type", "ref", "metadata", "strict", "ge", "gt", "le", "lt", "multiple_of", "allow_inf_nan"}
    | {"min_length", "max_length", "fail_fast"}
)
"""What a schema may say without changing a value."""

PLAIN: Final = {
    **dict.fromkeys(("int", "float", "str", "bool", "none", "bytes", "uuid", "date"), BOUNDS),
    **dict.fromkeys(("list", "set", "frozenset"), BOUNDS | {"items_schema"}),
    "tuple": BOUNDS | {"items_schema", "variadic_item_index"},
    "dict": BOUNDS | {"keys_schema", "values_schema"},
    "nullable": BOUNDS | {"schema"},
    "union": BOUNDS | {"choices"},
    "literal": BOUNDS | {"expected"},
    "typed-dict": BOUNDS
    | {"cls", "fields", "total", "config", "computed_fields", "extra_behavior"},
    "typed-dict-field": BOUNDS | {"schema", "required"},
}
"""What a schema of a kind may say so that each value of it arrives equal, and needs no proof."""

INSIDE: Final = (
    *("schema", "items_schema", "keys_schema", "values_schema", "choices", "fields", "definitions"),
    *("arguments_schema", "json_schema", "python_schema", "lax_schema", "strict_schema", "steps"),
    *("extras_schema", "extras_keys_schema", "var_args_schema", "var_kwargs_schema"),
)
"""Where a schema holds others."""


def is_plain(schema: Any, config: Mapping[str, Any]) -> bool:
    """Whether every value of the type arrives equal, whatever it is, if it can be written and is read with `config`."""
    kind = schema["type"]
    if not schema.keys() <= PLAIN.get(kind, frozenset()):
        return False
    match kind:
        case "tuple":
            return all(is_plain(item, config) for item in schema["items_schema"])
        case "dict":
            return _is_key(schema.get("keys_schema")) and _inside_is_plain(
                schema, "values_schema", config
            )
        case "union":
            return all(_is_scalar(choice) for choice in schema["choices"])
        case "literal":
            return all(type(value) is str for value in schema["expected"])
        case "typed-dict":
            return (
                _is_config(schema.get("config", {}), config)
                and not schema.get("computed_fields")
                and schema.get("extra_behavior") != "allow"
                and all(is_plain(field, config) for field in schema["fields"].values())
            )
        case "list" | "set" | "frozenset":
            return _inside_is_plain(schema, "items_schema", config)
        case "nullable" | "typed-dict-field":
            return _inside_is_plain(schema, "schema", config)
        case _:
            return True


def none_is_default(schema: Any) -> bool:
    """Whether all defaults are None; any other may be another one in another process, or tomorrow."""
    return all(
        "default_factory" not in part and part.get("default") is None for part in _parts(schema)
    )


def adapted(schema: CoreSchema) -> CoreSchema:
    """The schema with those parts replaced that could not be read as they are written.

    - A dataclass field with ``init=False`` is not written, since it is refused when it is read.
    - An iterable is read as a list at once: an iterator that waits can be consumed only once.
    - An enum with values that JSON does not have is written by the names of its members.
    - A time that must be to come, or past, need not be so any more when it is read.
    """
    found: CoreSchema = _rebuilt(schema)
    return found


def _rebuilt(part: Any) -> Any:
    match part:
        case {"type": "enum"}:
            return _by_name(part) if _needs_names(part) else part
        case {"now_op": _}:
            return _now_in_the_caller(part)
        case {"type": str()}:
            new = {key: _rebuilt(value) if key in INSIDE else value for key, value in part.items()}
            if new["type"] == "generator":
                new["type"] = "list"
            if new["type"] == "dataclass-field" and not new.get("init", True):
                new["serialization_exclude"] = True
            return new
        case dict():
            return {key: _rebuilt(value) for key, value in part.items()}
        case list() | tuple():
            return type(part)(_rebuilt(value) for value in part)
        case _:
            return part


def _parts(part: Any) -> Iterable[Mapping[str, Any]]:
    match part:
        case {"type": str()}:
            yield part
            for key in INSIDE:
                yield from _parts(part.get(key))
        case dict():
            for value in part.values():
                yield from _parts(value)
        case list() | tuple():
            for value in part:
                yield from _parts(value)
        case _:
            pass


def _inside_is_plain(schema: Any, key: str, config: Mapping[str, Any]) -> bool:
    return key in schema and is_plain(schema[key], config)


def _is_scalar(choice: Any) -> bool:
    return _is_bare(choice, {"int", "float", "str", "bool", "none"})


def _is_key(keys: Any) -> bool:
    return _is_bare(keys, {"int", "str"})


def _is_bare(schema: Any, kinds: set[str]) -> bool:
    return isinstance(schema, dict) and (
        schema["type"] in kinds and schema.keys() <= {"type", "metadata"}
    )


def _is_config(own: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    rest = {
        key: value for key, value in own.items() if key not in {"title", "extra_fields_behavior"}
    }
    return bool(rest == config)


def _needs_names(schema: Any) -> bool:
    return not all(type(member.value) in SCALARS for member in schema["members"])


def _by_name(schema: Any) -> Any:
    members: dict[str, enum.Enum] = dict(schema["cls"].__members__)

    def read(value: Any, by_value: Callable[[Any], Any]) -> Any:
        member = members.get(value) if isinstance(value, str) else None
        return by_value(value) if member is None else member

    def write(member: Any) -> Any:
        return member.name if isinstance(member, enum.Enum) else member

    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_wrap_validator_function(read, _without(schema, "ref")),
        python_schema=_without(schema, "ref"),
        serialization=core_schema.plain_serializer_function_ser_schema(write, when_used="json"),
        ref=schema.get("ref"),
    )


def _now_in_the_caller(schema: Any) -> Any:
    return core_schema.json_or_python_schema(
        json_schema=_without(schema, "ref", "now_op", "now_utc_offset"),
        python_schema=_without(schema, "ref"),
        ref=schema.get("ref"),
    )


def _without(schema: Any, *keys: str) -> Any:
    return {key: value for key, value in schema.items() if key not in keys}
