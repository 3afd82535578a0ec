"""`pytest --gptlab recipes/ my_stages/`: every part in these folders is put to its laws, with no test file written.

pytest loads this file in every session, so it imports nothing but pytest: neither gptlab, whose import hooks a
session may want to install first, nor Hypothesis, nor torch. All else happens once `--gptlab` is given.
"""

import ast
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

_LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--gptlab` and `--gptlab-examples`."""
    group = parser.getgroup("gptlab", "laws of pipeline parts")
    group.addoption(
        "--gptlab",
        action="store_true",
        help="put every stage, source, model, tokenizer, trainer and benchmark in modules with __test__ = True and "
        '__test_name__ = "..." to its laws',
    )
    group.addoption(
        "--gptlab-examples",
        type=int,
        default=20,
        metavar="N",
        help="inputs to try for each law (default: 20)",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A marked module, seen by reading it: nothing is imported that is not asked for."""
    if not parent.config.getoption("--gptlab") or file_path.suffix != ".py":
        return None
    marks = read_marks(file_path)
    if marks.get("__test__") is False:
        name = marks.get("__test_name__", "no name")
        parent.config.stash.setdefault(_LEFT_OUT, []).append(f"{_short(file_path, parent)}: {name}")
    if marks.get("__test__") is not True:
        return None
    from gptlab.testing.collecting import MarkedModule  # noqa: PLC0415

    module: pytest.Collector = MarkedModule.from_parent(parent, path=file_path)
    return module


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: Any) -> None:
    """doctest takes `__test__` for a dictionary of further tests and fails on a bool: hide it while it looks."""
    if type(collector).__name__ == "DoctestModule" and "__test__" in read_marks(collector.path):
        collector.collect = functools.partial(_collect_without_mark, collector, collector.collect)


def _collect_without_mark(node: Any, collect: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    module = node.obj
    mark, module.__test__ = module.__test__, {}
    try:
        yield from list(collect())
    finally:
        module.__test__ = mark


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What opted out."""
    nothing: list[str] = []
    left_out: list[str] = config.stash.get(_LEFT_OUT, nothing)
    if left_out:
        terminalreporter.section("gptlab: left out by __test__ = False")
        for line in sorted(set(left_out)):
            terminalreporter.line(line)


def read_marks(path: Path) -> dict[str, Any]:
    """`__test__` and `__test_name__` of a file, as far as they are written as constants at its top.

    >>> read_marks(Path(__file__))
    {}
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text) if "__test__" in text else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return {}  # whoever imports the file is told better
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("__test__", "__test_name__")
    }


def _short(path: Path, parent: pytest.Collector) -> str:
    root = parent.config.rootpath
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
