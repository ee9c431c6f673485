"""The Lua scripts: loaded from ``lua/``, with the shared parts that each one uses put before it.

Leading comments of a file say which shared files it needs (``-- uses: ...``) and which keys it touches
(``-- keys: ...``); arguments and answer are described there, too. The constants in capitals that no file defines are
those of `queuekit.codes`.
"""

import re
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Final, NamedTuple

from queuekit.codes import rendered
from queuekit_redis.statements.keys import NAMESPACE_KEYS, QUEUE_KEYS

LUA: Final = files("queuekit_redis") / "lua"
ORDER: Final = (*QUEUE_KEYS, *NAMESPACE_KEYS)


class Script(NamedTuple):
    """A script as the server gets it, and the keys it wants, in order."""

    name: str
    text: str
    digest: str
    keys: tuple[str, ...]


@cache
def script(name: str) -> Script:
    """The script of a file in ``lua/``."""
    parts: dict[str, str] = {}
    _collect(f"{name}.lua", parts)
    wanted = set().union(*(_header("keys", part) for part in parts.values()))
    keys = tuple(key for key in ORDER if key in wanted)
    names = ", ".join(f"{key} = KEYS[{number}]" for number, key in enumerate(keys, 1))
    base = rendered((LUA / "shared" / "base.lua").read_text())
    text = "\n".join([base, f"local key = {{{names}}}", *parts.values()])
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest(), keys)


def _collect(path: str, parts: dict[str, str]) -> None:
    """Add a file after those that it uses."""
    if path in parts:
        return
    text = rendered(LUA.joinpath(path).read_text())
    for used in _header("uses", text):
        _collect(f"shared/{used}.lua", parts)
    parts[path] = text


def _header(what: str, text: str) -> list[str]:
    lines: list[str] = re.findall(rf"^-- {what}: (.*)$", text, re.MULTILINE)
    return " ".join(lines).split()
