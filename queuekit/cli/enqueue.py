"""``queuekit enqueue``: store a job by hand."""

import json
import sys
from typing import Annotated, Any

import typer

from queuekit.cli import options
from queuekit.cli.output import emit, say
from queuekit.cli.store import open_app, run


def enqueue(
    task: Annotated[str, typer.Argument(help="The task's name.")],
    arguments: Annotated[
        str,
        typer.Argument(metavar="JSON", help="Its arguments as a JSON object; - reads stdin."),
    ] = "{}",
    app: options.AppOption = None,
    url: options.Url = None,
    queue: Annotated[str | None, typer.Option(help="Default: the task's.")] = None,
    delay: Annotated[
        float | None, typer.Option(parser=options.duration, metavar="DURATION", help="90, 15m, 2h.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100; smaller is earlier.")] = None,
    key: Annotated[str | None, typer.Option(help="Unique key within the queue.")] = None,
    as_json: options.Json = False,
) -> None:
    """Store a job, its arguments checked against the task's signature."""
    text = sys.stdin.read() if arguments == "-" else arguments
    _refuse_unless_object(text)
    qk = open_app(app, url)
    given = {"queue": queue, "delay": delay, "priority": priority, "key": key}
    chosen: Any = {name: value for name, value in given.items() if value is not None}
    found = qk.tasks.find(task).with_options(**chosen)
    handle = run(qk, qk.enqueue(found.job_of_json(text)))
    if as_json:
        emit({"id": handle.id, "queue": handle.queue, "deduplicated": handle.deduplicated})
    elif handle.deduplicated:
        say(f"{handle.id} holds the key: nothing new was stored")
    else:
        say(f"{handle.id} on queue {handle.queue}")


def _refuse_unless_object(text: str) -> None:
    try:
        value = json.loads(text)
    except RecursionError:
        return  # its task's signature says better what is wrong with it
    except ValueError as error:
        raise typer.BadParameter(f"the arguments are no JSON: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter(
            'the arguments must be a JSON object, say {"to": "ada@example.com"}'
        )
