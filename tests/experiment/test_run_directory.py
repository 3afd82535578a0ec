"""Run directories: atomic, unique, and loaded by the recipe that made them."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

import gptlab.experiment.run_directory as module
from gptlab.experiment import ExperimentError, RunDirectory, latest_unfinished, recipe_text, root_file, runs
from gptlab.experiment.environment import git_state, patch
from gptlab.experiment.recipe_file import difference

NOON = datetime(2026, 11, 24, 12, 0, 0)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "my_recipe.py"
    path.write_text("steps = 10\nwidth = 64\n")
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts of the environment have their own test; here they cost half a second each."""
    monkeypatch.setattr(module, "environment", lambda folder: {"gptlab": "test"})
    monkeypatch.setattr(module, "patch", lambda folder: "")


def create(root: Path, recipe: Path, config: object = None) -> RunDirectory:
    return RunDirectory.create(root, recipe, config, clock=lambda: NOON)


def test_a_run_holds_recipe_settings_and_environment(tmp_path: Path, recipe: Path) -> None:
    config = {"trainer": {"steps": 5}, "title": "Ký tự"}
    run = RunDirectory.create(tmp_path / "a" / "runs", recipe, config, seeds={"data": 7}, data={"dump": "ab12"})
    assert (run.path / "recipe.txt").read_text() == recipe.read_text() == run.recipe
    assert run.config == config and "Ký tự" in (run.path / "config.json").read_text(encoding="utf-8")
    assert run.environment["seeds"] == {"data": 7} and run.environment["data"] == {"dump": "ab12"}
    assert run.environment["recipe"] == str(recipe)
    assert not run.is_finished and run.summary is None and not run.has_patch
    assert run.plots.is_dir() and run.log.name == "log.txt" and run.report.name == "report.html"
    assert [path.name for path in run.path.parent.iterdir()] == [run.name]  # nothing hidden is left behind


def test_runs_of_one_second_have_names_of_their_own(tmp_path: Path, recipe: Path) -> None:
    names = [create(tmp_path / "runs", recipe).name for _ in range(11)]
    assert names == ["20261124_120000", *(f"20261124_120000_{number}" for number in range(2, 12))]
    assert [run.name for run in runs(tmp_path / "runs")] == names  # 10 and 11 come after 9


def _create_many(root: Path, recipe: Path) -> None:
    for _ in range(5):
        create(root, recipe, os.getpid())


def test_processes_that_begin_at_once_do_not_share_a_directory(tmp_path: Path, recipe: Path) -> None:
    workers = [
        multiprocessing.get_context("fork").Process(target=_create_many, args=(tmp_path / "runs", recipe))
        for _ in range(6)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    made = runs(tmp_path / "runs")
    assert len(made) == 30
    owners = [run.config for run in made]
    assert all(owners.count(worker.pid) == 5 for worker in workers)
    assert len(list((tmp_path / "runs").iterdir())) == 30


def test_the_same_recipe_loads(tmp_path: Path, recipe: Path) -> None:
    run = create(tmp_path / "runs", recipe)
    assert RunDirectory.load(run.path, recipe) == run


def test_a_changed_recipe_is_shown_and_refused(tmp_path: Path, recipe: Path) -> None:
    run = create(tmp_path / "runs", recipe)
    (run.path / "patch.diff").write_text("x")
    recipe.write_text("steps = 20\nwidth = 64\n")
    with pytest.raises(ExperimentError) as caught:
        RunDirectory.load(run.path, recipe)
    assert str(caught.value) == (
        f"the run {run.path} was made by another version of my_recipe.py\n"
        f"  got     --- {run.name}/recipe.txt\n"
        f"          +++ {recipe}\n"
        f"          @@ -1,2 +1,2 @@\n"
        f"          -steps = 10\n"
        f"          +steps = 20\n"
        f"           width = 64\n"
        f"  wanted  the file as it ran, {run.path}/recipe.txt\n"
        f"  Either restore it: cp {run.path}/recipe.txt {recipe}"
        f"   (and the code below it: git apply {run.path}/patch.diff)\n"
        f"  or say that the difference does not matter: allow_changed_recipe=True (--allow_changed_recipe)."
    )
    assert RunDirectory.load(run.path, recipe, allow_changed_recipe=True) == run


def test_what_is_no_run_is_refused(tmp_path: Path, recipe: Path) -> None:
    for path, got in ((tmp_path, "a folder without them"), (tmp_path / "x", "no such folder")):
        with pytest.raises(ExperimentError) as caught:
            RunDirectory.load(path, recipe)
        assert str(caught.value) == (
            f"the run {path}\n  got     {got}\n  wanted  a run directory, which holds recipe.txt and config.json\n"
            "  Look for it with: python -m gptlab.experiment list"
        )


def test_a_file_in_the_way_is_one_clear_error(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExperimentError) as caught:
        create(tmp_path / "file" / "runs", recipe)
    assert str(caught.value) == (
        f"a run directory in {tmp_path}/file/runs\n"
        f"  got     Not a directory\n  wanted  folders on the way\n"
        f"  Remove or rename the file that is in the way, or choose another path."
    )


@pytest.mark.parametrize(
    ("number", "wanted", "do"),
    [
        (
            errno.ENOSPC,
            "a disk with room",
            "Free some space, or choose a folder on another disk; what was finished is kept.",
        ),
        (errno.EACCES, "permission", "Change its permissions, or choose another path."),
        (errno.EROFS, "a file system that can be written", "Choose a folder elsewhere."),
    ],
)
def test_a_disk_that_fails_leaves_nothing(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, number: int, wanted: str, do: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "fsync", fail)
    with pytest.raises(ExperimentError) as caught:
        create(tmp_path / "runs", recipe)
    assert str(caught.value) == (
        f"a run directory in {tmp_path}/runs\n  got     {os.strerror(number)}\n  wanted  {wanted}\n  {do}"
    )
    assert list((tmp_path / "runs").iterdir()) == []


def test_settings_that_are_no_json_are_refused_before_anything_is_made(tmp_path: Path, recipe: Path) -> None:
    for config in ({"path": Path("x")}, {"loss": float("nan")}):
        with pytest.raises(ExperimentError, match=r"wanted  JSON\n  Pass it through gptlab.storage.to_config"):
            create(tmp_path / "runs", recipe, config)
    assert not (tmp_path / "runs").exists()


def test_finishing_marks_a_run_and_the_newest_unfinished_one_is_found(tmp_path: Path, recipe: Path) -> None:
    root = tmp_path / "runs"
    assert latest_unfinished(root, recipe, {"a": (1, 2)}) is None
    first, second, other = (create(root, recipe, config) for config in ({"a": [1, 2]}, {"a": [1, 2]}, {"a": [3]}))
    assert latest_unfinished(root, recipe, {"a": (1, 2)}) == second
    second.finish({"loss": 2.5})
    second.finish({"loss": 2.0})
    assert second.is_finished and second.summary == {"loss": 2.0}
    assert latest_unfinished(root, recipe, {"a": (1, 2)}) == first
    recipe.write_text("changed = True\n")
    assert latest_unfinished(root, recipe, {"a": (1, 2)}) is None
    assert latest_unfinished(root, recipe, {"a": [3]}) is None and not other.is_finished


def test_broken_files_of_a_run_are_named(tmp_path: Path, recipe: Path) -> None:
    run = create(tmp_path / "runs", recipe)
    (run.path / "config.json").write_text('{"a": ')
    with pytest.raises(
        ExperimentError, match=r"config.json\n  got     no JSON: Expecting value.*\n  wanted  the file as"
    ):
        _ = run.config
    (run.path / "config.json").unlink()
    with pytest.raises(ExperimentError, match=r"config.json\n  got     No such file or directory\n"):
        _ = run.config


def test_the_root_file_here_is_this_test() -> None:
    assert root_file() == Path(__file__).resolve()


PROBE = "from gptlab.experiment import root_file\ndef where():\n    return root_file()\nprint(where())\n"


@pytest.mark.parametrize("way", ["script", "module", "imported"])
def test_the_root_file_under_every_way_of_starting(tmp_path: Path, way: str) -> None:
    package = tmp_path / "kitchen"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "recipe.py").write_text(PROBE if way != "imported" else PROBE.replace("print(where())", ""))
    (package / "other.py").write_text("from kitchen.recipe import where\nprint(where())\n")
    arguments = {
        "script": ["kitchen/recipe.py"],
        "module": ["-m", "kitchen.recipe"],
        "imported": ["-m", "kitchen.other"],
    }
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, *arguments[way]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == package / ("other.py" if way == "imported" else "recipe.py")


IN_CREATE = (
    "from pathlib import Path\nfrom gptlab.experiment import RunDirectory\n"
    "RunDirectory.create(Path('runs'), None, {})\n"
)


@pytest.mark.parametrize("code", [PROBE, IN_CREATE])
def test_typed_code_has_no_root_file(tmp_path: Path, code: str) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.endswith(
        "the recipe's file\n  got     code that was typed in, or came by `python -c`\n"
        "  wanted  a Python file, which is kept with the run\n"
        "  Put the recipe into a file, or say which file it is with recipe_file=.\n"
    )
    assert not (tmp_path / "runs").exists()


def test_in_a_notebook_the_notebook_is_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell has no file either; Jupyter's server tells the notebook's path in the environment."""
    notebook = tmp_path / "my notebook.ipynb"
    notebook.write_text('{"cells": []}')
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "JPY_SESSION_NAME": str(notebook)}
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == notebook
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    assert root_file() == Path(__file__).resolve()  # a file in the frames is surer than the environment


def test_a_notebook_is_its_code_cells_whatever_they_printed(tmp_path: Path) -> None:
    def write(output: str) -> str:
        cells = [
            {"cell_type": "markdown", "source": ["# Title"]},
            {
                "cell_type": "code",
                "source": ["a = 1\n", "b = 2"],
                "outputs": [output],
                "execution_count": len(output),
            },
            {"cell_type": "code", "source": ["print(a)\n"], "outputs": []},
        ]
        path = tmp_path / "x.ipynb"
        path.write_text(json.dumps({"cells": cells}))
        return recipe_text(path)

    assert write("1") == write("22") == "# %%\na = 1\nb = 2\n\n# %%\nprint(a)\n\n"


@pytest.mark.parametrize(
    ("name", "data", "got"),
    [
        ("a.py", None, "No such file or directory"),
        ("a.py", b"\xff", "UnicodeDecodeError: "),
        ("a.ipynb", b"{", "JSONDecodeError: "),
        ("a.ipynb", b"[]", "TypeError: "),
    ],
)
def test_an_unreadable_recipe_is_refused(tmp_path: Path, name: str, data: bytes | None, got: str) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ExperimentError) as caught:
        recipe_text(path)
    text = str(caught.value)
    assert (
        text.startswith(f"the recipe {path}\n  got     {got}")
        and "wanted  a readable Python file or notebook" in text
    )


def test_differences_are_cut_and_line_ends_are_told() -> None:
    assert difference("a\n", "a\n", "x", "y") == ""
    assert difference("a\n", "a", "x", "y") == "(they differ in line ends only)"
    long = difference("", "\n".join("abcdefghij" * 10), "x", "y", limit=5)
    assert len(long.splitlines()) == 6 and long.endswith("… 98 lines more")


def test_a_patch_restores_the_code_that_ran(tmp_path: Path) -> None:
    def git(*arguments: str, folder: Path = tmp_path / "one") -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return done.stdout

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    assert git_state(one) is None and patch(one) == ""
    git("init", "-q", "-b", "main")
    (one / "a.py").write_text("a = 1\n")
    (one / ".gitignore").write_text("junk\n")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("clone", "-q", str(one), str(two))
    state = git_state(one)
    assert state is not None and state["commit"] == git("rev-parse", "HEAD").strip()
    assert (state["branch"], state["dirty"]) == ("main", False) and patch(one) == ""
    (one / "a.py").write_text("a = 2\n")
    (one / "new ü.py").write_text("b = 1")
    (one / "junk").write_text("x")
    (one / "big.bin").write_bytes(b"0" * (2**20 + 1))
    state = git_state(one)
    assert state is not None and state["dirty"] and state["changed"] == 3
    (tmp_path / "patch.diff").write_text(patch(one / "."), encoding="utf-8")
    git("apply", str(tmp_path / "patch.diff"), folder=two)
    assert (two / "a.py").read_text() == "a = 2\n" and (two / "new ü.py").read_text() == "b = 1"
    assert not (two / "junk").exists() and not (two / "big.bin").exists()


def test_what_a_killed_beginning_left_is_removed(tmp_path: Path, recipe: Path) -> None:
    left = tmp_path / "runs" / ".run.1-abc.gptlab-tmp"
    left.mkdir(parents=True)
    (left / "recipe.txt").write_text("half of it")
    run = RunDirectory.create(tmp_path / "runs", recipe, {})
    assert list((tmp_path / "runs").iterdir()) == [run.path]
