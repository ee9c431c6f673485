"""Which tests use which statements, so that a mutant is tried with those only that can see it."""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from queuekit_postgres.statements import Statements
from queuekit_redis.statements import Scripts
from queuekit_sqlite.statements import SQL
from tests.mutants.generate import Mutant

_PART: Final = re.compile(r"\bFUNCTION\s+queuekit\.(\w+)|^-- name: (\w+)$", re.MULTILINE)
_CALLED: Final = re.compile(r"\bqueuekit\.(\w+)\s*\(")
_OF_EVERY_SCRIPT: Final = "base"
_USED: Final = re.compile(r"^-- uses: (.*)$", re.MULTILINE)

used: set[str] = set()
"""The verbs whose statements this process has used; to be emptied by who wants to know anew."""


class _Recording(dict[str, str]):
    def __getitem__(self, name: str) -> str:
        used.add(name)
        return super().__getitem__(name)


def record() -> None:
    """From now on `used` tells."""
    recording = _Recording(SQL)
    for module in [m for name, m in sys.modules.items() if name.startswith("queuekit_sqlite.")]:
        if getattr(module, "SQL", None) is SQL:
            setattr(module, "SQL", recording)  # noqa: B010
    _record_first_argument(Statements, "__getitem__")
    _record_first_argument(Scripts, "call")


def _record_first_argument(owner: type, method: str) -> None:
    original: Callable[..., Any] = getattr(owner, method)

    def recording(self: object, name: str, *args: Any, **kwargs: Any) -> Any:
        used.add(name)
        return original(self, name, *args, **kwargs)

    setattr(owner, method, recording)


def part(mutant: Mutant) -> str:
    """What it is a mutant of: a statement, a script or a function of the schema."""
    found = [*_PART.finditer(mutant.path.read_text("utf-8"), 0, mutant.start)]
    return found[-1][1] or found[-1][2] if found else mutant.path.stem


def parts(package: Path) -> Mapping[str, set[str]]:
    """The parts that the statement of each verb consists of."""
    direct: defaultdict[str, set[str]] = defaultdict(set)
    verbs = set[str]()
    for path in [*package.rglob("*.sql"), *package.rglob("*.lua")]:
        text = path.read_text("utf-8")
        head, *named = _PART.split(text)
        # A statement and the function that does its work may have the same name.
        for function, statement, body in zip(named[::3], named[1::3], named[2::3], strict=True):
            direct[function or statement] |= {*_mentioned(body)}
            verbs |= {statement} if statement else set()
        if not named:
            direct[path.stem] |= {*_mentioned(head)}
            verbs.add(path.stem)
    return {verb: _closure(verb, direct) for verb in verbs}


def _mentioned(text: str) -> Iterator[str]:
    yield from _CALLED.findall(text)
    for line in _USED.findall(text):
        yield from line.split()


def _closure(start: str, direct: Mapping[str, set[str]]) -> set[str]:
    found, new = set[str](), {start, _OF_EVERY_SCRIPT}
    while new:
        found |= new
        new = {name for one in new for name in direct.get(one, ())} - found
    return found
