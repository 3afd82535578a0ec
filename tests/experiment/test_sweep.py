"""Sweeps: every combination, each run once, gone on with after a kill, compared at the end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from gptlab.experiment import (
    ExperimentError,
    FlatRunOptions,
    InProcess,
    LocalProcesses,
    Recipe,
    RunDirectory,
    RunOptions,
    Submitit,
    Sweep,
    runs,
    sweep,
    variants,
)
from gptlab.experiment.launchers import Job
from gptlab.experiment.sweep import default_settings
from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.packing import Collate, Concatenate, PackedRows, Shuffled
from gptlab.pipeline import pipeline
from gptlab.sources import TextFiles
from gptlab.storage import fingerprint
from gptlab.tokenizers import ByteTokenizer, Tokenize
from gptlab.training import TrainerConfig
from gptlab.types import Batch

ROOT = Path(__file__).parents[2]
QUICK = TrainerConfig(steps=4, checkpoint_every=2, evaluate_every=100, warmup_steps=0)
HERE = RunOptions()


@attrs.frozen(kw_only=True)
class Settings:
    """A very small model."""

    texts: Path = Path("texts")
    seed: int = 0
    width: int = 8
    trainer: TrainerConfig = QUICK
    cache: Path = Path(".cache")
    run: FlatRunOptions = HERE


def recipe(settings: Settings = Settings()) -> Recipe[Batch]:
    if settings.width == 13:
        raise ValueError("an unlucky width\n  got     13\n  wanted  another")
    rows = PackedRows(
        pipeline(TextFiles(settings.texts), Tokenize(ByteTokenizer()), Concatenate(16)), cache=settings.cache
    )
    cfg = DagTransformerConfig(layers=1, width=settings.width, heads=1, vocab_size=257, max_seq_len=16)
    return Recipe(
        data=pipeline(Shuffled(rows, seed=settings.seed), Collate(2)),
        model=DagTransformer.instantiate(cfg, seed=settings.seed),
        trainer=settings.trainer,
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("A town by a river. " * 20)
    yield tmp_path


def last_losses(made: Sweep) -> dict[str, float]:
    return {name: figures["loss"] for name, figures in made.figures().items()}


def test_every_combination_is_a_run_and_a_second_call_runs_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = sweep(recipe, {"width": [8, 16], "trainer.steps": [3]})
    assert list(made.runs) == ["width=8 steps=3", "width=16 steps=3"] and made.failures == {}
    assert {run.config["width"] for run in made.runs.values()} == {8, 16} and len(runs(made.folder)) == 2
    assert made.runs["width=16 steps=3"].recipe == Path(__file__).read_text()
    page = (made.folder / "comparison.html").read_text()
    assert "Sweep over width, trainer.steps" in page and "width=8 steps=3" in page
    assert "comparison: " in capsys.readouterr().out
    again = sweep(recipe, {"width": [8, 16], "trainer.steps": [3]})
    assert again.folder == made.folder and again.runs == made.runs and len(runs(made.folder)) == 2
    more = sweep(
        recipe, {"width": [8, 16, 24]}, attrs.evolve(Settings(), trainer=TrainerConfig(steps=1)), name="mine"
    )
    assert more.folder == Path("experiments/sweep_mine") and len(more.runs) == 3


# The debug queue of submitit leaves its logs open.
@pytest.mark.filterwarnings("ignore:unclosed file.*_log:ResourceWarning")
def test_processes_give_the_same_runs(folder: Path) -> None:
    grid = {"width": [8, 16]}
    here = sweep(recipe, grid, root=folder / "a")
    there = sweep(recipe, grid, root=folder / "b", launcher=LocalProcesses(processes=2))
    queue = Submitit(folder=folder / "jobs", cluster="debug", parameters={"timeout_min": 5})
    queued = sweep(recipe, grid, root=folder / "c", launcher=queue)
    assert last_losses(here) == last_losses(there) == last_losses(queued)
    assert {run.recipe for made in (here, there, queued) for run in made.runs.values()} == {
        Path(__file__).read_text()
    }


@pytest.mark.slow
def test_submitit_runs_jobs_in_processes_of_their_own(folder: Path) -> None:
    queue = Submitit(folder=folder / "jobs", cluster="local", parameters={"timeout_min": 5})
    made = sweep(recipe, {"width": [8]}, launcher=queue)
    assert list(made.runs) == ["width=8"] and any((folder / "jobs").rglob("*_result.pkl"))


@pytest.mark.parametrize("launcher", [InProcess(), LocalProcesses(processes=1)])
def test_a_variant_that_fails_does_not_keep_the_others(folder: Path, launcher: InProcess | LocalProcesses) -> None:
    with pytest.raises(ExperimentError) as caught:
        sweep(recipe, {"width": [13, 8]}, launcher=launcher)
    text = str(caught.value)
    assert "got     width=13: ValueError: an unlucky width; got     13; wanted  another" in text
    assert "wanted  2 variants that come to their end; 1 did" in text
    (sweep_folder,) = Path("experiments").iterdir()
    assert [run.is_finished for run in runs(sweep_folder)] == [True] and (sweep_folder / "comparison.html").exists()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fine() -> None:
    Path("fine").touch()


def test_a_process_that_is_killed_is_one_failure(folder: Path) -> None:
    jobs: list[Job] = [die, fine]
    assert LocalProcesses(processes=1).launch(jobs) == ["its process ended with code -9", None]
    assert Path("fine").exists()


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import attrs
import test_sweep
from gptlab.experiment import sweep, LocalProcesses, InProcess
from gptlab.training import TrainerConfig

if __name__ == "__main__":
    settings = attrs.evolve(test_sweep.Settings(), trainer=TrainerConfig(steps=int(sys.argv[1]), checkpoint_every=5,
        evaluate_every=10**6, warmup_steps=0))
    launcher = LocalProcesses(processes=1) if sys.argv[2] == "processes" else InProcess()
    sweep(test_sweep.recipe, {{"width": [8, 16, 24]}}, settings, name="broken", launcher=launcher,
        root=Path(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["in process", "processes"])
def test_a_sweep_that_is_killed_goes_on_where_it_was(folder: Path, way: str) -> None:
    """A real kill while the second variant trains; the end is that of a sweep that nobody disturbed."""
    script = folder / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "60", way, "broken"]
    place = folder / "broken" / "sweep_broken"
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not second_is_training(place):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    first, second = runs(place)[:2]
    assert first.is_finished and not second.is_finished
    before = (first.path / "finished.json").stat().st_mtime_ns
    wait_for_orphans(second)
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=200)
    assert len(runs(place)) == 3 and all(run.is_finished for run in runs(place))  # none was begun a second time
    assert (first.path / "finished.json").stat().st_mtime_ns == before
    steps = [json.loads(line)["step"] for line in second.metrics.read_text().splitlines()]
    assert len(set(steps)) == len(steps)  # what was trained before the kill was not trained again in the file
    subprocess.run(
        [*command[:3], "in process", "undisturbed"], env=env, check=True, stdout=subprocess.DEVNULL, timeout=200
    )
    undisturbed = runs(folder / "undisturbed" / "sweep_broken")
    assert [weights(run) for run in runs(place)] == [weights(run) for run in undisturbed]


def second_is_training(place: Path) -> bool:
    found = runs(place) if place.is_dir() else []
    return len(found) == 2 and found[1].checkpoints.is_dir() and any(found[1].checkpoints.glob("step-*"))


def wait_for_orphans(run: RunDirectory) -> None:
    from gptlab.experiment.using import is_in_use

    deadline = time.monotonic() + 60
    while is_in_use(run.path):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weights(run: RunDirectory) -> bytes:
    return (run.path / "model" / "value" / "model.safetensors").read_bytes()


def test_two_processes_do_not_run_one_sweep(folder: Path) -> None:
    class Twice:
        def launch(self, jobs: list[Job]) -> list[str | None]:
            with pytest.raises(ExperimentError, match=r"got     another process runs it"):
                sweep(recipe, {"width": [8]}, name="one")
            return InProcess().launch(jobs)

    sweep(recipe, {"width": [8]}, name="one", launcher=Twice())


def test_the_grid_is_checked_before_anything_runs(folder: Path) -> None:
    with pytest.raises(ExperimentError) as caught:
        sweep(recipe, {"trainer.step": [1]})
    assert str(caught.value).startswith(
        "the grid's setting trainer.step\n  got     no step in TrainerConfig\n  wanted  one of steps,"
    )
    with pytest.raises(ExperimentError, match="no deeper in int"):
        variants(Settings(), {"width.deeper": [1]})
    with pytest.raises(ExperimentError, match=r"the grid\n  got     width=8\n  wanted  variants that differ"):
        variants(Settings(), {"width": [8, 8]})
    with pytest.raises(ExperimentError, match="no value of a setting"):
        variants(Settings(), {"width": []})
    assert not Path("experiments").exists()


def test_variants_are_all_combinations_and_change_nothing_else() -> None:
    made = variants(Settings(seed=5), {"trainer.steps": [1, 2], "width": [8, 16]})
    assert [each.name for each in made] == [
        "steps=1 width=8",
        "steps=1 width=16",
        "steps=2 width=8",
        "steps=2 width=16",
    ]
    assert made[3].settings == attrs.evolve(
        Settings(seed=5), width=16, trainer=attrs.evolve(Settings().trainer, steps=2)
    )
    assert len({fingerprint(each.settings) for each in made}) == 4
    assert [each.name for each in variants(Settings(), {})] == ["as it is"]


def test_settings_come_from_the_signature() -> None:
    def annotated(settings: Settings) -> None: ...
    def bare(settings) -> None: ...  # type: ignore[no-untyped-def]

    assert default_settings(recipe) == default_settings(annotated) == Settings()
    with pytest.raises(ExperimentError, match=r"the recipe bare\n  got     a function whose settings are not known"):
        default_settings(bare)


def test_a_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ExperimentError, match=r"pip install 'gptlab\[slurm\]'"):
        Submitit().launch([fine])
    with pytest.raises(ExperimentError, match=r"LocalProcesses\.processes"):
        LocalProcesses(processes=0)
