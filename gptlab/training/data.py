"""The data side of training: where batch k comes from, how a step takes its batches, and what they weigh."""

import inspect
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch

from gptlab.training.errors import TrainingError


class Reader:
    """The batches from `start` on, taken step by step and handed to the model one by one.

    A step takes its batches before the first is looked at, because what each of them weighs depends on all.

    Attributes:
        tokens: of the batches taken last; 0 for batches without `tokens`.
        waited: seconds that this took.
    """

    def __init__(self, source: Any, start: int) -> None:
        """Read from a source; one that cannot seek begins at its beginning."""
        self._batches = source.get_data_generator(start=start) if is_seekable(source) else source.get_data_generator()
        self._taken: deque[Any] = deque()
        self.tokens = 0
        self.waited = 0.0

    def take(self, count: int) -> list[Any]:
        """The next `count` batches, or those that are left."""
        began = time.perf_counter()
        taken: list[Any] = []
        while len(taken) < count and (batch := next(self._batches, None)) is not None:
            taken.append(batch)
        self._taken = deque(taken)
        self.tokens = sum(_tokens(batch) for batch in taken)
        self.waited = time.perf_counter() - began
        return taken

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """What the model reads: the next of the batches that were taken."""
        return self._taken.popleft() if self._taken else next(self._batches)


def _tokens(batch: Any) -> int:
    tokens = getattr(batch, "tokens", None)
    return 0 if tokens is None else int(np.prod(tokens.shape))


def learned(batch: Any) -> int:
    """How much a batch weighs: its learned tokens; for batches without next tokens their rows; 1 for any other.

    A model's `loss` is the mean over so many, so batches of different weight together give the mean over all.
    """
    tokens, targets = getattr(batch, "tokens", None), getattr(batch, "targets", None)
    if targets is not None and tokens is not None and targets.shape == tokens.shape:
        return int((np.asarray(targets) >= 0).sum())
    arrays = [array for array in batch_arrays(batch).values() if array.ndim] if _is_record(batch) else []
    return len(arrays[0]) if arrays else 1


def is_seekable(source: Any) -> bool:
    """Whether the source can begin at batch k.

    >>> class Endless:
    ...     def get_data_generator(self, start: int = 0) -> Iterator[int]: ...
    >>> is_seekable(Endless())
    True
    """
    return "start" in inspect.signature(source.get_data_generator).parameters


def refuse_unseekable(source: Any) -> None:
    """A run that writes checkpoints must be able to go on from them."""
    if not is_seekable(source):
        raise TrainingError(
            f"{type(source).__name__}.get_data_generator",
            got="no parameter `start`",
            wanted="get_data_generator(start=k), which begins at batch k, so that a checkpoint can be gone on from",
            do="Use a seekable source (gptlab.packing.PackedRows or Shuffled, then Collate), or give no directory.",
        )


def batch_arrays(batch: Any) -> dict[str, torch.Tensor]:
    """The arrays of a record, or of whatever has attributes, by name."""
    names = [field.name for field in attrs.fields(type(batch))] if attrs.has(type(batch)) else list(vars(batch))
    values = {name: getattr(batch, name) for name in names}
    return {
        name: torch.as_tensor(value) for name, value in values.items() if isinstance(value, np.ndarray | torch.Tensor)
    }


def _is_record(batch: Any) -> bool:
    return attrs.has(type(batch)) or hasattr(batch, "__dict__")
