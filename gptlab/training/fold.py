"""A trainer without gradients: every batch is shown to the model once, and the model counts.

It keeps the contract honest (a trainer is not torch in disguise) and gives the baseline that every language
model must beat: `Bigram`, the best guess from one token alone.
"""

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import attrs
import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from gptlab.models import ModelOutput
from gptlab.pipeline import AtMost, pipeline, takes, track
from gptlab.pipeline.protocols import Source
from gptlab.training.errors import TrainingError
from gptlab.types import Batch

S = TypeVar("S")


@runtime_checkable
class CountingModel(Protocol):
    """A model that learns by looking. `Bigram` is a complete one."""

    def learn(self, batch: Any) -> None:
        """Take one batch in."""

    def forward(self, items: Any) -> Iterator[Any]:
        """Score batches, as any model does."""

    def copy(self: S) -> S:
        """The same model with numbers of its own."""

    def save_to_dir(self, directory: Path) -> None:
        """Write everything that `load_from_dir` needs."""


C = TypeVar("C", bound=CountingModel)


@attrs.frozen(kw_only=True, eq=False)
class FoldTrainer(Generic[C]):
    """Shows each batch to a copy of the model.

    Attributes:
        model: where training begins; never changed.
        data_source: of what the model's `forward` takes.
        batches: how many are shown; None: all there are.
    """

    model: C
    data_source: Source[Any]
    batches: int | None = None

    @classmethod
    def instantiate(cls, batches: int | None, model: C, data_source: Source[Any]) -> "FoldTrainer[C]":
        """A trainer whose data are known to fit the model.

        Raises:
            ContractError: when they do not.
        """
        pipeline(data_source, model.forward)
        return cls(model=model, data_source=data_source, batches=batches)

    def train_input_type(self) -> Any:
        """What a batch must be."""
        return takes(self.model.forward)

    def train_output_type(self) -> type[Any]:
        """What `train` returns."""
        return type(self.model)

    def train(self) -> C:
        """Train a copy of the model and return it."""
        model = self.model.copy()
        batches = itertools.islice(self.data_source.get_data_generator(), self.batches)
        total = None if self.batches is None else float(self.batches)
        for batch in track(batches, "train", total=total, unit="batches", every=8):
            model.learn(batch)
        return model


class Bigram:
    """The next token from the one before, by counting: `(count + smoothing) / (total + smoothing * vocab_size)`.

    >>> batch = Batch(
    ...     tokens=np.array([[0, 1, 0, 1]], np.int32), targets=np.array([[1, 0, 1, -1]], np.int32),
    ...     documents=np.zeros((1, 4), np.int32), positions=np.array([[0, 1, 2, 3]], np.int32),
    ...     edges=np.zeros((1, 0, 3), np.int32),
    ... )
    >>> model = Bigram(vocab_size=2)
    >>> model.learn(batch)
    >>> [round(loss, 3) for loss in next(model.forward(iter([batch]))).token_losses[0].tolist()]
    [0.288, 0.405, 0.288, 0.0]
    """

    def __init__(self, vocab_size: int, smoothing: float = 1.0) -> None:
        """A model that has seen nothing.

        Raises:
            TrainingError: for a vocabulary of which all pairs would not fit in memory, or no smoothing.
        """
        if not 0 < vocab_size <= LARGEST_VOCABULARY or not smoothing > 0:
            raise TrainingError(
                "Bigram",
                got=f"vocab_size {vocab_size}, smoothing {smoothing}",
                wanted=f"a vocabulary of 1 to {LARGEST_VOCABULARY:,} tokens (all pairs count), smoothing above 0",
                do="Use a tokenizer with a smaller vocabulary.",
            )
        self.smoothing = smoothing
        self.counts = np.zeros((vocab_size, vocab_size), np.int64)

    def learn(self, batch: Batch) -> None:
        """Count every token with its target."""
        learned = batch.targets >= 0
        np.add.at(self.counts, (batch.tokens[learned], batch.targets[learned]), 1)

    def forward(self, batches: Iterator[Batch]) -> Iterator[ModelOutput]:
        """Losses in nats, and logits that are the log of the smoothed shares."""
        seen = self.counts.sum(axis=1, keepdims=True) + self.smoothing * len(self.counts)
        table = torch.from_numpy(np.log((self.counts + self.smoothing) / seen).astype(np.float32))
        for batch in batches:
            logits = table[torch.from_numpy(batch.tokens).long()]
            targets = torch.from_numpy(batch.targets).long()
            losses = -logits.gather(2, targets.clamp(min=0)[..., None]).squeeze(2) * (targets >= 0)
            yield ModelOutput(
                loss=losses.sum() / (targets >= 0).sum().clamp(min=1), token_losses=losses, logits=logits
            )

    @property
    def network(self) -> torch.nn.Module:
        """None of its numbers is learned by gradients; there for whoever switches modes."""
        return torch.nn.Identity()

    def axes(self) -> dict[str, AtMost]:
        """The vocabulary that was counted for."""
        return {"vocab": AtMost(len(self.counts))}

    def copy(self) -> "Bigram":
        """The same model with counts of its own."""
        twin = Bigram(len(self.counts), self.smoothing)
        twin.counts = self.counts.copy()
        return twin

    def save_to_dir(self, directory: Path) -> None:
        """Write `config.json` and `counts.safetensors`."""
        directory.mkdir(parents=True, exist_ok=True)
        save_file({"counts": self.counts}, directory / "counts.safetensors")
        (directory / "config.json").write_text(json.dumps({"smoothing": self.smoothing}) + "\n")

    @classmethod
    def load_from_dir(cls, directory: Path) -> "Bigram":
        """The same model."""
        counts = load_file(directory / "counts.safetensors")["counts"]
        model = cls(len(counts), json.loads((directory / "config.json").read_text())["smoothing"])
        model.counts = counts
        return model


LARGEST_VOCABULARY = math.isqrt(2**31 // 8)
"""All pairs of this many tokens are 2 GiB of counts."""
