"""A small real model and seekable batches for the tests of training; importable from a subprocess."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import attrs
import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gptlab.types import Batch

VOCAB = 11


@attrs.frozen(kw_only=True, eq=False)
class TinyOutput:
    loss: Float[Tensor, ""]
    token_losses: Float[Tensor, "batch seq"]
    logits: Float[Tensor, "batch seq vocab"] | None = None


class TinyModel:
    """The next token from the one before, with dropout, so that random states matter."""

    def __init__(self, seed: int = 0, dropout: float = 0.2) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = nn.Sequential(
                nn.Embedding(VOCAB, 8),
                nn.Dropout(dropout),
                nn.Linear(8, 8),
                nn.GELU(),
                nn.LayerNorm(8),
                nn.Linear(8, VOCAB),
            )
        self.network.eval()
        self.dropout = dropout

    def forward(self, batches: Iterator[Batch]) -> Iterator[TinyOutput]:
        for batch in batches:
            logits = self.network(torch.from_numpy(batch.tokens).long())
            targets = torch.from_numpy(batch.targets).long()
            losses = nn.functional.cross_entropy(
                logits.float().transpose(1, 2), targets, ignore_index=-1, reduction="none"
            )
            yield TinyOutput(loss=losses.sum() / (targets >= 0).sum(), token_losses=losses, logits=logits)

    def copy(self) -> Self:
        return copy.deepcopy(self)

    def save_to_dir(self, directory: Path) -> None:
        save_file(self.network.state_dict(), directory / "weights.safetensors", {"dropout": str(self.dropout)})

    @classmethod
    def load_from_dir(cls, directory: Path) -> Self:
        model = cls()
        model.network.load_state_dict(load_file(directory / "weights.safetensors"))
        return model

    def weights(self) -> dict[str, np.ndarray]:
        return {name: tensor.numpy().copy() for name, tensor in self.network.state_dict().items()}


class Residual(nn.Module):
    """Embedding, blocks that add to a stream, head: parts that can be cut among ranks and computed again."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, 8)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)) for _ in range(3))
        self.head = nn.Linear(8, VOCAB)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.head(x)
        return out


class DeepModel(TinyModel):
    """The same with blocks and without dropout, whose numbers would differ from rank to rank."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(dropout=0.0)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = Residual()  # type: ignore[assignment]
        self.network.eval()


@attrs.frozen
class Padded:
    """Batches of 5 rows of which each row teaches another number of tokens: what a mean of means gets wrong."""

    inner: Any

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(self.inner.get_data_generator(start), start):
            tokens = np.concatenate([batch.tokens, batch.tokens[:2]])
            targets = np.concatenate([batch.targets, batch.targets[:2]])
            taught = np.random.default_rng((7, number)).integers(0, 7, size=(5, 1))
            zeros = np.zeros_like(tokens)
            yield Batch(
                tokens=tokens,
                targets=np.where(np.arange(6) < taught, targets, -1).astype(np.int32),
                documents=zeros,
                positions=zeros + np.arange(6, dtype=np.int32),
                edges=np.zeros((5, 0, 3), np.int32),
            )


@attrs.frozen
class Counting:
    """Batch k: rows that count up modulo the vocabulary from places that depend on (seed, k) alone."""

    seed: int = 0
    batches: int | None = None

    def get_data_generator(self, start: int = 0) -> Iterator[Batch]:
        k = start
        while self.batches is None or k < self.batches:
            begin = np.random.default_rng((self.seed, k)).integers(0, VOCAB, size=(3, 1))
            tokens = ((begin + np.arange(6)) % VOCAB).astype(np.int32)
            targets = ((tokens + 1) % VOCAB).astype(np.int32)
            targets[0, -1] = -1
            zeros = np.zeros_like(tokens)
            yield Batch(
                tokens=tokens,
                targets=targets,
                documents=zeros,
                positions=zeros + np.arange(6, dtype=np.int32),
                edges=np.zeros((3, 0, 3), np.int32),
            )
            k += 1


def same(left: TinyModel, right: TinyModel) -> bool:
    a, b = left.weights(), right.weights()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
