"""From ``module:attribute`` to the `Queuekit` object, and back."""

import importlib
import pkgutil
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from queuekit import config
from queuekit.app import Queuekit
from queuekit.errors import ConfigurationError


class Location(NamedTuple):
    """Where an app is found: a module's name or a script's path, and the attribute."""

    source: str
    attribute: str

    @property
    def is_script(self) -> bool:
        """Whether the source is a path."""
        return self.source.endswith(".py")

    def resolved(self) -> "Location":
        """The same from any folder."""
        return self._replace(source=str(Path(self.source).resolve())) if self.is_script else self


_scripts: Final[WeakKeyDictionary[Queuekit, Location]] = WeakKeyDictionary()
"""where apps were found that no module has"""


def load_app(spec: str | None = None) -> Queuekit:
    """The app of ``module:attribute``, or of ``app`` in the settings; with it the modules of ``tasks``.

    Raises:
        ConfigurationError: there is no such module, attribute or app.
    """
    settings = config.load()
    spec = spec or settings.app
    if spec is None:
        raise ConfigurationError(
            'Which app? Pass module:attribute (say app:qk), or set it in pyproject.toml: [tool.queuekit] app = "app:qk"'
        )
    module, separator, attribute = spec.partition(":")
    if not separator or not module or not attribute:
        raise ConfigurationError(f"{spec!r} is not of the form module:attribute, say app:qk")
    app = load(Location(module, attribute))
    for name in [settings.tasks] if isinstance(settings.tasks, str) else settings.tasks or ():
        _import_all(name)
    return app


def load(location: Location) -> Queuekit:
    """The app at a location. Raises `ConfigurationError`."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = _attributes(location).get(location.attribute)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Can't import {location.source!r}: {error}. Run from the folder that holds it, or install it."
        ) from error
    if found is None:
        raise ConfigurationError(
            f"{location.source!r} has no {location.attribute!r}; is that the name of its Queuekit object?"
        )
    if not isinstance(found, Queuekit):
        raise ConfigurationError(
            f"{location.source}:{location.attribute} is {type(found).__name__}, not a Queuekit object"
        )
    if location.is_script:
        _scripts[found] = location.resolved()
    return found


def location_of(app: Queuekit) -> Location:
    """Where a child process finds the app again.

    Raises:
        ConfigurationError: it is no global variable of a script, or of a module that knows one of its tasks.
    """
    if app in _scripts:
        return _scripts[app]
    names = dict.fromkeys(task.function.__module__ for task in app.tasks.values())
    for module in _modules([*names, "__main__"]):
        for attribute, value in vars(module).items():
            if value is app:
                script = (
                    getattr(module, "__file__", None) if module.__name__ == "__main__" else None
                )
                return Location(script or module.__name__, attribute).resolved()
    raise ConfigurationError(
        "Child processes can't find this app: make the Queuekit object a global variable of a module with its tasks"
    )


def _attributes(location: Location) -> dict[str, object]:
    if location.is_script:
        return runpy.run_path(location.source, run_name="__queuekit_child__")
    return vars(importlib.import_module(location.source))


def _modules(names: Iterable[str]) -> Iterable[ModuleType]:
    return [sys.modules[name] for name in names if name in sys.modules]


def _import_all(name: str) -> None:
    """A module, or all modules of a folder such as ``tasks/``."""
    package = name.strip("/").replace("/", ".")
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"[tool.queuekit] tasks = {name!r}: {error}") from error
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{package}."):
        importlib.import_module(found.name)
