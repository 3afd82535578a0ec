"""Models of a user's own: in the script that runs, in the recipe's package, in a package from elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptlab.experiment import load_from_dir, runs
from gptlab.experiment.recipe_file import packages_of
from gptlab.storage import StorageError

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "training"
RECIPE = """
import os, sys
from collections.abc import Iterator
from pathlib import Path
import attrs
from gptlab.experiment import FlatRunOptions, Recipe, RunOptions, load_from_dir, main, run
from gptlab.training import TrainerConfig
from gptlab.types import Batch
from tiny_torch import Counting
{model}

@attrs.frozen
class Data:
    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(Counting().get_data_generator(start), start):
            if number == 3 and "STOP" in os.environ:
                raise KeyboardInterrupt
            yield batch

@attrs.frozen(kw_only=True)
class Settings:
    '''A model of one's own.'''
    trainer: TrainerConfig = TrainerConfig(steps=5, checkpoint_every=2, warmup_steps=0)
    run: FlatRunOptions = RunOptions()

def recipe(settings):
    return Recipe(data=Data(), model=Model(), trainer=settings.trainer)

if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        print(type(load_from_dir(Path(sys.argv[2]))).__name__)
    else:
        sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
"""
OWN = "from tiny_torch import TinyModel\n\nclass Model(TinyModel): ...\n"


def python(folder: Path, *arguments: str, stop: bool = False) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, TINY, folder))), "OMP_NUM_THREADS": "1"}
    env |= {"STOP": "1"} if stop else {}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=280, check=False)


def trained(folder: Path, *program: str) -> Path:
    """Run a recipe, stopped once in the middle and gone on with from a checkpoint; its run."""
    stopped = python(folder, *program, stop=True)
    assert stopped.returncode != 0 and "--resume" in stopped.stderr + stopped.stdout
    resumed = python(folder, *program, "--resume", "latest")
    assert resumed.returncode == 0, resumed.stderr
    (run,) = runs(folder / "experiments")
    return run.path


@pytest.mark.slow
def test_a_model_in_the_script_itself_is_trained_resumed_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "lonely_recipe.py"
    script.write_text(RECIPE.format(model=OWN))
    run = trained(tmp_path, "lonely_recipe.py")
    assert '"class": "lonely_recipe.Model"' in (run / "model" / "config.json").read_text()
    assert python(tmp_path, "lonely_recipe.py", "load", str(run)).stdout == "Model\n"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(TINY)
    assert type(load_from_dir(run, recipe_file=script)).__module__ == "lonely_recipe"  # by another program


@pytest.mark.slow
def test_a_model_of_the_recipes_package_is_loaded_and_one_from_elsewhere_only_by_name(tmp_path: Path) -> None:
    package = tmp_path / "mine_of_eight"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text(OWN)
    (package / "recipe.py").write_text(RECIPE.format(model="from mine_of_eight.parts import Model"))
    run = trained(tmp_path, "-m", "mine_of_eight.recipe")
    loaded = python(tmp_path, "-m", "mine_of_eight.recipe", "load", str(run))
    assert loaded.stdout == "Model\n", loaded.stderr
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    script = foreign / "alone.py"
    script.write_text(RECIPE.format(model="from tiny_torch import TinyModel as Model"))
    run = trained(foreign, "alone.py")  # the run itself has the class at hand
    with pytest.raises(StorageError) as caught:
        load_from_dir(run, recipe_file=script)
    assert "tiny_torch.TinyModel" in str(caught.value) and 'say allow=("tiny_torch",)' in str(caught.value)


def test_the_package_of_a_file_is_the_topmost(tmp_path: Path) -> None:
    inner = tmp_path / "top" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    assert packages_of(inner / "recipe.py") == ("top",) == packages_of(tmp_path / "top" / "recipe.py")
    assert packages_of(tmp_path / "recipe.py") == ("recipe",) and packages_of(None) == ()
