"""One network on several ranks: DDP (every rank holds all of it) or FSDP2 (every rank holds a part).

Both average gradients over ranks, so each rank multiplies its loss by their number and divides by what the whole
step learns from: the result is the gradient of one process that reads the same batches. DDP is put around a module
whose forward is *the loss of one batch*, so a model keeps its names, its `forward` and its place in a pipeline;
FSDP2 changes the network in place. What FSDP2 needs is imported where it is asked for: it takes 0.6 seconds, a
quarter of what a program needs to begin.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import attrs
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gptlab.training.config import TrainerConfig
from gptlab.training.errors import TrainingError
from gptlab.training.ranks import Ranks

Loss = Callable[[], torch.Tensor]


@attrs.frozen
class Parallel:
    """How a loss is computed so that its gradients meet those of the other ranks.

    Attributes:
        loss: calls a function that gives the loss of one batch.
        holding: within it gradients stay on this rank: for all batches of a step but the last.
        name: for people.
    """

    loss: Callable[[Loss], torch.Tensor]
    holding: Callable[[], AbstractContextManager[Any]]
    name: str


class _LossOf(nn.Module):
    """A module whose forward is the loss: what DDP prepares its gradients around."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, loss: Loss) -> torch.Tensor:
        return loss()


def parallelise(network: nn.Module, cfg: TrainerConfig, ranks: Ranks) -> Parallel:
    """Get a network ready for its ranks; alone, nothing is done.

    Raises:
        TrainingError: Muon with FSDP: it needs whole matrices.
    """
    if ranks.world == 1:
        return Parallel(lambda loss: loss(), contextlib.nullcontext, "one process")
    if cfg.parallel == "ddp":
        # Buckets that are views of the gradients save a copy of each. The first bucket is small, so that sending
        # begins early; with few megabytes in all the size of the others does not matter.
        wrapped = DistributedDataParallel(_LossOf(network), gradient_as_bucket_view=True)
        return Parallel(wrapped, wrapped.no_sync, f"{ranks.world} processes, DDP")
    if cfg.optimizer == "muon":
        raise TrainingError(
            "TrainerConfig.parallel",
            got="'fsdp' with optimizer 'muon'",
            wanted="an optimiser that changes each number by itself: Muon needs whole matrices",
            do="Set optimizer='adamw', or parallel='ddp'.",
        )
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415 - slow to import
    from torch.distributed.fsdp import fully_shard  # noqa: PLC0415

    mesh = init_device_mesh(next(network.parameters()).device.type, (ranks.world,))
    for block in blocks(network):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    return Parallel(lambda loss: loss(), lambda: _holding(network), f"{ranks.world} processes, FSDP")


def blocks(network: nn.Module) -> list[nn.Module]:
    """The repeated parts of a network: what its lists of modules hold.

    >>> blocks(nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(1, 1)]), "head": nn.Linear(1, 1)}))
    [Linear(in_features=1, out_features=1, bias=True)]
    """
    return [block for part in network.modules() if isinstance(part, nn.ModuleList) for block in part]


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor of which this rank may hold a part; every rank must ask, in the same order."""
    if not hasattr(tensor, "full_tensor"):
        return tensor
    full: torch.Tensor = tensor.full_tensor()
    return full


def part_of(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This rank's part of a whole tensor, cut as `like` is; the tensor itself where that is whole, or a number."""
    if not hasattr(like, "placements") or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415 - slow to import

    cut: Any = like
    part: torch.Tensor = distribute_tensor(tensor.to(like.device), cut.device_mesh, cut.placements)
    return part


@contextlib.contextmanager
def _holding(network: nn.Module) -> Iterator[None]:
    sharded: Any = network  # FSDP2 has given it methods of its own
    sharded.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        sharded.set_requires_gradient_sync(True)
