"""Where an app is found again, say by a child process."""

import sys
from collections.abc import Iterable
from inspect import getattr_static
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from queuekit.errors import ConfigurationError
from queuekit.tasks import Tasks


class Location(NamedTuple):
    """Where an app is: a module's name or a script's path, and the attribute."""

    source: str
    attribute: str

    @property
    def is_script(self) -> bool:
        """Whether the source is a path."""
        return self.source.endswith(".py")

    def resolved(self) -> "Location":
        """The same from any folder."""
        return self._replace(source=str(Path(self.source).resolve())) if self.is_script else self


def location_of(tasks: Tasks) -> Location:
    """Where the app of these tasks is found again.

    Raises:
        ConfigurationError: it is no global variable of a script, or of a module that knows one of its tasks.
    """
    if tasks.script is not None:
        return Location(*tasks.script)
    names = dict.fromkeys(task.function.__module__ for task in tasks.values())
    for module in _modules([*names, "__main__"]):
        for attribute, value in vars(module).items():
            # Without running code of whatever else is there.
            if getattr_static(value, "tasks", None) is tasks:
                script = (
                    getattr(module, "__file__", None) if module.__name__ == "__main__" else None
                )
                return Location(script or module.__name__, attribute).resolved()
    raise ConfigurationError(
        "Child processes can't find this app: make the Queuekit object a global variable of a module with its tasks"
    )


def _modules(names: Iterable[str]) -> Iterable[ModuleType]:
    return [sys.modules[name] for name in names if name in sys.modules]
