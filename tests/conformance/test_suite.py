"""The suite has no exceptions: neither in its cases nor in the files that run it."""

import ast
import importlib.util
import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import queuekit.testing.conformance as suite
from queuekit.testing.conformance import Conformance, SideConformance

CASES = sorted(
    path for path in Path(suite.__file__).parent.glob("*.py") if not path.name.startswith("_")
)
RUNNERS = sorted(
    path for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name
)
WAYS_OUT = {"skip", "skipif", "xfail", "importorskip", "fail", "exit", "param", "usefixtures"}
CAPABILITY_CHECKS = {"isinstance", "issubclass", "getattr", "hasattr", "type", "callable"}
STORES = {"backend", "other", "lossy", "store"}

each_file = pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
each_runner = pytest.mark.parametrize("path", RUNNERS, ids=lambda path: path.stem)


@each_file
def test_no_case_skips_or_asks_what_the_backend_is(path: Path) -> None:
    used = {name for node in ast.walk(_tree(path)) for name in _names(node)}
    assert not used & (WAYS_OUT | CAPABILITY_CHECKS)


@each_file
def test_no_branch_depends_on_a_backend(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.If, ast.IfExp, ast.While)):
            assert not STORES & {name for part in ast.walk(node.test) for name in _names(part)}


@each_file
def test_every_case_runs_to_its_end(path: Path) -> None:
    for case in _cases(path):
        own = list(_own_statements(case))
        assert not [node for node in own if isinstance(node, (ast.If, ast.Return, ast.Try))]


@each_file
def test_every_case_asserts_something(path: Path) -> None:
    helpers = {
        function.name
        for source in Path(suite.__file__).parent.glob("*.py")
        for function in ast.walk(_tree(source))
        if isinstance(function, (ast.AsyncFunctionDef, ast.FunctionDef))
        and any(isinstance(node, ast.Assert) for node in ast.walk(function))
    }
    helpers |= {"raises", "wait_for"}
    for case in _cases(path):
        called = {name for node in ast.walk(case) for name in _names(node)}
        asserts = any(isinstance(node, ast.Assert) for node in ast.walk(case))
        assert asserts or called & helpers, case.name


def test_no_case_hides_another_of_its_name() -> None:
    names = Counter(case.name for path in CASES for case in _cases(path))
    assert [name for name, count in names.items() if count > 1] == []


def test_all_cases_are_collected() -> None:
    written = {case.name for path in CASES for case in _cases(path)}
    collected = {name for name, _ in _collected()}
    assert collected == written
    assert len(collected) >= 120


@each_runner
def test_a_backend_runs_every_case_as_it_is(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"checked_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (runner,) = [
        found
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, Conformance) and found is not Conformance
    ]
    assert runner.__name__.startswith("Test")
    for name, case in _collected():
        assert getattr(runner, name) is case


@each_runner
def test_a_backends_file_adds_nothing_but_fixtures(path: Path) -> None:
    used = {name for node in ast.walk(_tree(path)) for name in _names(node)}
    assert not used & (WAYS_OUT | {"delattr", "setattr", "pytestmark", "__test__", "mark"})
    for node in ast.walk(_tree(path)):
        assert not isinstance(node, ast.Delete)


def _collected() -> Iterator[tuple[str, object]]:
    for kind in (Conformance, SideConformance):
        for name, case in inspect.getmembers(kind):
            if name.startswith("test_"):
                yield name, case


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _cases(path: Path) -> Iterator[ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return [name]
        case _:
            return []


def _own_statements(function: ast.AST) -> Iterator[ast.AST]:
    """All but those of functions defined inside, which may return."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from _own_statements(node)
