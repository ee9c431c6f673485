"""The SQL of this backend: in ``sql/`` a file for each module that runs statements; ``schema/`` makes the tables.

Each statement stands below its name (see `queuekit.codes.sections`). The names in capitals that they say are those of
`queuekit.codes`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from queuekit.codes import rendered, sections

_FOLDER: Final = Path(__file__).parent


def statements(package: Path) -> dict[str, str]:
    """The statements of a package, by name."""
    texts = _texts(package / "sql").values()
    return {name: statement for text in texts for name, statement in sections(text)}


def migrations(package: Path) -> dict[str, str]:
    """The steps that make a package's tables, by name and in order."""
    return _texts(package / "schema")


def _texts(folder: Path) -> dict[str, str]:
    return {path.stem: rendered(path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))}


SQL: Final = statements(_FOLDER)
MIGRATIONS: Final = migrations(_FOLDER)

MANY: Final = 100
"""Rows of one INSERT: half the time of an INSERT a row, and within any SQLite's limit of 999 values."""


def _of_many_rows(insert: str) -> str:
    before, _, after = insert.partition("VALUES (")
    row, _, rest = after.partition(")")
    return f"{before}VALUES {', '.join([f'({row})'] * MANY)}{rest}"


OF_MANY_ROWS: Final[Mapping[str, str]] = {"insert_plain": _of_many_rows(SQL["insert_plain"])}
