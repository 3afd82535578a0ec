"""Batches go to a CUDA device by way of pinned memory, and to a CPU they do not go at all."""

import numpy as np
import pytest
import torch

from gptlab.models.tensors import batch_tensors, on_device
from gptlab.types import Batch


def a_batch() -> Batch:
    fields = {name: np.arange(6, dtype=np.int32).reshape(2, 3) for name in ("tokens", "targets", "documents")}
    return Batch(**fields, positions=np.zeros((2, 3), np.int32), edges=np.zeros((2, 1, 3), np.int32))


@pytest.fixture
def calls(monkeypatch) -> list[tuple[object, ...]]:
    """What is asked of tensors; a tensor that is to go to a device stays where it is."""
    made: list[tuple[object, ...]] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: made.append(("pin", self.data_ptr())) or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device, **how: made.append(("to", str(device), how)) or self)
    return made


def test_on_a_cpu_nothing_is_pinned_and_nothing_copied(calls):
    batch = a_batch()
    tensors = batch_tensors(batch, torch.device("cpu"))
    assert calls == [("to", "cpu", {})] * 5
    assert all(np.shares_memory(tensors[name].numpy(), getattr(batch, name)) for name in tensors)


def test_to_a_cuda_device_it_goes_by_pinned_memory_and_nobody_waits(calls):
    array = np.arange(3, dtype=np.int32)
    assert on_device(array, torch.device("cuda:1")).tolist() == [0, 1, 2]
    assert calls == [("pin", array.ctypes.data), ("to", "cuda:1", {"non_blocking": True})]


def test_what_is_on_a_device_is_not_pinned(calls):
    on_device(torch.empty(3, device="meta"), torch.device("cuda"))
    assert calls == [("to", "cuda", {})]
