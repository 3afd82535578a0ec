"""A run of one clone is loaded by another, and restored from its directory alone."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from clones import git, project, python

from gptlab.experiment import ExperimentError, RunDirectory, restore, runs
from gptlab.experiment.restore import Restored, _program


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run with changes which were not committed; the run was moved away from it."""
    one = project(tmp_path_factory.mktemp("here") / "one")
    (one / "helper.py").write_text("from more import HALF\nRATE = 4 * HALF\n")
    (one / "more.py").write_text("HALF = 5e-3\n")
    python(one, "-m", "tiny", "--width", "16")
    (run,) = runs(one / "experiments")
    away = one.parents[1] / "elsewhere" / run.name
    shutil.move(run.path, away)
    return one


def run_of(made: Path) -> RunDirectory:
    (run,) = runs(made.parents[1] / "elsewhere")
    return run


def losses(path: Path) -> list[str]:
    """The first 20 losses as they were written, to the last digit."""
    rows = [json.loads(line, parse_float=str) for line in path.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row][:20]


@pytest.mark.slow
def test_a_run_is_restored_from_its_directory_alone_to_the_bit(made: Path, tmp_path: Path) -> None:
    run = run_of(made)
    git(made, "checkout", "-q", "helper.py")  # nobody has the changes any more but the run
    (made / "more.py").unlink()
    (made / "tiny.py").write_text("raise SystemExit('another recipe')\n")
    git(made, "commit", "-qam", "two")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(made), str(clone))
    again = restore(run, tmp_path / "again", repositories=[clone])
    assert again.notes == () and again.recipe.read_text() == run.recipe
    assert (again.folder / "more.py").read_text() == "HALF = 5e-3\n"
    done = subprocess.run(again.command, shell=True, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    (second,) = runs(again.folder / "experiments")
    assert len(losses(run.metrics)) == 20 and losses(second.metrics) == losses(run.metrics)
    assert second.config == run.config and second.config["width"] == 16
    weights = "model/value/model.safetensors"
    assert (second.path / weights).read_bytes() == (run.path / weights).read_bytes()
    assert [entry["sha256"] for entry in second.data.values()] == [entry["sha256"] for entry in run.data.values()]
    git(made, "checkout", "-q", "HEAD~1")
    with pytest.raises(ExperimentError, match=r"got     something that is there\n  wanted  a new folder"):
        restore(run, tmp_path / "again")


LOAD = """
import sys
from pathlib import Path
from gptlab.experiment import load_from_dir
model = load_from_dir(Path(sys.argv[1]), recipe_file=Path("tiny.py"))
model.save_to_dir(Path("out"))
"""


@pytest.mark.slow
def test_a_run_of_one_clone_is_loaded_by_another_at_another_path(made: Path, tmp_path: Path) -> None:
    run = run_of(made)
    first = git(made, "rev-list", "--max-parents=0", "HEAD").strip()
    two = tmp_path / "deep" / "two"
    two.parent.mkdir()
    git(tmp_path, "clone", "-q", str(made), str(two))
    git(two, "checkout", "-q", first)
    python(two, "-c", LOAD, str(run.path))
    assert (two / "out" / "model.safetensors").read_bytes() == (
        run.path / "model/value/model.safetensors"
    ).read_bytes()
    (two / "tiny.py").write_text((two / "tiny.py").read_text().replace("steps=25", "steps=26"))
    refused = python(two, "-c", LOAD, str(run.path), check=False)
    assert refused.returncode == 1 and "+    trainer: TrainerConfig = TrainerConfig(steps=26" in refused.stderr
    assert f"cp {run.path / 'recipe.txt'} tiny.py" in refused.stderr and "allow_changed_recipe=True" in refused.stderr
    python(two, "-c", LOAD.replace('("tiny.py")', '("tiny.py"), allow_changed_recipe=True'), str(run.path))


def facts(tmp_path: Path, **more: object) -> RunDirectory:
    recipe = tmp_path / "my recipe.py"
    recipe.write_text("x = 1\n")
    run = RunDirectory.create(tmp_path / "runs", recipe, {})
    environment = run.environment | {"git": None, "gptlab_git": None} | more
    (run.path / "environment.json").write_text(json.dumps(environment))
    return run


def test_a_commit_that_no_clone_has_is_told(tmp_path: Path) -> None:
    run = facts(tmp_path, git={"root": str(tmp_path), "commit": "0" * 40})
    with pytest.raises(ExperimentError) as caught:
        restore(run, tmp_path / "again")
    assert str(caught.value).startswith("the commit " + "0" * 40) and "--repository PATH" in str(caught.value)
    assert not (tmp_path / "again").exists()


def test_a_patch_that_does_not_apply_is_told(tmp_path: Path) -> None:
    repository = tmp_path / "r"
    repository.mkdir()
    (repository / "a.py").write_text("a = 1\n")
    git(repository, "init", "-q")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "x")
    commit = git(repository, "rev-parse", "HEAD").strip()
    run = facts(tmp_path, git={"root": str(repository), "commit": commit})
    (run.path / "patch.diff").write_text("--- a/b.py\n+++ b/b.py\n@@ -1 +1 @@\n-x\n+y\n")
    with pytest.raises(ExperimentError, match=r"git apply in .*\n  got     error: b\.py"):
        restore(run, tmp_path / "again")


def test_without_version_control_the_recipe_alone_is_restored_and_that_is_said(tmp_path: Path) -> None:
    run = facts(tmp_path, gptlab="0.0.1", recipe="/gone/My Notebook.ipynb", command=["python"], folder="/gone")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a").write_text("now")
    entry = {"read by": "TextFiles", "bytes": 5, "sha256": "ab" * 32}
    run.record_data({"/gone/dump": entry, str(tmp_path / "texts"): entry, "cache": {"made by": "PackedRows"}})
    again = restore(run, tmp_path / "again")
    assert again.recipe == tmp_path / "again" / "code" / "My_Notebook.py" and again.recipe.read_text() == "x = 1\n"
    first, second, third, fourth = again.notes
    assert first.startswith("The recipe was under no version control") and second.startswith(
        "It ran with gptlab 0.0.1"
    )
    assert third == "TextFiles read /gone/dump, 5 bytes of SHA-256 abababababababab; it is not here."
    assert fourth.endswith("texts has other content now.")
    subprocess.run(again.command, shell=True, check=True)


@pytest.mark.parametrize(
    ("command", "ranks", "expected"),
    [
        (["-m", "recipes.x", "--steps", "5"], 1, ["-m", "recipes.x", "--steps", "5"]),
        (
            ["-u", "r.py", "--steps", "5"],
            2,
            ["-m", "torch.distributed.run", "--nproc-per-node", "2", "R", "--steps", "5"],
        ),
        (["-c", "from multiprocessing import x"], 1, ["R"]),
        (
            ["r.py", "--dump", "data/d.xml", "--cache", "data/c"],
            1,
            ["R", "--dump", "T/data/d.xml", "--cache", "data/c"],
        ),
    ],
)
def test_the_command_is_as_it_was_with_paths_that_are_still_there(
    tmp_path: Path, command: list[str], ranks: int, expected: list[str]
) -> None:
    (tmp_path / "data" / "c").mkdir(parents=True)
    (tmp_path / "data" / "d.xml").touch()
    notes: list[str] = []
    known = {"command": ["python", *command], "folder": str(tmp_path), "ranks": ranks}
    recipe = tmp_path / "again" / "r.py"
    program = _program(known, tmp_path / "again", recipe, notes)[1:]
    words = {"R": str(recipe), "T/data/d.xml": str(tmp_path / "data" / "d.xml")}
    assert program == [words.get(part, part) for part in expected]
    assert len(notes) == ("T/data/d.xml" in expected)


def test_what_is_restored_is_a_value() -> None:
    assert Restored(folder=Path("a"), recipe=Path("b"), command="c").notes == ()
