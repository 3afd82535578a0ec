"""Going on is never having stopped, to the bit: after any number of stops, kills and damage."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_torch import Counting, TinyModel, same

from gptlab.pipeline import Drops, watching
from gptlab.storage import StorageError
from gptlab.training import TorchTrainer, TrainerConfig, TrainingError, latest_checkpoint
from gptlab.training.metrics import BY_THE_CLOCK, MetricsFile

CFG = TrainerConfig(steps=6, learning_rate=0.02, warmup_steps=2, checkpoint_every=3, keep_last=4)
ALLOW = ("tiny_torch",)


class Lines(Drops):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def exact(directory: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without what is measured by the clock."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in BY_THE_CLOCK} for line in lines]


def go_on(path: Path) -> TinyModel:
    return TorchTrainer.load_checkpoint(path, data_source=Counting(), held_out=Counting(9, 2), allow=ALLOW).train()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, tuple[TinyModel, Path]]:
    """Uninterrupted runs, by optimiser."""
    runs = {}
    for optimizer in ("adamw", "muon"):
        directory = tmp_path_factory.mktemp(optimizer)
        cfg = attrs.evolve(CFG, optimizer=optimizer, checkpoint_every=1, keep_last=6, accumulate=2, evaluate_every=4)
        trainer = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=directory, held_out=Counting(9, 2))
        runs[optimizer] = (trainer.train(), directory)
    return runs


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(optimizer=st.sampled_from(["adamw", "muon"]), step=st.integers(1, 6))
def test_from_any_checkpoint_to_the_same_weights_and_metrics(whole, tmp_path, optimizer, step):
    trained, original = whole[optimizer]
    directory = tmp_path / f"{optimizer}-{step}"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(original, directory)
    resumed = go_on(directory / "checkpoints" / f"step-{step:08d}")
    assert same(resumed, trained)
    assert exact(directory) == exact(original)
    last = latest_checkpoint(directory)
    assert last == directory / "checkpoints" / "step-00000006"
    assert (last / "optimizer.safetensors").read_bytes() == (
        original / "checkpoints" / "step-00000006" / "optimizer.safetensors"
    ).read_bytes()


def test_a_finished_run_goes_on_to_nothing(whole, tmp_path):
    trained, original = whole["adamw"]
    shutil.copytree(original, tmp_path / "run")
    assert same(go_on(tmp_path / "run"), trained)
    assert exact(tmp_path / "run") == exact(original)


# One process that has imported everything forks one child for each life, so that a kill costs no import of torch.
SCRIPT = """
import os, sys, time, traceback
from pathlib import Path
from gptlab.training import TorchTrainer, TrainerConfig, latest_checkpoint
from tiny_torch import Counting, TinyModel

class Tells:
    def after_step(self, state):
        os.write(1, f"step {state.step}\\n".encode())
        time.sleep(0.01)  # on a busy machine the killer must not come too late for every life
        return {}

def live(directory):
    if latest_checkpoint(directory):
        trainer = TorchTrainer.load_checkpoint(
            directory, data_source=Counting(), allow=("tiny_torch",), hooks=(Tells(),)
        )
    else:
        cfg = TrainerConfig(steps=60, learning_rate=0.02, warmup_steps=2, checkpoint_every=4, keep_last=2)
        trainer = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=directory, hooks=(Tells(),))
    trainer.train().save_to_dir(directory)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            live(Path(sys.argv[1]))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.write(1, f"child {child}\\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\\n".encode())
"""


def live_and_die(process, dice: random.Random) -> tuple[int, int]:
    """One life, killed a moment after a step that the dice choose: (exit code, last step that was told)."""
    child, step, lives_for = 0, 0, dice.randint(5, 14)
    process.stdin.write("live\n")
    process.stdin.flush()
    for line in process.stdout:
        word, number = line.split()
        if word == "ended":
            return int(number), step
        if word == "child":
            child = int(number)
        else:
            step = int(number)
            lives_for -= 1
        if child and lives_for <= 0:
            time.sleep(dice.uniform(0, 0.03))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            lives_for = 1_000
    raise AssertionError("the parent died")


def test_kill_dash_nine_at_random_moments_loses_nothing(tmp_path):
    """A real process, really killed, until it gets through; then compared with one that nobody touched."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    dice = random.Random(7)
    directory = tmp_path / "killed"
    directory.mkdir()
    kills, code = 0, -9
    command = [sys.executable, "-c", SCRIPT, str(directory)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        while code == -9:
            code, told = live_and_die(process, dice)
            kills += code == -9
            newest = latest_checkpoint(directory)
            saved = int(newest.name.removeprefix("step-")) if newest else 0
            # A step is told before its own checkpoint is saved, and after that of the step before.
            assert saved >= (told - 1) // 4 * 4, "nothing that was saved is lost"
        assert process.stdin is not None
        process.stdin.close()
    assert code == 0, code
    assert kills >= 3, kills
    untouched = tmp_path / "untouched"
    cfg = TrainerConfig(steps=60, learning_rate=0.02, warmup_steps=2, checkpoint_every=30, keep_last=2)
    trained = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=untouched).train()
    assert same(TinyModel.load_from_dir(directory), trained)
    assert exact(directory) == exact(untouched)
    assert {path.name for path in (directory / "checkpoints").iterdir()} == {"step-00000056", "step-00000060"}


def _cut_short(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [_cut_short, _change_a_byte, Path.unlink])
@pytest.mark.parametrize(
    "file", ["optimizer.safetensors", "trainer.json", "manifest.json", "model/weights.safetensors"]
)
def test_damage_is_named_and_the_one_before_is_used(whole, tmp_path, damage, file):
    trained, original = whole["adamw"]
    directory = tmp_path / "run"
    shutil.copytree(original, directory)
    newest = directory / "checkpoints" / "step-00000006"
    damage(newest / file)
    seen = Lines()
    with watching(seen):
        assert latest_checkpoint(directory) == directory / "checkpoints" / "step-00000005"
    assert seen.lines[0].startswith(f"checkpoint {newest} is damaged and passed over: {newest}")
    if file != "manifest.json":
        with pytest.raises((StorageError, TrainingError)):
            TorchTrainer.load_checkpoint(newest, data_source=Counting(), allow=ALLOW)
    with watching(seen):
        assert same(go_on(directory), trained)
    assert "checkpoint step-00000006 is from later than step 5: set aside as aside-1-step-00000006" in seen.lines
    assert latest_checkpoint(directory) == newest


def test_only_the_newest_are_kept(tmp_path):
    cfg = attrs.evolve(CFG, checkpoint_every=1, keep_last=2)
    TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path).train()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000005", "step-00000006"]


def test_a_data_source_that_is_a_value_is_made_again(tmp_path):
    trained = TorchTrainer.instantiate(CFG, TinyModel(), Counting(3), directory=tmp_path).train()
    first = tmp_path / "checkpoints" / "step-00000003"
    assert same(TorchTrainer.load_checkpoint(first, allow=ALLOW).train(), trained)


class NoValue:
    """A source that no configuration can describe."""

    def get_data_generator(self, start: int = 0):
        return Counting().get_data_generator(start)

    get_data_generator.__annotations__ = Counting.get_data_generator.__annotations__


def test_a_source_that_cannot_be_written_is_asked_for(tmp_path):
    TorchTrainer.instantiate(CFG, TinyModel(), NoValue(), directory=tmp_path).train()
    newest = latest_checkpoint(tmp_path)
    with pytest.raises(TrainingError) as error:
        TorchTrainer.load_checkpoint(tmp_path, allow=ALLOW)
    assert str(error.value) == (
        f"{newest}\n  got     a checkpoint whose data source could not be written as a configuration\n"
        "  wanted  the data source\n"
        "  Call TorchTrainer.load_checkpoint(path, data_source=...) with the one that was trained on."
    )


def test_a_class_that_nobody_allowed_is_not_loaded(tmp_path):
    TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path).train()
    with pytest.raises(StorageError, match="tiny_torch"):
        TorchTrainer.load_checkpoint(tmp_path, data_source=Counting())


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(TrainingError) as error:
        TorchTrainer.load_checkpoint(tmp_path / "nowhere")
    assert str(error.value) == (
        f"{tmp_path / 'nowhere'}\n  got     no checkpoint\n"
        "  wanted  a run directory with at least one whole checkpoint\n"
        "  Name the directory that was given to TorchTrainer.instantiate, or train from the beginning."
    )


def test_no_pickle_anywhere(whole):
    _, original = whole["muon"]
    names = {path.suffix for path in (original / "checkpoints").rglob("*") if path.is_file()}
    assert names == {".json", ".safetensors"}


def test_metrics_that_somebody_removed_are_said_and_started_anew(whole, tmp_path):
    trained, original = whole["adamw"]
    shutil.copytree(original, tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    seen = Lines()
    with watching(seen):
        assert same(go_on(tmp_path / "run" / "checkpoints" / "step-00000004"), trained)
    assert any("is shorter than when the checkpoint was saved" in line for line in seen.lines)
    assert [line["step"] for line in exact(tmp_path / "run")] == [5, 6]


@given(st.lists(st.integers(0, 9), max_size=20), st.data())
def test_metrics_are_cut_back_to_a_saved_length(tmp_path_factory, figures, data):
    keep = data.draw(st.integers(0, len(figures)))
    path = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    length = 0
    with MetricsFile(path) as metrics:
        for number, figure in enumerate(figures):
            if number == keep:
                length = metrics.sync()
            metrics.append({"figure": figure})
        length = metrics.sync() if keep == len(figures) else length
    with path.open("ab") as file:
        file.write(b'{"figure": 1')  # killed in the middle of a line
    with MetricsFile(path, length) as metrics:
        metrics.append({"figure": -1})
    assert [json.loads(line)["figure"] for line in path.read_text().splitlines()] == [*figures[:keep], -1]
