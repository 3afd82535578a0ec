"""Going on costs as much after a million steps as after two: no data are read again, nothing of before is counted."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
from tiny_torch import Counting, TinyModel

from gptlab.packing import Collate, Shuffled
from gptlab.pipeline import pipeline
from gptlab.training import TorchTrainer, TrainerConfig
from gptlab.training.checkpoint import checkpoint_path, read_checkpoint, write_checkpoint
from gptlab.types import Batch, DocumentId, PackedSequence

FAR = 1_000_000
MORE = 3


@attrs.frozen
class Counted:
    """Batches that know which of them were read."""

    read: list[int] = attrs.field(factory=list)

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(Counting().get_data_generator(start), start):
            self.read.append(number)
            yield batch


class CountedRows:
    """Rows of which each access is noted."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> PackedSequence:
        self.asked.append(index)
        tokens = np.full(6, index % 11, np.uint16)
        return PackedSequence(
            tokens=tokens,
            starts=np.zeros(1, np.int32),
            ids=(DocumentId(f"D{index}"),),
            edges=np.zeros((0, 3), np.int32),
            length=6,
            end_of_text=0,
            dropped={},
        )


def far_on(directory: Path, step: int, accumulate: int = 1) -> Path:
    """A checkpoint that stands at `step`: one of step 2, with another position."""
    near = directory / "near"
    cfg = TrainerConfig(steps=2, checkpoint_every=2, schedule="constant", accumulate=accumulate)
    TorchTrainer.instantiate(cfg, TinyModel(), Counting(), directory=near).train()
    saved = read_checkpoint(checkpoint_path(near, 2))
    far = directory / str(step)
    far.mkdir()
    shutil.copy(near / "metrics.jsonl", far)
    return write_checkpoint(
        checkpoint_path(far, step),
        model=TinyModel.load_from_dir(checkpoint_path(near, 2) / "model"),
        tensors={"optimizer": saved.optimizer},
        position=attrs.evolve(saved.position, step=step),
        about=saved.about,
    )


@pytest.mark.parametrize("step", [2, FAR])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_first_batch_read_is_the_next_one(tmp_path: Path, step: int, accumulate: int) -> None:
    source = Counted()
    TorchTrainer.load_checkpoint(
        far_on(tmp_path, step, accumulate), data_source=source, allow=("tiny_torch",), steps=step + MORE
    ).train()
    assert source.read == list(range(step * accumulate, (step + MORE) * accumulate))


@pytest.mark.parametrize("step", [2, FAR])
def test_rows_in_random_order_are_not_read_again(tmp_path: Path, step: int) -> None:
    rows = CountedRows()
    source = pipeline(Shuffled(rows), Collate(4))
    TorchTrainer.load_checkpoint(
        far_on(tmp_path, step), data_source=source, allow=("tiny_torch",), steps=step + MORE
    ).train()
    assert 4 * MORE <= len(rows.asked) <= 4 * MORE + 4, "a batch may be made ahead"
