"""Imports only go down; torch comes in with the models; a recipe is a user of the library and nothing more."""

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    *("types", "pipeline", "storage", "pictures", "sources", "tokenizers", "graph", "packing"),
    *("models", "training", "benchmarks", "experiment", "testing"),
)
WITHOUT_TORCH = FLOORS[: FLOORS.index("models")]
# These need the hub's library and matplotlib, and nobody imports them who has not asked for a hub or a picture.
ASKED_FOR = ("gptlab.storage.hub", "gptlab.pictures", "gptlab.graph.report_pictures")
HEAVY = ("torch", "transformers", "matplotlib", "huggingface_hub", "ray", "tensorboard", "lm_eval")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, also inside functions; `from gptlab import x` counts as `gptlab.x`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively: write the whole name"
            module = node.module or ""
            names = [f"gptlab.{alias.name}" for alias in node.names] if module == "gptlab" else [module]
            yield from ((node.lineno, name) for name in names)


def floor_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "gptlab" and len(parts) > 1 and parts[1] in FLOORS else None


def upward(file: Path, floor: str) -> list[str]:
    """The imports of a file on `floor` that go up."""
    return [
        f"{file.name}:{line} on floor {floor} imports {module}"
        for line, module in imports(file)
        if (target := floor_of(module)) is not None and FLOORS.index(target) > FLOORS.index(floor)
    ]


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_go_down(floor: str) -> None:
    wrong = [line for file in sorted((ROOT / "gptlab" / floor).rglob("*.py")) for line in upward(file, floor)]
    assert not wrong


def test_every_folder_is_a_floor() -> None:
    folders = {file.parent.relative_to(ROOT / "gptlab").parts[:1] for file in (ROOT / "gptlab").rglob("*.py")}
    assert {parts[0] for parts in folders if parts} <= set(FLOORS)


def test_an_import_that_goes_up_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "low.py"
    file.write_text(
        "import gptlab.graph.walk\nfrom gptlab.types import Document\n"
        "def f():\n    from gptlab.models import Transformer\n    from gptlab import training\n"
    )
    assert upward(file, "storage") == [
        "low.py:1 on floor storage imports gptlab.graph.walk",
        "low.py:4 on floor storage imports gptlab.models",
        "low.py:5 on floor storage imports gptlab.training",
    ]
    assert upward(file, "training") == []


def test_nothing_imports_testing_back() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted((ROOT / "gptlab").rglob("*.py"))
        for line, module in imports(file)
        if floor_of(module) == "testing" and "testing" not in file.relative_to(ROOT).parts
    ]
    assert not wrong


def test_recipes_use_gptlab_and_the_standard_library_alone() -> None:
    allowed = {"gptlab", "recipes", "attrs", *sys.stdlib_module_names}
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in sorted((ROOT / "recipes").rglob("*.py"))
        for line, module in imports(file)
        if module.split(".")[0] not in allowed
    ]
    assert not wrong
    backwards = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted((ROOT / "gptlab").rglob("*.py"))
        for line, module in imports(file)
        if module.split(".")[0] in ("recipes", "experiments", "tests")
    ]
    assert not backwards


def loaded(statement: str, *modules: str, seconds: float = 60) -> list[str]:
    """Which of `modules` a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*(m for m in {modules!r} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.mark.parametrize(
    "floor", [floor for floor in WITHOUT_TORCH if (ROOT / "gptlab" / floor / "__init__.py").exists()]
)
def test_no_torch_below_the_models(floor: str) -> None:
    """Every module of the floor, not only what its `__init__` names."""
    files = sorted((ROOT / "gptlab" / floor).rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    names = [name for name in names if not name.endswith("__main__")]
    light = [name for name in names if not name.startswith(ASKED_FOR)]
    assert not loaded("\n".join(f"import {name}" for name in light), *HEAVY)
    assert set(loaded("\n".join(f"import {name}" for name in names), *HEAVY)) <= {"huggingface_hub", "matplotlib"}


def test_the_proof_can_fail() -> None:
    assert loaded("import torch", *HEAVY)[:1] == ["torch"]


@pytest.mark.parametrize("module", ["gptlab", "gptlab.pipeline"])
def test_importing_is_quick_and_needs_no_torch(module: str) -> None:
    """Under 0.3 s of the interpreter's own time, the best of several: other work on the machine is not counted."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    assert not loaded(f"import {module}", *HEAVY)
    best, deadline = 9.0, time.monotonic() + 30
    while best > 0.3 and time.monotonic() < deadline:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        best = min(best, float(run.stdout))
    assert best < 0.3
