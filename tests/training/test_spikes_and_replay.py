"""A step that should not be learned from stops the run, and can be seen again by what the message says."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_torch import Counting, TinyModel, TinyOutput

from gptlab.storage import StorageError
from gptlab.training import TorchTrainer, TrainerConfig, TrainingError, replay
from gptlab.training.spikes import WINDOW, is_spike, remember
from gptlab.types import Batch

CFG = TrainerConfig(steps=80, learning_rate=0.02, warmup_steps=3, checkpoint_every=50)
ALLOW = ("tiny_torch", "test_spikes_and_replay")
AT = 70


@attrs.frozen
class OneBadBatch:
    """Batch `AT` teaches that everything is followed by 0: 30 times what any other costs."""

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(Counting().get_data_generator(start), start):
            yield (
                attrs.evolve(batch, targets=np.where(batch.targets >= 0, 0, -1).astype(np.int32))
                if (number == AT)
                else batch
            )


class Sure(TinyModel):
    """Logits times ten: right is cheap and wrong is dear."""

    def __init__(self) -> None:
        super().__init__(dropout=0.1)

    def forward(self, batches: Iterator[Batch]) -> Iterator[TinyOutput]:
        for batch in batches:
            output = next(super().forward(iter([batch])))
            is_bad = bool(((batch.targets == 0) & (batch.tokens != 10)).any())
            yield attrs.evolve(output, loss=output.loss * (30 if is_bad else 1))


def stopped(directory: Path) -> TrainingError:
    with pytest.raises(TrainingError) as error:
        TorchTrainer.instantiate(CFG, Sure(), OneBadBatch(), directory=directory).train()
    return error.value


def test_a_leap_of_the_loss_stops_with_what_replays_it(tmp_path):
    error = stopped(tmp_path)
    failed = tmp_path / "failed" / f"step-{AT + 1:08d}"
    assert error.where == f"step {AT + 1}"
    assert error.wanted.startswith(f"a loss near those of the last {WINDOW} steps, ")
    assert error.do.splitlines() == [
        "See it again, from the weights before it, with its batches (batch-*.safetensors beside them):",
        f"  from gptlab.training import replay; print(replay(\"{failed}\", allow=('test_spikes_and_replay',)))",
        "Lower learning_rate or clip, or look at the batch; load_checkpoint(..., spike=None) goes on regardless.",
    ]
    again = replay(failed, allow=ALLOW)
    assert f"{again.loss:.4g}" in error.got and f"{again.grad_norm:.4g}" in error.got
    (batch,) = again.batches
    assert np.array_equal(batch.targets, next(OneBadBatch().get_data_generator(AT)).targets)
    assert again.gradients[0][1] == max(norm for _, norm in again.gradients)
    losses = [loss for _, _, loss in again.rows]
    assert losses == sorted(losses, reverse=True) and len(losses) == 3
    assert str(again).startswith(f"step {AT + 1}: loss {again.loss:.6g}, gradient norm {again.grad_norm:.6g}\n")
    assert TorchTrainer.load_checkpoint(failed, data_source=OneBadBatch(), allow=ALLOW, spike=None).train()


def test_the_line_of_the_message_works_when_it_is_typed(tmp_path):
    line = stopped(tmp_path).do.splitlines()[1].strip()
    environment = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"step {AT + 1}: loss ") and "rows with the highest loss:" in done.stdout


def test_a_run_that_went_on_regardless_goes_through(tmp_path):
    cfg = attrs.evolve(CFG, spike=None)
    assert TorchTrainer.instantiate(cfg, Sure(), OneBadBatch(), directory=tmp_path).train()


def test_the_losses_are_remembered_over_a_stop(tmp_path):
    first = stopped(tmp_path / "whole")
    resumed = TorchTrainer.load_checkpoint(tmp_path / "whole", data_source=OneBadBatch(), allow=ALLOW)
    with pytest.raises(TrainingError) as error:
        resumed.train()
    assert (error.value.where, error.value.got, error.value.wanted) == (first.where, first.got, first.wanted)


def test_a_checkpoint_without_batches_is_no_replay(tmp_path):
    TorchTrainer.instantiate(attrs.evolve(CFG, steps=1), TinyModel(), Counting(), directory=tmp_path).train()
    path = tmp_path / "checkpoints" / "step-00000001"
    with pytest.raises(TrainingError) as error:
        replay(path, allow=ALLOW)
    assert str(error.value) == (
        f"{path}\n  got     no batches\n  wanted  a folder below failed/, which a loss that was refused has left\n"
        "  TorchTrainer.load_checkpoint(path, data_source=...).train() reads them from the data again."
    )
    stopped(tmp_path / "other")
    with pytest.raises(StorageError, match=r"tiny_torch|test_spikes_and_replay"):
        replay(tmp_path / "other" / "failed" / f"step-{AT + 1:08d}")


@given(st.lists(st.floats(0.1, 10), min_size=WINDOW, max_size=WINDOW), st.floats(1, 100))
def test_a_spike_is_above_deviations_and_above_twice_the_highest(losses, times):
    bound = max(2 * max(losses), float(np.mean(losses) + times * np.std(losses)))
    assert is_spike(bound * 1.001 + 1e-6, losses, times)
    assert not is_spike(bound * 0.999 - 1e-6, losses, times)
    assert not is_spike(bound * 2, losses[1:], times), "too few to tell"
    assert not is_spike(bound * 2, losses, None)


def test_only_the_last_losses_are_remembered():
    losses: list[float] = []
    for number in range(3 * WINDOW):
        remember(losses, float(number))
    assert losses == [float(number) for number in range(2 * WINDOW, 3 * WINDOW)]


def test_a_replay_is_in_training_mode_with_the_steps_own_seed(tmp_path):
    stopped(tmp_path)
    failed = tmp_path / "failed" / f"step-{AT + 1:08d}"
    state = torch.random.get_rng_state()
    assert replay(failed, allow=ALLOW).rows == replay(failed, allow=ALLOW).rows
    assert torch.equal(torch.random.get_rng_state(), state)
