"""Where statements are found."""

import re
from pathlib import Path

import queuekit_sqlite
from queuekit.codes import sections
from queuekit_sqlite.statements import SQL

PACKAGE = Path(queuekit_sqlite.__file__).parent


def concern(path: Path) -> str:
    """The module that a file is, or is a part of."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_a_statement_stands_in_the_file_of_the_module_that_runs_it() -> None:
    stands = {
        (path.stem, name)
        for path in (PACKAGE / "sql").glob("*.sql")
        for name, _ in sections(path.read_text())
    }
    runs = {
        (concern(path), name)
        for path in PACKAGE.rglob("*.py")
        if path.name != "statements.py"
        for name in re.findall(r'"(\w+)"', path.read_text())
        if name in SQL
    }
    assert stands == runs
    assert len(stands) == len(SQL)  # no two have one name
