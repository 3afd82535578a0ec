"""The data side of training: where batch k comes from, and what is kept of it."""

import inspect
from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import torch

from gptlab.training.errors import TrainingError


class Reader:
    """The batches from `start` on, remembering the last few and counting tokens.

    Attributes:
        last: the latest `keep` batches: those of the step at hand.
        tokens: read since it was last set to 0; 0 for batches without `tokens`.
    """

    def __init__(self, source: Any, start: int, keep: int) -> None:
        """Read from a source; one that cannot seek begins at its beginning."""
        self._batches = source.get_data_generator(start=start) if is_seekable(source) else source.get_data_generator()
        self.last: deque[Any] = deque(maxlen=keep)
        self.tokens = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        batch = next(self._batches)
        self.last.append(batch)
        tokens = getattr(batch, "tokens", None)
        self.tokens += 0 if tokens is None else int(np.prod(tokens.shape))
        return batch


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
