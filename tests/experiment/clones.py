"""A little project under version control, with a recipe that trains in a second and a copy of gptlab beside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import gptlab

RECIPE = '''"""A recipe of few steps on few sentences."""

import sys
from pathlib import Path

import attrs

from gptlab.experiment import FlatRunOptions, Recipe, RunOptions, main, run
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.packing import Collate, Concatenate, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import TextFiles
from gptlab.tokenizers import ByteTokenizer, Tokenize
from gptlab.training import TrainerConfig
from gptlab.types import Batch
from helper import RATE


@attrs.frozen(kw_only=True)
class Settings:
    """Train a very small model."""

    texts: Path = Path("texts")
    seed: int = 3
    width: int = 8
    trainer: TrainerConfig = TrainerConfig(steps=25, learning_rate=RATE, evaluate_every=100)
    cache: Path = Path(".cache")
    run: FlatRunOptions = RunOptions()


def recipe(settings: Settings = Settings()) -> Recipe[Batch]:
    rows = PackedRows(
        pipeline(TextFiles(settings.texts), Tokenize(ByteTokenizer()), Concatenate(32)), cache=settings.cache
    )
    cfg = DagTransformerConfig(layers=1, width=settings.width, heads=1, vocab_size=257, max_seq_len=32)
    return Recipe(
        data=pipeline(Shuffled(rows, seed=settings.seed), Collate(4)),
        model=DagTransformer.instantiate(cfg, seed=settings.seed),
        trainer=settings.trainer,
    )


if __name__ == "__main__":
    sys.exit(main(Settings, lambda settings: run(recipe(settings), settings, settings.run)))
'''
IDENTITY = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=120
    )
    return done.stdout


def project(folder: Path) -> Path:
    """Make the project, with one commit."""
    folder.mkdir(parents=True)
    source = Path(gptlab.__file__).parent
    shutil.copytree(source, folder / "gptlab", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tiny.py").write_text(RECIPE)
    (folder / "helper.py").write_text("RATE = 1e-3\n")
    (folder / ".gitignore").write_text("__pycache__/\n.cache/\n/experiments/\n")
    (folder / "texts").mkdir()
    for number in range(6):
        (folder / "texts" / f"{number}.txt").write_text(f"Town {number} lies by river {number % 3}. " * 12)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def python(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder of a project, with that project's gptlab."""
    env = os.environ | {"PYTHONPATH": str(folder), "GPTLAB_CHECKS": "first"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr + done.stdout
    return done
