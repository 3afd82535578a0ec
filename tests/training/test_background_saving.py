"""Saving beside the training: the same files, nothing of later steps in them, and errors that are not lost."""

import json
import threading
from pathlib import Path

import attrs
import pytest
from tiny_torch import Counting, TinyModel, same

import gptlab.training.saver as saver_module
from gptlab.training import TorchTrainer, TrainerConfig, latest_checkpoint
from gptlab.training.checkpoint import write_checkpoint
from gptlab.training.saver import Saver

CFG = TrainerConfig(
    steps=9, learning_rate=0.02, warmup_steps=3, checkpoint_every=2, keep_last=99, save_in_background=True, ema=0.9
)
ALLOW = ("tiny_torch",)


def files(directory: Path) -> dict[str, bytes]:
    found = (directory / "checkpoints").rglob("*.safetensors")
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_the_files_are_those_of_saving_in_the_step(tmp_path):
    ran = {}
    for background in (True, False):
        cfg = attrs.evolve(CFG, save_in_background=background)
        directory = tmp_path / str(background)
        ran[background] = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=directory).train()
    assert same(ran[True], ran[False])
    assert files(tmp_path / "True") == files(tmp_path / "False") and len(files(tmp_path / "True")) == 3 * 5


def test_training_goes_on_while_a_slow_disk_writes(tmp_path, monkeypatch):
    """The first save is held until the run is three steps further; what it writes is still step 2."""
    may_write, later = threading.Event(), []

    def slow(path: Path, **parts: object) -> Path:
        if path.name == "step-00000002":
            assert threading.current_thread() is not threading.main_thread()
            assert may_write.wait(30)
        return write_checkpoint(path, **parts)  # type: ignore[arg-type]

    class Releases:
        def after_step(self, state: object) -> dict[str, float]:
            step: int = state.step  # type: ignore[attr-defined]
            later.append((step, (tmp_path / "checkpoints" / "step-00000002").exists()))
            if step == 5:
                may_write.set()
            return {}

    monkeypatch.setattr(saver_module, "write_checkpoint", slow)
    cfg = attrs.evolve(CFG, checkpoint_every=100, steps=6, batch_schedule=())
    monkeypatch.setattr(Saver, "is_due", lambda self, state: state.step in (2, 6))
    TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path, hooks=(Releases(),)).train()
    assert (3, False) in later and (5, False) in later
    monkeypatch.undo()
    plain = tmp_path / "plain"
    TorchTrainer.instantiate(
        attrs.evolve(CFG, save_in_background=False), TinyModel(), Counting(), directory=plain
    ).train()
    saved, wanted = ((place / "checkpoints" / "step-00000002" / "model") for place in (tmp_path, plain))
    # The learning rate depends on the number of steps; in the warm-up it is the same.
    assert same(TinyModel.load_from_dir(saved), TinyModel.load_from_dir(wanted))


@pytest.mark.parametrize("step", [2, 6, 8])
def test_a_checkpoint_from_the_background_is_gone_on_from_to_the_bit(tmp_path, step):
    whole = TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path).train()
    place = tmp_path / "checkpoints" / f"step-{step:08d}"
    assert same(TorchTrainer.load_checkpoint(place, data_source=Counting(), allow=ALLOW).train(), whole)


def test_a_full_disk_ends_the_run_with_its_error(tmp_path, monkeypatch):
    def full(path: Path, **parts: object) -> Path:
        if path.name == "step-00000004":
            raise OSError(28, "No space left on device")
        return write_checkpoint(path, **parts)  # type: ignore[arg-type]

    monkeypatch.setattr(saver_module, "write_checkpoint", full)
    with pytest.raises(OSError, match="No space left"):
        TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path).train()
    newest = latest_checkpoint(tmp_path)
    assert newest is not None and newest.name == "step-00000002"
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] <= 6, "it is said at the next save, not at the end"


def test_minutes_are_by_the_clock_that_is_passed_in(tmp_path):
    now = [0.0]
    saver: Saver[TinyModel] = Saver(
        None, TrainerConfig(checkpoint_every=1000, checkpoint_minutes=2.0), {}, None, clock=lambda: now[0]
    )
    state = _state(step=5)
    asked = []
    for now[0] in (0.0, 119.0, 120.0, 500.0):
        asked.append(saver.is_due(state))
    assert asked == [False, False, True, True]
    assert Saver(None, TrainerConfig(checkpoint_every=5), {}, None, clock=lambda: 0.0).is_due(state)


def _state(step: int) -> "object":
    from gptlab.training import TrainState
    from gptlab.training.optimizers import Optimizers

    model = TinyModel()
    return TrainState(model=model, optimizers=Optimizers(model.network, CFG), steps=1000, step=step)
