"""Mutants of guards: every conjunct of every WHERE, and every condition in Lua, dropped and inverted one at a time.

They are generated from the files, so that a new guard is guarded from the day it is written.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What ends a WHERE at its own depth of parentheses.
_END = re.compile(
    r"(ORDER\s+BY|GROUP\s+BY|LIMIT|RETURNING|FOR\s+(?:NO\s+KEY\s+)?UPDATE|FOR\s+SHARE|UNION|ON\s+CONFLICT|HAVING|WINDOW"
    r"|DO\s+(?:UPDATE|NOTHING)|LOOP|THEN|END)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z_]+")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one file.

    Attributes:
        guard: the text that is dropped or inverted, in one line; what the file has said before has a number behind it.
        change: ``drop`` or ``invert``.
        start, end: where it stands; `text` takes its place.
    """

    path: Path
    guard: str
    change: str
    start: int
    end: int
    text: str

    def name(self, root: Path) -> str:
        """Stable while the guard is: no line numbers."""
        return f"{self.path.relative_to(root)}: {self.change}: {self.guard}"


def applied(changes: Iterable[Mutant], source: str) -> str:
    """A file with changes, none of which is inside of another."""
    for mutant in sorted(changes, key=lambda mutant: mutant.start, reverse=True):
        source = source[: mutant.start] + mutant.text + source[mutant.end :]
    return source


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of one file."""
    source = path.read_text("utf-8")
    spans = _lua_conditions(source) if path.suffix == ".lua" else _sql_conjuncts(source)
    seen = Counter[str]()
    for start, end in spans:
        guard = source[start:end]
        short = " ".join(guard.split())
        seen[short] += 1
        short += f" #{seen[short]}" if seen[short] > 1 else ""
        if path.suffix == ".lua":
            drop, invert = "true", f"not ({guard})"
        else:  # a parameter that is used nowhere else is an error, which any test would see
            drop, invert = f"(TRUE OR {guard})", f"NOT ({guard})"
        yield Mutant(path, short, "drop", start, end, drop)
        yield Mutant(path, short, "invert", start, end, invert)


def _lua_conditions(source: str) -> Iterator[tuple[int, int]]:
    code = _blanked(source, r"--\[\[.*?\]\]|--[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
    for match in re.finditer(
        r"\b(?:if|elseif)\b(.*?)\bthen\b|\bwhile\b(.*?)\bdo\b", code, re.DOTALL
    ):
        group = 1 if match[1] is not None else 2
        yield from _split(code, *_stripped(source, *match.span(group)), r"\band\b")


def _sql_conjuncts(source: str) -> Iterator[tuple[int, int]]:
    code = _blanked(source, r"--[^\n]*|'(?:''|[^'])*'")
    for match in re.finditer(r"\bWHERE\b(?!\s+CURRENT)", code, re.IGNORECASE):
        if _is_of_an_index(code, match.start()):
            continue
        end = _end_of_where(code, match.end())
        yield from _split(code, *_stripped(source, match.end(), end), r"\bAND\b")


def _is_of_an_index(code: str, at: int) -> bool:
    """A partial index's WHERE guards speed, not behaviour; plan tests guard that."""
    statement = code[max(code.rfind(";", 0, at), 0) : at]
    return bool(re.search(r"\bCREATE\s+(UNIQUE\s+)?INDEX\b", statement, re.IGNORECASE))


def _end_of_where(code: str, start: int) -> int:
    depth, at = 0, start
    while at < len(code):
        character = code[at]
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth < 0:
                return at
        elif depth == 0 and code.startswith((";", "$$"), at):
            return at
        elif depth == 0 and (word := _WORD.match(code, at)):
            if _END.match(code, at):
                return at
            at = word.end()
            continue
        at += 1
    return len(code)


def _split(code: str, start: int, end: int, separator: str) -> Iterator[tuple[int, int]]:
    """At separators outside parentheses and CASE ... END; a BETWEEN keeps its AND. What has an OR stays whole."""
    pattern = re.compile(
        rf"[(){{}}]|\bBETWEEN\b|\bCASE\b|\bEND\b|{separator}|\bor\b", re.IGNORECASE
    )
    depth, between, first = 0, False, start
    pieces: list[tuple[int, int]] = []
    for match in pattern.finditer(code, start, end):
        word = match[0].upper()
        if word in {"(", "{", "CASE"}:
            depth += 1
        elif word in {")", "}", "END"}:
            depth -= 1
        elif depth:
            continue
        elif word == "OR":
            yield start, end
            return
        elif word == "BETWEEN":
            between = True
        elif between:
            between = False
        else:
            pieces.append((first, match.start()))
            first = match.end()
    pieces.append((first, end))
    for piece in pieces:
        a, b = _stripped(code, *piece)
        if a < b:
            yield a, b


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _blanked(source: str, pattern: str) -> str:
    """The source with comments and strings made blank, offsets kept."""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", "~", m[0]), source, flags=re.DOTALL)
