"""Run the code of one page of documentation, as a reader would who types it in: ``python run_page.py PAGE``.

The ```python and ```sql blocks of a page are run in order. Python blocks share a namespace and an event loop; a block
with ``title="name.py"`` is that file, and is imported. Whatever a block prints must be what its ``# comments`` say.
"""

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import logging
import os
import re
import sys
import textwrap
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import asyncpg

import queuekit
from queuekit import log

FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block; `line` is where its text begins."""

    language: str
    title: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text("utf-8")
    return [
        Block(
            found[2],
            title[1] if (title := re.search(r'title="([^"]+)"', found[3])) else None,
            textwrap.dedent(found[4]),
            text.count("\n", 0, found.start(4)) + 1,
        )
        for found in FENCE.finditer(text)
    ]


def run_page(page: Path) -> str:
    """Run it; what it printed."""
    output = io.StringIO()
    names: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner, contextlib.redirect_stdout(output):
        for block in blocks(page):
            match block.language:
                case "python" if block.title:
                    Path(block.title).write_text(block.text, "utf-8")
                    importlib.import_module(block.title.removesuffix(".py"))
                case "python":
                    _run_python(_compiled(block, page), names, runner)
                case "sql":
                    runner.run(_run_sql(block.text))
        for app in _apps(names):
            runner.run(app.close())
            app.close_sync()
    return output.getvalue()


def expected(page: Path) -> list[str]:
    """What its comments say that it prints."""
    python = (block.text for block in blocks(page) if block.language == "python")
    return [found[1] for text in python for found in PRINTED.finditer(text)]


def _compiled(block: Block, page: Path) -> CodeType:
    code: CodeType = compile(
        "\n" * (block.line - 1) + block.text,
        str(page),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    return code


def _run_python(code: CodeType, names: dict[str, Any], runner: asyncio.Runner) -> None:
    # A block that awaits nothing runs without a loop, as the *_sync methods want it.
    if code.co_flags & inspect.CO_COROUTINE:
        runner.run(eval(code, names))  # a coroutine, by that flag
    else:
        exec(code, names)


async def _run_sql(text: str) -> None:
    connection = await asyncpg.connect(os.environ["QUEUEKIT_URL"])
    try:
        # Pages say "queuekit", the default; tests have a schema of their own.
        await connection.execute(text.replace("queuekit.", f"{os.environ['QUEUEKIT_NAMESPACE']}."))
    finally:
        await connection.close()


def _apps(names: dict[str, Any]) -> list[queuekit.Queuekit]:
    found = [*names.values(), *(getattr(m, "qk", None) for m in list(sys.modules.values()))]
    return list({id(app): app for app in found if isinstance(app, queuekit.Queuekit)}.values())


def main() -> None:
    """Run the page of the command line."""
    page = Path(sys.argv[1])
    sys.path.insert(0, str(Path.cwd()))
    log.configure("critical")
    logging.getLogger("queuekit").setLevel(logging.CRITICAL)
    printed, promised = run_page(page).splitlines(), expected(page)
    assert printed == promised, f"printed {printed}, promised {promised}"


if __name__ == "__main__":
    main()
