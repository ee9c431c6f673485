"""The `Queuekit` object that a verb works with."""

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

from queuekit import config
from queuekit.app import Queuekit
from queuekit.loading import load_app

T = TypeVar("T")


def open_app(spec: str | None, url: str | None) -> Queuekit:
    """The app of ``module:attribute`` (or of the settings), on another store if a URL is given.

    Raises:
        ConfigurationError: there is no such app, or a setting is wrong.
    """
    if url is not None:
        # for an app that reads it, and for child processes, which load the app anew
        os.environ["QUEUEKIT_URL"] = url
    app = load_app(spec)
    if url is not None:
        app.settings = app.settings.model_copy(update={"url": config.load(url=url).url})
    return app


def open_store(spec: str | None, url: str | None) -> Queuekit:
    """What verbs need that can do without tasks: the app, unless only a URL is given, or a bare object.

    Raises:
        ConfigurationError: there is no such app, or a setting is wrong.
    """
    if spec or (url is None and config.load().app):
        return open_app(spec, url)
    return Queuekit(url)


def run(qk: Queuekit, work: Coroutine[Any, Any, T]) -> T:
    """Do something while the store is open."""

    async def inside() -> T:
        async with qk:
            return await work

    try:
        return asyncio.run(inside())
    finally:
        work.close()


__all__ = ["open_app", "open_store", "run"]
