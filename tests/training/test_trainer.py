"""What `train` does and refuses. The definition of the loop is a loop written by hand."""

import copy
import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny_torch import Counting, TinyModel, TinyOutput, same

from gptlab.pipeline import ContractError, Drops, watching
from gptlab.training import (
    Evaluate,
    TorchTrainer,
    TrainerConfig,
    TrainingError,
    TrainingStopped,
    TrainState,
    latest_checkpoint,
    learning_rate,
)
from gptlab.training.schedule import step_seed
from gptlab.types import Batch, Document

CFG = TrainerConfig(steps=12, learning_rate=0.02, warmup_steps=3, checkpoint_every=5, evaluate_every=4)


class Recorder(Drops):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.reports: list[tuple[str, float, float | None, str]] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def progress(self, task: str, done: float, total: float | None, unit: str) -> None:
        self.reports.append((task, done, total, unit))


def metrics(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def by_hand(cfg: TrainerConfig, model: TinyModel, source: Counting) -> TinyModel:
    """The obvious loop: no generators kept alive, no helper of the trainer but its schedule and seeds."""
    network = copy.deepcopy(model.network).train()
    matrices = [p for p in network.parameters() if p.ndim >= 2]
    vectors = [p for p in network.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": cfg.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=cfg.learning_rate, betas=cfg.betas, fused=True)
    batches = source.get_data_generator()
    with torch.random.fork_rng():
        for step in range(cfg.steps):
            torch.manual_seed(step_seed(cfg.seed, step))
            for _ in range(cfg.accumulate):
                batch = next(batches)
                logits = network(torch.from_numpy(batch.tokens).long())
                targets = torch.from_numpy(batch.targets).long()
                loss = torch.nn.functional.cross_entropy(
                    logits.transpose(1, 2), targets, ignore_index=-1, reduction="none"
                )
                (loss.sum() / (targets >= 0).sum() / cfg.accumulate).backward()
            if cfg.clip is not None:
                torch.nn.utils.clip_grad_norm_([*matrices, *vectors], cfg.clip)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(cfg, step)
            optimizer.step()
            optimizer.zero_grad()
    trained = model.copy()
    trained.network.load_state_dict(network.state_dict())
    return trained


@pytest.mark.parametrize(("accumulate", "clip"), [(1, 1.0), (3, 0.05), (2, None)])
def test_the_loop_is_the_obvious_loop_to_the_bit(accumulate, clip):
    cfg = attrs.evolve(CFG, accumulate=accumulate, clip=clip)
    model = TinyModel()
    trained = TorchTrainer.instantiate(cfg, model, Counting()).train()
    assert same(trained, by_hand(cfg, model, Counting()))


def test_a_new_model_of_the_same_class_is_returned_and_the_given_one_left_alone():
    model = TinyModel()
    before = model.copy()
    state = torch.random.get_rng_state()
    trainer = TorchTrainer.instantiate(CFG, model, Counting())
    first, second = trainer.train(), trainer.train()
    assert type(first) is TinyModel and first is not model
    assert same(model, before) and not same(first, model)
    assert same(first, second)
    assert not first.network.training, "the mode of the given model is kept"
    assert torch.equal(torch.random.get_rng_state(), state), "the process's random state is left alone"
    assert trainer.train_input_type() is Batch and trainer.train_output_type() is TinyModel


def test_it_learns():
    cfg = TrainerConfig(steps=150, learning_rate=0.05, warmup_steps=5)
    held_out = Counting(seed=1, batches=4)
    seen = Recorder()
    with watching(seen):
        TorchTrainer.instantiate(cfg, TinyModel(), Counting(), held_out=held_out).train()
    last = seen.lines[-1]
    assert last.startswith("step 150 of 150: loss ") and float(last.split("held_out loss ")[1].split()[0]) < 0.5


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_bfloat16_and_float32_go_the_same_way_but_not_to_the_bit(optimizer):
    cfg = attrs.evolve(CFG, optimizer=optimizer)
    model = TinyModel(dropout=0.0)
    exact = TorchTrainer.instantiate(cfg, model, Counting()).train()
    rough = TorchTrainer.instantiate(attrs.evolve(cfg, dtype="bfloat16"), model, Counting()).train()
    assert not same(exact, rough)
    assert all(np.allclose(exact.weights()[k], rough.weights()[k], atol=0.3) for k in exact.weights())
    assert all(weights.dtype == np.float32 for weights in rough.weights().values())


def test_seed_and_data_decide_everything():
    model = TinyModel()
    base = TorchTrainer.instantiate(CFG, model, Counting()).train()
    assert not same(base, TorchTrainer.instantiate(attrs.evolve(CFG, seed=1), model, Counting()).train())
    assert not same(base, TorchTrainer.instantiate(CFG, model, Counting(seed=1)).train())


def test_every_step_has_its_line(tmp_path):
    seen = Recorder()
    with watching(seen):
        TorchTrainer.instantiate(
            attrs.evolve(CFG, accumulate=2), TinyModel(), Counting(), directory=tmp_path, held_out=Counting(1, 3)
        ).train()
    lines = metrics(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, 13))
    for line in lines:
        assert {"loss", "learning_rate", "grad_norm", "tokens_per_second", "seconds"} <= line.keys()
        assert line["learning_rate"] == learning_rate(CFG, line["step"] - 1)
        assert ("held_out_loss" in line) == ("held_out_loss_stderr" in line) == (line["step"] % 4 == 0)
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert lines[0]["tokens_per_second"] == pytest.approx(2 * 18 / seconds[0])
    assert seen.reports[-1] == ("train", 12, 12, "steps")
    assert [line.split(":")[0] for line in seen.lines if line.startswith("step")] == [
        f"step {n} of 12" for n in (4, 8, 12)
    ]


def test_the_bar_begins_where_the_run_does_and_shows_loss_and_speed(tmp_path):
    class Noting(Recorder):
        def note(self, task: str, text: str) -> None:
            notes.append((task, text))

    notes: list[tuple[str, str]] = []
    seen = Noting()
    with watching(seen):
        trainer = TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path)
        trainer.train()
        path = tmp_path / "checkpoints" / "step-00000010"
        TorchTrainer.load_checkpoint(path, data_source=Counting(), allow=("tiny_torch",)).train()
    begins = [report for report in seen.reports if report[1] in (0, 10)]
    assert begins == [("train", 0, 12, "steps"), ("train", 10, 12, "steps")]
    task, text = notes[-1]
    assert task == "train" and text.startswith(f"loss {metrics(tmp_path)[-1]['loss']:.3f}, ")
    assert text.endswith(" tokens/s")


def test_a_run_goes_on_with_changed_settings_where_it_is_told_so(tmp_path):
    TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path).train()
    path = tmp_path / "checkpoints" / "step-00000010"
    longer = TorchTrainer.load_checkpoint(path, data_source=Counting(), allow=("tiny_torch",), steps=15, ema=0.5)
    assert longer.cfg == attrs.evolve(CFG, steps=15, ema=0.5)
    longer.train()
    assert [line["step"] for line in metrics(tmp_path)] == list(range(1, 16))


def triangle(cfg: TrainerConfig, step: int) -> float:
    return cfg.learning_rate * min(step + 1, cfg.steps - step) / cfg.steps


def test_a_schedule_of_ones_own_is_followed_and_found_again(tmp_path):
    cfg = attrs.evolve(CFG, schedule="test_trainer.triangle")
    trained = TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=tmp_path).train()
    assert [line["learning_rate"] for line in metrics(tmp_path)] == [triangle(cfg, step) for step in range(12)]
    path = tmp_path / "checkpoints" / "step-00000010"
    again = TorchTrainer.load_checkpoint(path, data_source=Counting(), allow=("tiny_torch", "test_trainer"))
    assert same(again.train(), trained)
    with pytest.raises(TrainingError, match=r"TrainerConfig[.]schedule\n  got     'test_trainer[.]triangle': "):
        TorchTrainer.load_checkpoint(path, data_source=Counting(), allow=("tiny_torch",))


@attrs.frozen
class DrawsRandomNumbers:
    seen: list[int]

    def after_step(self, state: TrainState[Any]) -> Mapping[str, float]:
        torch.rand(7)
        self.seen.append(state.step)
        return {"drawn": 7.0}


def test_hooks_see_each_step_and_cannot_disturb_the_training(tmp_path):
    hook = DrawsRandomNumbers([])
    trainer = TorchTrainer.instantiate(
        CFG,
        TinyModel(),
        Counting(),
        directory=tmp_path,
        hooks=(hook, Evaluate(source=Counting(2), every=1, batches=2)),
    )
    assert same(trainer.train(), TorchTrainer.instantiate(CFG, TinyModel(), Counting()).train())
    assert hook.seen == list(range(1, 13))
    assert all(line["drawn"] == 7 and "held_out_loss" in line for line in metrics(tmp_path))


def test_data_that_end_too_early_stop_with_four_parts():
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(CFG, TinyModel(), Counting(batches=7)).train()
    assert str(error.value) == (
        "the data source of TorchTrainer, at step 8\n  got     no further batch\n  wanted  12 steps of 1 batches\n"
        "  Give an endless source (gptlab.packing.Shuffled), or ask for fewer steps."
    )


def test_data_that_are_just_enough_are_enough():
    TorchTrainer.instantiate(attrs.evolve(CFG, accumulate=2), TinyModel(), Counting(batches=24)).train()


class Explodes(TinyModel):
    """NaN for batch 5, whatever the weights."""

    def forward(self, batches: Iterator[Batch]) -> Iterator[TinyOutput]:
        bad = next(Counting().get_data_generator(start=5)).tokens
        for batch in batches:
            output = next(super().forward(iter([batch])))
            yield (
                attrs.evolve(output, loss=output.loss * float("nan")) if np.array_equal(batch.tokens, bad) else output
            )


def test_a_loss_that_is_not_finite_stops_before_the_weights_change_and_can_be_replayed(tmp_path):
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(CFG, Explodes(), Counting(), directory=tmp_path).train()
    failed = tmp_path / "failed" / "step-00000006"
    assert str(error.value) == (
        f"step 6\n  got     loss nan, gradient norm nan\n  wanted  finite numbers\n"
        "  See it again, from the weights before it, with its batches (batch-*.safetensors beside them):\n"
        f"    from gptlab.training import replay; print(replay(\"{failed}\", allow=('test_trainer',)))\n"
        "  Lower learning_rate or clip, or look at the batch."
    )
    batch = load_file(failed / "batch-0.safetensors")
    assert np.array_equal(batch["tokens"], next(Counting().get_data_generator(start=5)).tokens)
    assert batch.keys() == {"tokens", "targets", "documents", "positions", "edges"}
    weights = Explodes.load_from_dir(failed / "model").weights()
    assert all(np.isfinite(array).all() for array in weights.values())
    assert len(metrics(tmp_path)) == 5
    replay = TorchTrainer.load_checkpoint(failed, data_source=Counting(), allow=("test_trainer", "tiny_torch"))
    with pytest.raises(TrainingError, match=r"step 6\n  got     loss nan"):
        replay.train()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "step-00000005"


def test_without_a_directory_the_error_says_what_would_have_helped():
    with pytest.raises(TrainingError, match="Give the trainer a directory, and the weights and the batch are saved"):
        TorchTrainer.instantiate(CFG, Explodes(), Counting()).train()


@attrs.frozen
class Documents:
    def get_data_generator(self, start: int = 0) -> Iterator[Document]:
        yield from ()


def test_data_that_do_not_fit_the_model_are_refused_before_any_work():
    with pytest.raises(ContractError) as error:
        TorchTrainer.instantiate(CFG, TinyModel(), Documents())
    assert "TinyModel.forward cannot follow Documents" in str(error.value)


@attrs.frozen
class NotSeekable:
    def get_data_generator(self) -> Iterator[Batch]:
        return Counting().get_data_generator()


def test_a_source_that_cannot_be_resumed_trains_without_a_directory_only(tmp_path):
    plain = TorchTrainer.instantiate(CFG, TinyModel(), NotSeekable()).train()
    assert same(plain, TorchTrainer.instantiate(CFG, TinyModel(), Counting()).train())
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(CFG, TinyModel(), NotSeekable(), directory=tmp_path)
    assert str(error.value).startswith("NotSeekable.get_data_generator\n  got     no parameter `start`\n")


def test_a_directory_with_another_run_is_refused(tmp_path):
    TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path).train()
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(CFG, TinyModel(), Counting(), directory=tmp_path)
    assert str(error.value) == (
        f"{tmp_path}\n  got     2 checkpoints of another run\n  wanted  a directory without checkpoints\n"
        f'  Go on with TorchTrainer.load_checkpoint("{tmp_path}"), or name a new directory.'
    )


@attrs.frozen
class SendsSignal:
    number: int
    at: int

    def after_step(self, state: TrainState[Any]) -> Mapping[str, float]:
        if state.step == self.at:
            os.kill(os.getpid(), self.number)
        return {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_stops(tmp_path, number):
    before = signal.getsignal(number)
    trainer = TorchTrainer.instantiate(
        CFG, TinyModel(), Counting(), directory=tmp_path, hooks=(SendsSignal(number, 7),)
    )
    with pytest.raises(KeyboardInterrupt) as stopped:
        trainer.train()
    checkpoint = tmp_path / "checkpoints" / "step-00000007"
    assert isinstance(stopped.value, TrainingStopped)
    assert (stopped.value.step, stopped.value.checkpoint) == (7, checkpoint)
    assert str(stopped.value) == (
        f'Training stopped after step 7. Go on with TorchTrainer.load_checkpoint("{checkpoint}").train().'
    )
    assert signal.getsignal(number) is before
    resumed = TorchTrainer.load_checkpoint(tmp_path, data_source=Counting(), allow=("tiny_torch",)).train()
    assert same(resumed, TorchTrainer.instantiate(CFG, TinyModel(), Counting()).train())
    assert [line["step"] for line in metrics(tmp_path)] == list(range(1, 13))


def test_a_signal_without_a_directory_says_that_nothing_was_saved():
    trainer = TorchTrainer.instantiate(CFG, TinyModel(), Counting(), hooks=(SendsSignal(signal.SIGINT, 2),))
    with pytest.raises(TrainingStopped, match=r"Training stopped after step 2[.] Nothing was saved"):
        trainer.train()
