"""From records to tensors: the one place where numpy ends."""

import attrs
import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from gptlab.types import Batch


def batch_tensors(batch: Batch, device: torch.device) -> dict[str, Int[Tensor, "..."]]:
    """The fields of a batch as tensors by name, on `device`; they share the batch's memory where they can.

    >>> row = np.zeros((1, 2), np.int32)
    >>> none = np.zeros((1, 0, 3), np.int32)
    >>> batch = Batch(tokens=row, targets=row, documents=row, positions=row, edges=none)
    >>> sorted(batch_tensors(batch, torch.device("cpu")))
    ['documents', 'edges', 'positions', 'targets', 'tokens']
    """
    return {name: on_device(array, device) for name, array in attrs.asdict(batch, recurse=False).items()}


def on_device(array: np.ndarray | Tensor, device: torch.device) -> Shaped[Tensor, "..."]:
    """An array as a tensor on `device`; on a CPU it shares the array's memory where it can.

    To a CUDA device it goes by way of pinned memory, which torch keeps and gives out again, so that the copy is made
    by the device while this thread goes on. From other memory this thread would wait for the copy.

    >>> on_device(np.ones(2, np.int32), torch.device("cpu"))
    tensor([1, 1], dtype=torch.int32)
    """
    tensor = torch.as_tensor(array)
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
