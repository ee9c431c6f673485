"""The SQL files, with the schema's name and the contract's numbers put in."""

import re
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from queuekit.codes import digest, rendered, sections
from queuekit.errors import ConfigurationError

_FOLDER: Final = Path(__file__).parent
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,40}")
_QUALIFIER: Final = re.compile(r"\bqueuekit\.")


def quoted(namespace: str) -> str:
    """The schema's name as an identifier.

    Raises:
        ConfigurationError: it could be none.
    """
    if not _NAME.fullmatch(namespace):
        raise ConfigurationError(
            f"namespace {namespace!r} can't be a schema of Postgres: use a-z, 0-9 and _, at most 41 of them."
        )
    return f'"{namespace}"'


class Migration(NamedTuple):
    """One step of the schema.

    Attributes:
        digest: of its file; another one is another step, whatever its name.
    """

    version: int
    name: str
    script: str
    digest: str


class Statements:
    """Statements by name; the files say ``queuekit.`` where the schema's name belongs."""

    def __init__(self, namespace: str) -> None:
        self.schema = quoted(namespace)
        files = [self._load(path) for path in (_FOLDER / "sql").glob("*.sql")]
        self._texts = dict(chain.from_iterable(map(sections, files)))

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def migrations(self) -> list[Migration]:
        """The steps that make the schema, in order."""
        return [
            Migration(int(path.stem[:3]), path.stem, self._load(path), digest(_text(path)))
            for path in sorted((_FOLDER / "schema").glob("*.sql"))
        ]

    def _load(self, path: Path) -> str:
        return _QUALIFIER.sub(f"{self.schema}.", _text(path))


def _text(path: Path) -> str:
    return rendered(path.read_text("utf-8"))
