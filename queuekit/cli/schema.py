"""``queuekit schema``: the tables of backends that have some."""

import asyncio
from collections.abc import Sequence

import typer

from queuekit.backend import Backend, HasSchema
from queuekit.cli import options
from queuekit.cli.output import emit, say
from queuekit.cli.store import open_store
from queuekit.errors import ConfigurationError
from queuekit.registry import backend_class

verbs = typer.Typer(no_args_is_help=True, help="The tables of a backend that has some.")


@verbs.command()
def show(
    app: options.AppOption = None, url: options.Url = None, as_json: options.Json = False
) -> None:
    """Print the whole schema as a script, for those who apply it by hand."""
    script = _with_schema(_backend(app, url)).schema_show()
    if as_json:
        emit({"schema": script})
    else:
        typer.echo(script)


@verbs.command()
def apply(
    app: options.AppOption = None, url: options.Url = None, as_json: options.Json = False
) -> None:
    """Bring the schema up to date, as every worker and producer does when it connects."""
    applied = asyncio.run(_apply(_backend(app, url)))
    if as_json:
        emit({"applied": applied})
    else:
        say(f"applied: {', '.join(applied)}" if applied else "the schema is up to date")


def _backend(app: str | None, url: str | None) -> Backend:
    """Not opened, as that would bring the schema up to date, which is to be told, or may not be allowed."""
    settings = open_store(app, url).settings
    return backend_class(settings.url)(settings.url, settings.backend)


async def _apply(backend: Backend) -> Sequence[str]:
    try:
        return await _with_schema(backend).schema_apply()
    finally:
        await backend.close()


def _with_schema(backend: Backend) -> HasSchema:
    if not isinstance(backend, HasSchema):
        raise ConfigurationError(
            f"{type(backend).__name__} has no schema: there is nothing to show or apply."
        )
    return backend
