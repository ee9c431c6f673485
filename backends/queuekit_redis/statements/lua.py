"""The Lua scripts: loaded from ``lua/``, each behind those parts of the shared files that it needs.

A shared file is a table of its name: ``life.leave(...)`` stands in ``lua/shared/life.lua``. Only what stands in
``base.lua`` has no table. What stands between two empty lines is a part, and a script gets the parts that it mentions,
directly or through others: every function that it defines costs each of its calls some time.

Leading comments of a file say which tables it uses (``-- uses: ...``) and which keys it touches (``-- keys: ...``);
arguments and answer are described there, too. The constants in capitals that no file defines are those of
`queuekit.codes`.
"""

import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha1
from importlib.resources import files
from itertools import chain
from typing import Final, NamedTuple

from queuekit.codes import rendered
from queuekit_redis.statements.keys import NAMESPACE_KEYS, QUEUE_KEYS

LUA: Final = files("queuekit_redis") / "lua"
ORDER: Final = (*QUEUE_KEYS, *NAMESPACE_KEYS)
BASE: Final = "base"
_COMMENT: Final = re.compile(r"^--.*\n|--.*", re.MULTILINE)
_BETWEEN: Final = re.compile(r"\n\n(?=\S)")
_DEFINED: Final = re.compile(
    r"^(?:local function|function|local) ([\w., ]+)|^(\w+\.\w+) =", re.MULTILINE
)
_MENTIONED: Final = re.compile(r"(?<![\w.])(\w+)(\.\w+)?")


class Script(NamedTuple):
    """A script as the server gets it, and the keys it wants, in order."""

    name: str
    text: str
    digest: str
    keys: tuple[str, ...]


class Part(NamedTuple):
    """A part of a shared file, and the names that it defines."""

    table: str
    text: str
    names: frozenset[str]


@cache
def script(name: str) -> Script:
    """The script of a file in ``lua/``."""
    own = read(f"{name}.lua")
    shared: dict[str, list[str]] = {BASE: []}
    for part in _needed(own):
        shared.setdefault(part.table, []).append(part.text)
    base = shared.pop(BASE)
    tables = (["local " + table + " = {}", "do", *some, "end"] for table, some in shared.items())
    code = "\n".join([*chain.from_iterable(tables), _COMMENT.sub("", own)])
    names = mentioned(code)
    keys = tuple(key for key in ORDER if f"key.{key}" in names)
    given = ", ".join(f"{key} = given[{number}]" for number, key in enumerate(keys, 1))
    text = "\n".join([*base, "local given = KEYS", f"local key = {{{given}}}", code])
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest(), keys)


def read(path: str) -> str:
    """A file in ``lua/`` with its comments, and with numbers for the names of constants."""
    return rendered(LUA.joinpath(path).read_text())


def header(what: str, text: str) -> list[str]:
    """The names that the comments of a file give as ``uses`` or ``keys``."""
    lines: list[str] = re.findall(rf"^-- {what}: (.*)$", text, re.MULTILINE)
    return " ".join(lines).split()


def parts(table: str) -> Iterator[Part]:
    """The parts of a shared file."""
    for text in _BETWEEN.split(_COMMENT.sub("", read(f"shared/{table}.lua"))):
        names = ", ".join(one or other for one, other in _DEFINED.findall(text))
        yield Part(table, text, frozenset(name.strip() for name in names.split(",")))


def mentioned(code: str) -> set[str]:
    """All names in some code, with and without what they are asked for."""
    found = _MENTIONED.findall(code)
    return {name for name, _ in found} | {name + field for name, field in found}


def _needed(own: str) -> list[Part]:
    """What a script mentions of the shared files, each of these after those that it uses."""
    tables = [BASE]
    _collect(own, tables)
    all_of_them = [part for table in tables for part in parts(table)]
    names, needed = mentioned(_COMMENT.sub("", own)), set[Part]()
    while new := {part for part in all_of_them if part.names & names} - needed:
        needed |= new
        names.update(*(mentioned(part.text) for part in new))
    return [part for part in all_of_them if part in needed]


def _collect(text: str, tables: list[str]) -> None:
    for table in header("uses", text):
        if table not in tables:
            _collect(read(f"shared/{table}.lua"), tables)
            tables.append(table)
