"""From records to tensors: the one place where numpy ends."""

import attrs
import torch
from jaxtyping import Int
from torch import Tensor

from gptlab.types import Batch


def batch_tensors(batch: Batch, device: torch.device) -> dict[str, Int[Tensor, "..."]]:
    """The fields of a batch as tensors by name, on `device`; they share the batch's memory where they can.

    >>> import numpy as np
    >>> row = np.zeros((1, 2), np.int32)
    >>> none = np.zeros((1, 0, 3), np.int32)
    >>> batch = Batch(tokens=row, targets=row, documents=row, positions=row, edges=none)
    >>> sorted(batch_tensors(batch, torch.device("cpu")))
    ['documents', 'edges', 'positions', 'targets', 'tokens']
    """
    return {name: torch.as_tensor(array, device=device) for name, array in attrs.asdict(batch, recurse=False).items()}
