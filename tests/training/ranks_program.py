"""What the tests of several processes run under torchrun: scenarios by name, each in a folder of its own.

    torchrun --nproc-per-node 2 ranks_program.py FOLDER SCENARIO...

Without torchrun it is the one process that the others are compared with.
"""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from tiny_torch import Counting, DeepModel, Padded, TinyOutput

from gptlab.models import DagTransformer, DagTransformerConfig
from gptlab.packing import Collate, Shuffled
from gptlab.pipeline import pipeline
from gptlab.training import Evaluate, TorchTrainer, TrainerConfig, TrainingError, TrainState, current_ranks, joined
from gptlab.types import Batch, DocumentId, PackedSequence

BASE = TrainerConfig(steps=8, learning_rate=0.02, warmup_steps=2, checkpoint_every=4, evaluate_every=4, keep_last=9)
DATA = Padded(Counting())
CONFIGS = {
    "plain": BASE,
    "accumulate": attrs.evolve(BASE, accumulate=3, clip=0.05, ema=0.9, batch_schedule=((5, 2),), keep_best=True),
    "muon": attrs.evolve(BASE, optimizer="muon"),
    "fsdp": attrs.evolve(BASE, parallel="fsdp"),
    "fsdp_accumulate": attrs.evolve(
        BASE, accumulate=3, clip=0.05, ema=0.9, batch_schedule=((5, 2),), keep_best=True, parallel="fsdp"
    ),
    "background": attrs.evolve(BASE, save_in_background=True, parallel="fsdp", activation_checkpointing=True),
    "minutes": attrs.evolve(BASE, checkpoint_every=100, checkpoint_minutes=1e-9),
}


ROWS = {"rows": attrs.evolve(BASE, steps=4), "rows_fsdp": attrs.evolve(BASE, steps=4, parallel="fsdp", accumulate=1)}
"""The real model on rows that each rank reads for itself."""


def row(number: int) -> PackedSequence:
    """Two documents, the second with a link to the first."""
    tokens = np.random.default_rng(number).integers(1, 20, 12).astype(np.uint16)
    tokens[[4 + number % 3, 11]] = 0
    return PackedSequence(
        tokens=tokens,
        starts=np.array([0, 5 + number % 3], np.int32),
        ids=(DocumentId(f"T{number}"), DocumentId(f"L{number}")),
        edges=np.array([[1, 0, 8]], np.int32),
        length=12,
        end_of_text=0,
        dropped={},
    )


def trained_on_rows(name: str, folder: Path) -> None:
    cfg = DagTransformerConfig(layers=2, width=16, heads=2, vocab_size=20, max_seq_len=12)
    source = pipeline(Shuffled(tuple(map(row, range(64)))), Collate(4))
    trained = TorchTrainer.instantiate(ROWS[name], DagTransformer.instantiate(cfg), source, directory=folder).train()
    if current_ranks().is_first:
        trained.save_to_dir(folder / "model")


class ExplodesAtRowOne(DeepModel):
    """NaN at batch 5 for whoever reads its second row."""

    def forward(self, batches: Iterator[Batch]) -> Iterator[TinyOutput]:
        bad = next(DATA.get_data_generator(start=5)).tokens[1]
        for batch in batches:
            output = next(super().forward(iter([batch])))
            is_bad = any((row == bad).all() for row in batch.tokens)
            yield attrs.evolve(output, loss=output.loss * float("nan")) if is_bad else output


def talk(folder: Path) -> None:
    """What ranks tell each other, and what becomes of a failure of the first."""
    ranks = current_ranks()
    heard = ranks.from_first(lambda: {"text": "ä" * 70_000, "nothing": None, "rank": ranks.rank})
    found = []
    place = folder / "prepared.txt"
    ranks.one_by_one(lambda: found.append(place.exists()) or place.write_text("once"))

    def fails() -> None:
        raise ValueError("as a recipe that has changed")

    ways = []
    for ask in (ranks.from_first, ranks.one_by_one):
        try:
            ask(fails)
        except ValueError:
            ways.append("says why")
        except SystemExit as end:
            ways.append(f"ends with {end.code}")
    sums = ranks.total(1, ranks.rank, 0.5)
    said = {"heard": heard, "found": found, "ways": ways, "sums": sums, "any": ranks.any(ranks.rank == 1)}
    (folder / f"said-{ranks.rank}.json").write_text(json.dumps(said))


@attrs.frozen
class Uneven:
    """Three batches for the first rank, two for the others: only some notice that the data have ended."""

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        last = 3 if current_ranks().is_first else 2
        return itertools.islice(DATA.get_data_generator(start), max(0, last - start))


@attrs.frozen
class StopsOnSecondRank:
    """As if the last process alone had been told to stop."""

    at: int

    def after_step(self, state: TrainState[Any]) -> Mapping[str, float]:
        if state.step == self.at and state.ranks.rank == state.ranks.world - 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)
        return {}


def scenario(name: str, folder: Path) -> None:
    held_out = Counting(9, 2)
    if name == "nan":
        trainer = TorchTrainer.instantiate(BASE, ExplodesAtRowOne(), DATA, directory=folder)
        try:
            trainer.train()
        except TrainingError as error:
            (folder / f"error-{current_ranks().rank}.txt").write_text(str(error))
    elif name == "stopped":
        trainer = TorchTrainer.instantiate(BASE, DeepModel(), DATA, directory=folder, hooks=(StopsOnSecondRank(3),))
        try:
            trainer.train()
        except KeyboardInterrupt as stopped:
            (folder / f"stopped-{current_ranks().rank}.txt").write_text(str(stopped))
    elif name == "ends":
        trainer = TorchTrainer.instantiate(BASE, DeepModel(), Uneven(), directory=folder)
        try:
            trainer.train()
        except TrainingError as error:
            (folder / f"error-{current_ranks().rank}.txt").write_text(str(error))
    elif name == "talk":
        talk(folder)
    elif name in ROWS:
        trained_on_rows(name, folder)
    elif name.startswith("resume:"):
        hooks = (Evaluate(source=held_out, every=4),)
        trained = TorchTrainer.load_checkpoint(
            folder / "checkpoints" / "step-00000004", data_source=DATA, hooks=hooks, allow=("tiny_torch",)
        ).train()
        trained.save_to_dir(folder) if current_ranks().is_first else None
    else:
        cfg = CONFIGS[name]
        trainer = TorchTrainer.instantiate(cfg, DeepModel(), DATA, directory=folder, held_out=held_out)
        trained = trainer.train()
        assert type(trained) is DeepModel
        if current_ranks().is_first:
            trained.save_to_dir(folder)


def main() -> None:
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    with joined() as ranks:
        for name in sys.argv[2:]:
            folder = place / name.removeprefix("resume:")
            folder.mkdir(parents=True, exist_ok=True)
            scenario(name, folder)
            ranks.any(False)  # nobody begins the next before all are here
        if ranks.is_first:
            (place / "world.json").write_text(json.dumps(ranks.world))


if __name__ == "__main__":
    main()
