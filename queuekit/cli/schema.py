"""``queuekit schema``: the tables of backends that have some."""

from collections.abc import Sequence

import typer

from queuekit.app import Queuekit
from queuekit.backend import Backend, HasSchema
from queuekit.cli import options
from queuekit.cli.output import emit, say
from queuekit.cli.store import open_store, run
from queuekit.errors import ConfigurationError
from queuekit.registry import backend_class

verbs = typer.Typer(no_args_is_help=True, help="The tables of a backend that has some.")


@verbs.command()
def show(
    app: options.AppOption = None, url: options.Url = None, as_json: options.Json = False
) -> None:
    """Print the whole schema as a script, for those who apply it by hand."""
    qk = open_store(app, url)
    # Not opened: who may create no tables wants to read it all the same.
    backend = backend_class(qk.settings.url)(qk.settings.url, qk.settings.backend)
    script = _with_schema(backend).schema_show()
    if as_json:
        emit({"schema": script})
    else:
        typer.echo(script)


@verbs.command()
def apply(
    app: options.AppOption = None, url: options.Url = None, as_json: options.Json = False
) -> None:
    """Bring the schema up to date."""
    qk = open_store(app, url)
    applied = run(qk, _apply(qk))
    if as_json:
        emit({"applied": applied})
    else:
        say(f"applied: {', '.join(applied)}" if applied else "the schema is up to date")


async def _apply(qk: Queuekit) -> Sequence[str]:
    return await _with_schema(await qk.backend()).schema_apply()


def _with_schema(backend: Backend) -> HasSchema:
    if not isinstance(backend, HasSchema):
        raise ConfigurationError(
            f"{type(backend).__name__} has no schema: there is nothing to show or apply."
        )
    return backend
