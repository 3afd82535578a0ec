"""Hooks: what they see, what they keep, and that a run which goes on does what it would have done."""

import itertools
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from tiny_torch import Counting, DeepModel, TinyModel, same

from gptlab.pipeline import Drops, watching
from gptlab.storage import is_complete
from gptlab.training import (
    EarlyStopping,
    Evaluate,
    Hook,
    KeepBest,
    Samples,
    Statistics,
    TensorBoard,
    TorchTrainer,
    TrainerConfig,
    TrainingError,
    TrainState,
    Usage,
    latest_checkpoint,
    mean_loss,
    mfu,
)
from gptlab.types import Generation, Prompt

CFG = TrainerConfig(steps=12, learning_rate=0.02, warmup_steps=3, checkpoint_every=4, evaluate_every=2, keep_last=9)
ALLOW = ("tiny_torch",)


class Lines(Drops):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@attrs.frozen
class Says:
    """Held-out losses from a script: value of step k is number k - 1."""

    losses: tuple[float, ...]

    def after_step(self, state: TrainState[Any]) -> Mapping[str, float]:
        return {"held_out_loss": self.losses[state.step - 1]} if state.step <= len(self.losses) else {}


def run(hooks: tuple[Hook, ...], directory: Path | None = None, cfg: TrainerConfig = CFG) -> TinyModel:
    return TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=directory, hooks=hooks).train()


def metrics(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_training_ends_when_the_figure_no_longer_falls(tmp_path):
    seen = Lines()
    with watching(seen):
        run((Says((3.0, 2.0, 2.5, 1.9, 2.0, 2.1, 2.2)), EarlyStopping(patience=3)), tmp_path)
    assert len(metrics(tmp_path)) == 7
    reason = "held_out_loss has not become lower in 3 evaluations: 1.9000 at step 4, now 2.2000"
    assert f"training ends at step 7 of 12: {reason}" in seen.lines
    last = latest_checkpoint(tmp_path)
    assert last is not None and last.name == "step-00000007"
    assert json.loads((last / "trainer.json").read_text())["memory"]["stopped"] == reason
    again = TorchTrainer.load_checkpoint(tmp_path, data_source=Counting(), allow=ALLOW).train()
    assert same(again, TinyModel.load_from_dir(last / "model")), "a run that has ended goes on to nothing"


def test_patience_is_remembered_over_a_stop(tmp_path):
    hooks = (Says((3.0, 2.0, 2.5, 2.4, 2.3, 2.2)), EarlyStopping(patience=4))
    run(hooks, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    TorchTrainer.load_checkpoint(
        tmp_path / "again" / "checkpoints" / "step-00000004", data_source=Counting(), hooks=hooks, allow=ALLOW
    ).train()
    assert len(metrics(tmp_path / "whole")) == len(metrics(tmp_path / "again")) == 6


def test_a_smaller_step_than_asked_for_is_no_progress(tmp_path):
    run((Says((3.0, 2.95, 2.91)), EarlyStopping(patience=2, least=0.1)), tmp_path)
    assert len(metrics(tmp_path)) == 3


def test_the_best_model_is_kept_beside_the_last(tmp_path):
    cfg = attrs.evolve(CFG, checkpoint_every=1, keep_last=2)
    run((Says((3.0, 1.0, 2.0, 1.5)), KeepBest()), tmp_path, cfg)
    assert json.loads((tmp_path / "best" / "best.json").read_text()) == {
        "figure": "held_out_loss",
        "value": 1.0,
        "step": 2,
    }
    assert is_complete(tmp_path / "best", "best-model")
    reference = tmp_path / "reference"  # the definition: the weights after two steps of the same run
    run((), reference, attrs.evolve(CFG, checkpoint_every=2))
    best = TinyModel.load_from_dir(tmp_path / "best" / "model")
    assert same(best, TinyModel.load_from_dir(reference / "checkpoints" / "step-00000002" / "model"))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_the_configuration_asks_for_both(tmp_path):
    cfg = attrs.evolve(CFG, keep_best=True, patience=1, learning_rate=1e-9, steps=8)
    trainer = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path, held_out=Counting(1, 2))
    assert [type(hook) for hook in trainer.hooks] == [Evaluate, KeepBest, EarlyStopping]
    trainer.train()
    assert (tmp_path / "best" / "best.json").exists()


def test_the_average_is_what_is_evaluated_kept_and_returned(tmp_path):
    cfg = attrs.evolve(CFG, ema=0.8, keep_best=True, save_in_background=True)
    held_out = Counting(1, 2)
    trained = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path, held_out=held_out).train()
    plain = run((), tmp_path / "plain", attrs.evolve(CFG, checkpoint_every=1, keep_last=99))
    average = TinyModel().weights()
    for step in range(1, 13):
        at = TinyModel.load_from_dir(tmp_path / "plain" / "checkpoints" / f"step-{step:08d}" / "model").weights()
        decay = min(0.8, (1 + step) / (10 + step))
        average = {name: decay * average[name] + (1 - decay) * at[name] for name in average}
    assert all(np.allclose(average[name], trained.weights()[name], atol=1e-6) for name in average)
    last = latest_checkpoint(tmp_path)
    assert last is not None and same(TinyModel.load_from_dir(last / "model"), plain), "the weights go on as without"
    assert metrics(tmp_path)[-1]["held_out_loss"] == mean_loss(trained, held_out.get_data_generator()).mean
    best = TinyModel.load_from_dir(tmp_path / "best" / "model")
    lowest = min(line["held_out_loss"] for line in metrics(tmp_path) if "held_out_loss" in line)
    assert mean_loss(best, held_out.get_data_generator()).mean == lowest


def test_an_average_is_resumed_to_the_bit(tmp_path):
    cfg = attrs.evolve(CFG, ema=0.9, accumulate=2, batch_schedule=((3, 1), (7, 3)))
    whole = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path).train()
    first = tmp_path / "checkpoints" / "step-00000004"
    assert same(TorchTrainer.load_checkpoint(first, data_source=Counting(), allow=ALLOW).train(), whole)
    raw = TinyModel.load_from_dir(tmp_path / "checkpoints" / "step-00000012" / "model")
    assert not same(raw, whole)


def test_statistics_are_root_mean_squares_by_block(tmp_path):
    seen: list[dict[str, float]] = []

    class Look:
        def after_step(self, state: TrainState[Any]) -> Mapping[str, float]:
            named = dict(state.model.network.named_parameters())
            block = [value for name, value in named.items() if name.startswith("blocks.1.")]
            seen.append(
                {
                    "weight": float(torch.cat([p.detach().flatten() for p in block]).square().mean().sqrt()),
                    "grad": float(torch.cat([p.grad.flatten() for p in block]).square().mean().sqrt()),
                }
            )
            return {}

    trainer = TorchTrainer.instantiate(
        CFG, DeepModel(), Counting(), directory=tmp_path, hooks=(Statistics(every=5), Look())
    )
    trainer.train()
    found = metrics(tmp_path)
    assert [line["step"] for line in found if "grad/blocks.1" in line] == [5, 10, 12]
    assert found[4]["weight/blocks.1"] == pytest.approx(seen[4]["weight"])
    assert found[4]["grad/blocks.1"] == pytest.approx(seen[4]["grad"]) and seen[4]["grad"] > 0
    parts = {name for name in found[4] if name.startswith("weight/")}
    assert parts == {"weight/embedding", "weight/blocks.0", "weight/blocks.1", "weight/blocks.2", "weight/head"}


def test_memory_is_told_and_mfu_only_where_the_device_is_known(tmp_path):
    run((Usage(every=6),), tmp_path)
    found = [line for line in metrics(tmp_path) if "memory_gib" in line]
    assert [line["step"] for line in found] == [6, 12] and all(0.05 < line["memory_gib"] < 100 for line in found)
    assert not any("mfu" in line for line in found)
    assert mfu(TinyModel().network, 100.0, "AMD EPYC") == "unknown"
    products = 8 * 8 + 8 * 11  # the two linear layers; the embedding is looked up
    assert mfu(TinyModel().network, 1e9, "NVIDIA A100-SXM4-80GB", 4) == pytest.approx(6 * products * 1e9 / 4 / 312e12)


class Echo:
    def write(self, model: TinyModel) -> list[Generation]:
        assert not model.network.training and not torch.is_grad_enabled()
        return [Generation(prompt=Prompt(text="one"), text="two\n words")]


def test_samples_are_told_and_kept(tmp_path):
    seen = Lines()
    with watching(seen):
        run((Samples(writing=Echo(), every=6),), tmp_path)
    assert [line for line in seen.lines if "writes" in line] == [f"step {n} writes: two words" for n in (6, 12)]
    kept = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert kept == [{"step": 6, "text": "two\n words"}, {"step": 12, "text": "two\n words"}]


def test_tensorboard_has_the_figures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run((Says(tuple(itertools.repeat(2.5, 3))), TensorBoard(every=5)), tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("loss")] == [5, 10, 12]
    assert [event.step for event in board.Scalars("held_out_loss")] == [1, 2, 3]
    assert board.Scalars("loss")[0].value == pytest.approx(metrics(tmp_path)[4]["loss"])


def test_tensorboard_without_a_place_or_without_the_package_is_refused(tmp_path, monkeypatch):
    with pytest.raises(TrainingError, match=r"Give TensorBoard\(directory=[.][.][.]\), or give the trainer a"):
        run((TensorBoard(every=1),))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainingError) as error:
        run((TensorBoard(every=1),), tmp_path)
    assert str(error.value) == (
        "gptlab.training.TensorBoard\n  got     TensorBoard is not installed\n  wanted  the package `tensorboard`\n"
        "  pip install 'gptlab[tensorboard]', or leave the hook out: metrics.jsonl has the same figures."
    )


def test_hooks_are_hooks_by_structure_alone():
    for hook in (EarlyStopping(patience=1), KeepBest(), Statistics(), Usage(), TensorBoard(), Says((1.0,))):
        assert isinstance(hook, Hook) and Hook not in type(hook).__mro__
