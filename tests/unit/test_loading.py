"""From ``module:attribute`` or ``file.py:attribute`` to an app, and back."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from queuekit import ConfigurationError, Queuekit
from queuekit.loading import load, load_app
from queuekit.location import Location, location_of

APP = """
from queuekit import Queuekit

qk = Queuekit("sqlite://")

@qk.task
def task() -> None: ...
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory; what is imported from it is forgotten afterwards."""
    for name in ("URL", "APP", "TASKS"):
        monkeypatch.delenv(f"QUEUEKIT_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(tmp_path)])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]
    importlib.invalidate_caches()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_module_of_the_working_directory(folder: Path) -> None:
    write(folder, {"loaded_app.py": APP})

    qk = load_app("loaded_app:qk")

    assert list(qk.tasks) == ["task"]
    assert location_of(qk.tasks) == ("loaded_app", "qk")
    assert load(location_of(qk.tasks)) is qk


def test_a_script_by_its_path(folder: Path) -> None:
    write(folder, {"scripts/app.py": APP})

    relative, absolute = load_app("scripts/app.py:qk"), load_app(f"{folder}/scripts/app.py:qk")

    assert list(relative.tasks) == list(absolute.tasks) == ["task"]
    for app in (relative, absolute):
        assert location_of(app.tasks) == (f"{folder}/scripts/app.py", "qk")
    assert Location("scripts/app.py", "qk").is_script
    assert not Location("scripts.app", "qk").is_script


def test_a_script_that_runs_is_found_by_its_path(folder: Path) -> None:
    ask = "from queuekit.location import location_of\nprint(*location_of(qk.tasks))\n"
    write(folder, {"script.py": APP + ask})

    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, check=True, cwd=folder
    )

    assert done.stdout.split() == [str(folder / "script.py"), "qk"]


def test_a_process_job_of_a_script_that_runs_finds_its_app(folder: Path) -> None:
    script = """
import asyncio, os
from queuekit import Queuekit

qk = Queuekit("sqlite:///queue.db")

@qk.task(executor="process")
def pid() -> int:
    return os.getpid()

async def main() -> None:
    async with qk, qk.worker():
        pids = [os.getpid(), await (await pid.enqueue()).result(timeout=50)]
    print(*pids)

if __name__ == "__main__":
    asyncio.run(main())
"""
    write(folder, {"script.py": script})

    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, check=True, cwd=folder
    )

    parent, child = map(int, done.stdout.splitlines()[-1].split())
    assert parent != child


def test_an_app_that_no_module_has_can_not_be_found(folder: Path) -> None:
    write(folder, {"loaded_app.py": APP})
    qk = load_app("loaded_app:qk")
    sys.modules["loaded_app"].__dict__.pop("qk")

    for lost in (qk, Queuekit("sqlite://")):
        with pytest.raises(ConfigurationError, match="a global variable of a module"):
            location_of(lost.tasks)


def test_the_app_of_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, {"loaded_app.py": APP})
    with pytest.raises(ConfigurationError, match="Which app"):
        load_app()

    monkeypatch.setenv("QUEUEKIT_APP", "loaded_app:qk")

    assert load_app() is load_app("loaded_app:qk")


@pytest.mark.parametrize("tasks", ['"jobs/"', '"jobs"', '["jobs.mail", "jobs.deep.reports"]'])
def test_modules_with_tasks_are_imported_with_the_app(folder: Path, tasks: str) -> None:
    task = "from loaded_app import qk\n\n@qk.task\ndef {}() -> None: ...\n"
    write(
        folder,
        {
            "loaded_app.py": APP,
            "jobs/__init__.py": "",
            "jobs/mail.py": task.format("mail"),
            "jobs/deep/__init__.py": "",
            "jobs/deep/reports.py": task.format("report"),
            "pyproject.toml": f'[tool.queuekit]\napp = "loaded_app:qk"\ntasks = {tasks}\n',
        },
    )

    assert sorted(load_app().tasks) == ["mail", "report", "task"]


def test_modules_with_tasks_that_are_not_there(folder: Path) -> None:
    write(
        folder,
        {
            "loaded_app.py": APP,
            "pyproject.toml": '[tool.queuekit]\napp = "loaded_app:qk"\ntasks = "jobs/"\n',
        },
    )

    with pytest.raises(ConfigurationError, match=r"tasks = 'jobs/': No module named 'jobs'"):
        load_app()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("loaded_app", "not of the form module:attribute"),
        (":qk", "not of the form"),
        ("loaded_app:", "not of the form"),
        ("nowhere:qk", "Can't import 'nowhere'"),
        ("loaded_app:task", "loaded_app:task is SyncTask, not a Queuekit object"),
        ("loaded_app:nothing", "has no 'nothing'"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, spec: str, says: str) -> None:
    write(folder, {"loaded_app.py": APP})

    with pytest.raises(ConfigurationError, match=says):
        load_app(spec)
