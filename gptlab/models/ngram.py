"""A language model without gradients: counts of n-grams, smoothed after Witten and Bell. What a network must beat.

The probability of a token is that of the longest context seen, mixed with the next shorter one by how many different
tokens were seen to follow: a context that is followed by many is a poor guide. The shortest is the uniform one.
Contexts end at the beginning of a document. All counts are sorted arrays of whole numbers, so 10 million tokens
are counted in seconds and looked up by bisection.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from safetensors.numpy import load_file, save

from gptlab.models import item_types
from gptlab.models.output import ModelOutput
from gptlab.models.weights import WEIGHTS, load_config, save_config
from gptlab.pipeline import AtMost
from gptlab.storage import write_atomically
from gptlab.types import Batch
from gptlab.types.errors import refusal
from gptlab.types.validators import at_least


@attrs.frozen(kw_only=True)
class NGramConfig:
    """The shape of an `NGram`.

    Attributes:
        vocab_size: at least the tokenizer's.
        order: tokens looked at, the predicted one included: 1 knows frequencies only.

    >>> NGramConfig(vocab_size=512).order
    3
    """

    vocab_size: int = attrs.field(validator=at_least(1))
    order: int = attrs.field(default=3, validator=at_least(1))

    def __attrs_post_init__(self) -> None:
        if self.order > 63 or self.vocab_size**self.order >= 2**63:  # the power of a huge order takes for ever
            raise refusal(
                "NGramConfig",
                got=f"vocab_size={self.vocab_size}, order={self.order}",
                wanted="vocab_size ** order below 2 ** 63",
                do="A lower order will do: few contexts of 4 tokens are ever seen twice.",
            )


Counts = tuple[Int64[np.ndarray, "_"], Int64[np.ndarray, "_"]]
"""Sorted keys, each an n-gram as a number in base `vocab_size`, and how often it was seen."""

Followed = tuple[Int64[np.ndarray, "_"], Int64[np.ndarray, "_"], Int64[np.ndarray, "_"]]
"""Sorted contexts, how many tokens followed each, and how many different ones."""

MOST_PARTS = 64
"""Batches whose counts are kept apart before they are merged: each merge sorts all that was ever seen."""


class NGram:
    """Counts of all n-grams up to `order`.

    >>> row = np.array([[1, 2, 1, 2, 0]], np.int32)
    >>> place = np.arange(5, dtype=np.int32)[None]
    >>> batch = Batch(tokens=row, targets=np.array([[2, 1, 2, 0, -1]], np.int32), documents=np.zeros_like(row),
    ...               positions=place, edges=np.zeros((1, 0, 3), np.int32))
    >>> model = NGram.instantiate(NGramConfig(vocab_size=3))
    >>> model.learn(batch)
    >>> [round(loss, 2) for loss in next(model.forward(iter([batch]))).token_losses[0].tolist()]
    [0.21, 0.81, 0.1, 0.81, 0.0]
    """

    def __init__(self, cfg: NGramConfig, counts: tuple[Counts, ...]) -> None:
        """Wrap counts that exist; `instantiate` makes a model that has seen nothing.

        Args:
            cfg: its shape.
            counts: of the n-grams of 1, 2, ... `order` tokens.
        """
        self.cfg = cfg
        self._counts = [[pair] for pair in counts]  # several, until they are asked for: merging each batch is slow

    @classmethod
    def instantiate(cls, cfg: NGramConfig) -> "NGram":
        """A model that has seen nothing, whose loss is log(vocab_size)."""
        nothing = np.empty(0, np.int64)
        return cls(cfg, ((nothing, nothing),) * cfg.order)

    @property
    def counts(self) -> tuple[Counts, ...]:
        """Of the n-grams of 1, 2, ... `order` tokens."""
        self._counts = [[_merged(parts)] for parts in self._counts]
        return tuple(parts[0] for parts in self._counts)

    def learn(self, batch: Batch) -> None:
        """Count every n-gram that ends with a target; tokens of one document only."""
        for parts, (keys, is_whole) in zip(self._counts, _ngrams(batch, self.cfg), strict=True):
            parts.append(_unique(keys[is_whole]))
            if len(parts) == MOST_PARTS:
                parts[:] = [_merged(parts)]

    def forward(self, batches: Iterator[Batch]) -> Iterator[ModelOutput]:
        """Losses of each batch, as a language model's; nothing has a gradient, and there are no logits."""
        counts = self.counts
        followed = [_by_context(keys, seen, self.cfg.vocab_size) for keys, seen in counts]
        for batch in batches:
            losses = np.where(batch.targets >= 0, -np.log(self._probabilities(batch, counts, followed)), 0.0)
            token_losses = torch.from_numpy(losses).float()
            yield ModelOutput(
                loss=token_losses.sum() / max(1, int((batch.targets >= 0).sum())), token_losses=token_losses
            )

    def _probabilities(
        self, batch: Batch, counts: tuple[Counts, ...], followed: list[Followed]
    ) -> Float64[np.ndarray, "batch seq"]:
        found = np.full(batch.tokens.shape, 1 / self.cfg.vocab_size)
        for size, (keys, is_whole) in enumerate(_ngrams(batch, self.cfg)):
            count = _lookup(counts[size], keys)
            context, total, kinds = followed[size]
            place = keys // self.cfg.vocab_size
            total_here, kinds_here = _lookup((context, total), place), _lookup((context, kinds), place)
            mixed = (count + kinds_here * found) / np.maximum(1, total_here + kinds_here)
            found = np.where(is_whole & (total_here > 0), mixed, found)
        return found

    def axes(self) -> Mapping[str, int | AtMost]:
        """The vocabulary that was counted in."""
        return {"vocab": AtMost(self.cfg.vocab_size)}

    fwd_input_type = item_types.fwd_input_type
    fwd_output_type = item_types.fwd_output_type

    def copy(self) -> "NGram":
        """A model of its own with equal counts; the arrays, which never change, are shared."""
        return NGram(self.cfg, self.counts)

    def save_to_dir(self, directory: Path) -> None:
        """Write `config.json`, and the counts as safetensors."""
        save_config(self.cfg, directory)
        arrays = {f"{name}.{size}": pair[i] for size, pair in enumerate(self.counts) for i, name in enumerate(_NAMES)}
        write_atomically(directory / WEIGHTS, save(arrays))

    @classmethod
    def load_from_dir(cls, directory: Path) -> "NGram":
        """The same model."""
        cfg = load_config(directory, NGramConfig)
        arrays = load_file(directory / WEIGHTS)
        return cls(cfg, tuple((arrays[f"keys.{size}"], arrays[f"seen.{size}"]) for size in range(cfg.order)))


_NAMES = ("keys", "seen")


def _ngrams(
    batch: Batch, cfg: NGramConfig
) -> Iterator[tuple[Int64[np.ndarray, "batch seq"], Bool[np.ndarray, "batch seq"]]]:
    """For 1, 2, ... `order` tokens that end with each target: the key, and whether all are of the same document."""
    targets, tokens = batch.targets.astype(np.int64), batch.tokens.astype(np.int64)
    keys, is_whole = np.maximum(targets, 0), targets >= 0
    yield keys, is_whole
    for back in range(cfg.order - 1):
        keys = keys + _shifted(tokens, back) * cfg.vocab_size ** (back + 1)
        is_whole = is_whole & (_shifted(batch.documents.astype(np.int64), back, fill=-2) == batch.documents)
        yield keys, is_whole


def _shifted(array: Int64[np.ndarray, "batch seq"], back: int, fill: int = 0) -> Int64[np.ndarray, "batch seq"]:
    """What stood `back` tokens before."""
    shifted = np.full_like(array, fill)
    shifted[:, back:] = array[:, : array.shape[1] - back]
    return shifted


def _unique(keys: Int64[np.ndarray, "tokens"]) -> Counts:
    values, seen = np.unique(keys, return_counts=True)
    return values, seen.astype(np.int64)


def _merged(parts: list[Counts]) -> Counts:
    if len(parts) == 1:
        return parts[0]
    keys, place = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    seen = np.bincount(place, np.concatenate([seen for _, seen in parts]), minlength=len(keys))
    return keys, seen.astype(np.int64)


def _by_context(keys: Int64[np.ndarray, "keys"], seen: Int64[np.ndarray, "keys"], vocab_size: int) -> Followed:
    """Each context, how many tokens followed it, and how many different ones. Keys hold the context oldest first."""
    contexts, place, kinds = np.unique(keys // vocab_size, return_inverse=True, return_counts=True)
    return contexts, np.bincount(place, seen, minlength=len(contexts)).astype(np.int64), kinds.astype(np.int64)


def _lookup(counts: Counts, keys: Int64[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """How often each key was seen; 0 where never."""
    known, seen = counts
    if not len(known):
        return np.zeros_like(keys)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, seen[place], 0)
