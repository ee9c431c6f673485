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


class Script(NamedTuple):
    """One file of the schema.

    Attributes:
        digest: tells it from another one of its name; the same for all schemas.
    """

    name: str
    text: str
    digest: str


class Statements:
    """Statements by name; the files say ``queuekit.`` where the schema's name belongs."""

    def __init__(self, namespace: str) -> None:
        self.schema = quoted(namespace)
        self._texts = dict(chain.from_iterable(sections(s.text) for s in self.scripts("sql")))

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def scripts(self, folder: str) -> list[Script]:
        """The files of a folder, by name."""
        return [self._script(path) for path in sorted((_FOLDER / folder).glob("*.sql"))]

    def _script(self, path: Path) -> Script:
        text = rendered(path.read_text("utf-8"))
        return Script(path.stem, _QUALIFIER.sub(f"{self.schema}.", text), digest(text))
