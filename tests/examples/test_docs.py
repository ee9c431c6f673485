"""What README and docs say is true: their code runs, their commands exist, their tables are complete."""

import dataclasses
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import typer

from docs.hooks import life, nights
from queuekit import Context, Queuekit, QueuekitError, State, config, errors
from queuekit.backend import Backend, Inspector, Schedules, Transfer
from queuekit.cli import app
from queuekit.config import Settings
from queuekit.job import JobOptions, Reason, new_id
from queuekit.lifecycle import ALLOWED, step
from queuekit.options import Options, TaskOptions, _Checked
from queuekit.record import Life
from queuekit.task import Task
from queuekit.worker.options import WorkerOptions
from tests.examples.run_page import Block, blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
TEXT = {page: page.read_text("utf-8") for page in PAGES}
ON_POSTGRES = {DOCS / "transactions.md"}
CHECKED = {"python", "sql", "bash", "console", "toml"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def having(*languages: str) -> list[Path]:
    return [page for page in PAGES if any(block.language in languages for block in blocks(page))]


def tables(page: str) -> Iterator[list[list[str]]]:
    """The rows of each table, without its head."""
    for _, lines in itertools.groupby(
        TEXT[DOCS / page].splitlines(), key=lambda line: line.startswith("|")
    ):
        rows = [re.split(r"(?<!\\)\|", line.strip("|")) for line in lines if line.startswith("|")]
        if rows:
            yield [[cell.strip() for cell in row] for row in rows[2:]]


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def first_names(rows: list[list[str]]) -> list[str]:
    return [code_in(row[0])[0] for row in rows]


# Code


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {(name(page), block.language) for page in PAGES for block in blocks(page)}
    assert not {(page, language) for page, language in kinds if language not in CHECKED}
    fences = {page: TEXT[page].count("```") for page in PAGES}
    assert fences == {page: 2 * len(blocks(page)) for page in PAGES}


def stores(page: Path) -> Sequence[str]:
    """The backends on which a page runs: on each, if it leaves the choice to the settings."""
    if page in ON_POSTGRES:
        return ("postgres",)
    return ("sqlite", "redis", "postgres") if "Queuekit()" in TEXT[page] else ("sqlite",)


STRICT = ("-W", "error", "-W", "ignore:Binding:DeprecationWarning")
"""Warnings are errors, but for one of sqlite3 in early Python 3.12, which takes ``?1`` for a named parameter."""


@pytest.mark.parametrize(
    ("page", "store"),
    [
        pytest.param(page, store, id=f"{name(page)}-{store}")
        for page in having("python", "sql")
        for store in stores(page)
    ],
)
def test_the_code_runs(
    page: Path, store: str, namespace: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = "sqlite://" if store == "sqlite" else request.getfixturevalue(f"{store}_url")
    run = subprocess.run(
        [sys.executable, *STRICT, str(Path(__file__).with_name("run_page.py")), str(page)],
        cwd=tmp_path,
        env={**os.environ, "QUEUEKIT_URL": url, "QUEUEKIT_NAMESPACE": namespace},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr


@pytest.mark.parametrize("page", having("toml"), ids=name)
def test_the_settings_are_accepted(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("REDIS_PASSWORD", "REDIS_HOST", "PGPASSWORD"):
        monkeypatch.setenv(variable, "x")
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.language == "toml":
            table = tomllib.loads(block.text)
            assert "queuekit" in table.get("tool", {}) or "entry-points" in table["project"]
            (tmp_path / "pyproject.toml").write_text(block.text)
            config.load()


# Commands


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block, without variables before them and what is behind a pipe."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if block.language == "console" and not line.startswith("$ "):
            continue
        words = shlex.split(line.removeprefix("$ "), comments=True)
        words = list(itertools.takewhile(lambda word: word not in {"|", "&", "<", ">"}, words))
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            check_variable(words.pop(0))
        if words:
            yield words


def check_variable(assignment: str) -> None:
    variable, _, value = assignment.partition("=")
    if variable.startswith("QUEUEKIT_TEST_"):
        return
    if variable.startswith("QUEUEKIT_"):
        setting = variable.removeprefix("QUEUEKIT_").lower()
        assert setting in Settings.model_fields, variable
        config.load(**{setting: value})


def check_queuekit(words: list[str]) -> None:
    """Parse it as the command line would."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        if words[0].startswith("-"):
            assert words[0] in {flag for p in command.params for flag in p.opts} | {"--help"}
            return
        command = command.commands[words.pop(0)]
    if "--help" not in words:
        command.make_context(command.name, words)


def check_make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) [?:]?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {word for word in words if "=" not in word} <= targets
    assert {word.partition("=")[0] for word in words if "=" in word} <= variables


def check_pip(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words.pop(0) == "install"
    for word in words:
        found = re.fullmatch(r"(?:queuekit|\.)(?:\[([a-z]+)\])?", word)
        assert word == "--editable" or found, word
        assert not found or not found[1] or found[1] in project["optional-dependencies"]


@pytest.mark.parametrize("page", having("bash", "console"), ids=name)
def test_the_commands_exist(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUEKIT_URL", "sqlite://")
    for block in blocks(page):
        for program, *words in commands(block) if block.language in {"bash", "console"} else ():
            match program:
                case "queuekit":
                    check_queuekit(words)
                case "python":
                    titles = {other.title for other in blocks(page)}
                    assert words[:2] == ["-m", "queuekit"] or words[0] in titles
                case "make":
                    check_make(words)
                case "pip":
                    check_pip(words)
                case "export":
                    check_variable(words[0])
                case _:
                    assert (ROOT / program).is_file(), f"who checks {program}?"


def test_cli_lists_all_verbs() -> None:
    root: Any = typer.main.get_command(app)
    verbs = {
        f"{verb} {sub}".strip()
        for verb, command in root.commands.items()
        for sub in getattr(command, "commands", {"": None})
    }
    assert set(itertools.chain.from_iterable(map(first_names, tables("cli.md")))) == verbs


# Tables


def transitions() -> dict[str, set[tuple[str, str]]]:
    """What the table as a function says: for each event, from where to where."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for event, states in ALLOWED.items():
        for state, cancel, delay, count in itertools.product(states, (0, 1), (0, 1), (0, 19)):
            life = Life(state, 1, lapses=count, crashes=count and 2, cancel_requested=bool(cancel))
            found[event].add((state, step(life, event, delay=delay).state or "gone"))
    return found


def test_the_table_of_lifecycle_is_the_one_of_the_code() -> None:
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    states = {*State, "gone"}
    table = next(rows for rows in tables("life-of-a-job.md") if rows[0][0] == "`enqueue`")
    for event, before, after, _ in table:
        told[code_in(event)[0]] |= {
            (one, other)
            for one in code_in(before) or ["-"]
            for other in code_in(after)
            if other in states
        }
    assert told.pop("enqueue") == {("-", "ready"), ("-", "scheduled"), ("-", "waiting")}
    assert told == transitions()


def test_the_picture_of_lifecycle_is_the_one_of_the_code() -> None:
    svg = ET.fromstring(life.draw())
    boxes = [box.get("data-state") for box in svg.findall(".//*[@data-state]")]
    assert sorted(boxes, key=str) == sorted(State)

    drawn: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for way in svg.findall(".//*[@data-from]"):
        read = " ".join(way.itertext()).lstrip("↻✕ ")
        assert read == way.get("data-events")
        for event in read.split(", "):
            drawn[event].add((way.attrib["data-from"], way.attrib["data-to"]))
    assert drawn.pop("enqueue") == {("new", "ready"), ("new", "scheduled"), ("new", "waiting")}
    assert drawn == transitions()


def test_an_arrow_that_nobody_has_placed_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(life.WAYS, (State.READY, State.RUNNING))
    with pytest.raises(LookupError, match="ready to running"):
        life.draw()


def test_life_of_a_job_names_all_states_and_reasons() -> None:
    names = [first_names(rows) for rows in tables("life-of-a-job.md")]
    assert list(State) in names
    assert [*Reason] in names


def test_all_options_are_listed_with_their_defaults() -> None:
    *_, of_both, of_decorator = tables("tasks-and-options.md")
    assert [*first_names(of_both), *first_names(of_decorator)] == [*_Checked.__annotations__]
    assert first_names(of_both) == [*Options.__annotations__]
    assert set(first_names(of_decorator)) == TaskOptions.__annotations__.keys() - set(
        first_names(of_both)
    )
    told = dict(zip(first_names(of_both), (row[-1] for row in of_both), strict=True))
    stored = JobOptions()
    for option in ("queue", "priority", "max_attempts", "max_crashes", "max_lapses"):
        assert told[option] == f"`{json.dumps(getattr(stored, option))}`"
    for option in ("key_policy", "key_until"):
        assert told[option] == f'`"{getattr(stored, option)}"`'


def default_cell(value: object) -> str:
    match value:
        case None:
            return "none"
        case float():
            return f"`{value:.0f}`"
        case _:
            return f"`{value}`"


def test_all_settings_are_listed_with_their_defaults() -> None:
    table = next(rows for rows in tables("configuration.md") if rows[0][0] == "`url`")
    assert first_names(table) == [*Settings.model_fields]
    for row, field in zip(table, Settings.model_fields.values(), strict=True):
        if field.default_factory is None:
            assert row[-1] == default_cell(field.default), row[0]


def test_all_worker_options_are_listed() -> None:
    table = next(rows for rows in tables("worker.md") if rows[0][0] == "`queues`")
    assert first_names(table) == [field.name for field in dataclasses.fields(WorkerOptions)]


def test_all_of_the_context_is_listed() -> None:
    table = next(rows for rows in tables("worker.md") if rows[0][0] == "`ctx.job_id`")
    told = {word.removeprefix("ctx.").partition("(")[0] for word in first_names(table)}
    assert told == {member for member in vars(Context) if not member.startswith("_")}


def test_all_errors_are_listed() -> None:
    defined = [
        error
        for error, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, QueuekitError)
    ]
    (table,) = tables("errors.md")
    assert first_names(table) == defined[1:]


def test_all_verbs_of_the_contract_are_listed() -> None:
    told = {
        word.partition("(")[0]
        for rows in tables("writing-a-backend.md")
        for word in first_names(rows)
    }
    members = (*vars(Backend), *vars(Inspector), *vars(Schedules), *vars(Transfer))
    verbs = {member for member in members if not member.startswith("_")}
    assert told == verbs - {"inspector", "schedules", "transfer"}


def test_completion_shows_what_the_reference_shows() -> None:
    page = (ROOT / "docs" / "reference" / "app.md").read_text("utf-8")
    qk = Queuekit("sqlite://")
    for made in (qk, qk.task(name="task")(lambda: None), qk.handle(new_id())):
        kind = Task if isinstance(made, Task) else type(made)
        found = re.search(rf"::: queuekit.{kind.__name__}\n.*?members: \[(.*?)\]", page, re.DOTALL)
        assert found is not None
        _, _, attributes = (kind.__doc__ or "").partition("Attributes:")
        told = re.findall(r"^        ([a-z_, ]+): ", attributes, re.MULTILINE)
        shown = {*found[1].split(", "), *", ".join(told).split(", ")} - {""}
        assert {one for one in dir(made) if not one.startswith("_")} == shown


def test_the_nights_show_what_fires() -> None:
    """A nightly job once in each, an hour of real time every hour."""
    dots = ET.fromstring(nights.draw()).iter("{http://www.w3.org/2000/svg}circle")
    seen = defaultdict(list)
    for dot in dots:
        seen[dot.attrib["data-rule"]].append(dot.attrib["data-at"][5:16])
    assert seen["30 2 * * *"] == ["03-29T01:00", "10-25T00:30"]
    assert seen["0 1-3 * * *"] == [
        *("03-29T00:00", "03-29T01:00"),
        *("10-24T23:00", "10-25T00:00", "10-25T02:00"),
    ]
    assert len(seen["every(3600)"]) == 14


# Links and the site


def test_links_out_of_the_root_pages_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT[page]):
            assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return folder


def test_the_site_has_all_pages_and_the_picture(site: Path) -> None:
    assert len(list(site.rglob("index.html"))) == len(list(DOCS.rglob("*.md")))
    assert (site / "life.svg").read_text("utf-8") == life.draw()
    assert (site / "nights.svg").read_text("utf-8") == nights.draw()


def test_the_glossary_is_in_order_and_each_word_can_be_linked(site: Path) -> None:
    page = (site / "glossary" / "index.html").read_text("utf-8")
    words = re.findall(r'<dt id="([^"]+)"><strong>([^<]+)</strong></dt>', page)
    assert len(words) == page.count("<dt") == page.count("<dd") > 0
    assert words == [(word.replace(" ", "-"), word) for word in sorted(word for _, word in words)]
    linked = set(re.findall(r"glossary\.md#([\w-]+)", "".join(TEXT.values())))
    linked |= set(re.findall(r"\(#([\w-]+)\)", TEXT[DOCS / "glossary.md"]))
    assert linked <= {anchor for anchor, _ in words}
