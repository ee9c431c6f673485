"""From ``module:attribute`` to the `Queuekit` object."""

import importlib
import pkgutil
import runpy
import sys
from pathlib import Path

from queuekit import config
from queuekit.app import Queuekit
from queuekit.errors import ConfigurationError
from queuekit.location import Location


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
        found.tasks.script = location.resolved()
    return found


def _attributes(location: Location) -> dict[str, object]:
    if location.is_script:
        return runpy.run_path(location.source, run_name="__queuekit_child__")
    return vars(importlib.import_module(location.source))


def _import_all(name: str) -> None:
    """A module, or all modules of a folder such as ``tasks/``."""
    package = name.strip("/").replace("/", ".")
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"[tool.queuekit] tasks = {name!r}: {error}") from error
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{package}."):
        importlib.import_module(found.name)
