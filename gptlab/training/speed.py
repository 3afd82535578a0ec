"""How well a run uses its machine: memory, and the share of the device's peak that goes into the model (MFU).

    MFU = 6 * parameters * tokens per second / (peak * number of devices)

(PaLM, arXiv:2204.02311, appendix B, without its term for attention, which depends on the mask: so a lower bound).
`parameters` are those of all matrices that multiply: a table of embeddings counts only where it is the output layer
as well. Peaks are the makers' figures for dense bfloat16 products with sums in float32.
"""

import resource
import sys
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import nn

from gptlab.training.state import TrainState
from gptlab.types.validators import at_least

PEAKS: Mapping[str, float] = {
    "A100": 312e12,
    "A10": 125e12,
    "B200": 2250e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 3090": 71e12,
    "RTX 4090": 165e12,
    "RTX 5090": 210e12,
}
"""Operations per second in bfloat16 by a part of the device's name; the longest part that fits counts."""

UNKNOWN = "unknown"


def peak_of(device: str) -> float | None:
    """The peak of a device by its name; None where the table has none.

    >>> peak_of("NVIDIA H100 PCIe"), peak_of("NVIDIA H100 80GB HBM3"), peak_of("AMD EPYC")
    (756000000000000.0, 989000000000000.0, None)
    """
    fitting = [name for name in PEAKS if name in device]
    return PEAKS[max(fitting, key=len)] if fitting else None


def name_of(device: torch.device) -> str:
    """What the device calls itself.

    >>> name_of(torch.device("cpu"))
    'cpu'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def multiplied_parameters(network: nn.Module) -> int:
    """Numbers of the matrices that multiply every token.

    >>> multiplied_parameters(nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10)))
    40
    """
    weights = {
        id(module.weight): module.weight.numel() for module in network.modules() if isinstance(module, nn.Linear)
    }
    return sum(weights.values())


def mfu(network: nn.Module, tokens_per_second: float, device: str, devices: int = 1) -> float | str:
    """The share of the peak that the model's own products use; `unknown` for a device that the table has not.

    >>> mfu(nn.Linear(1000, 1000), 1e6, "NVIDIA H100 80GB HBM3"), mfu(nn.Linear(1, 1), 1.0, "cpu")
    (0.0060..., 'unknown')
    """
    peak = peak_of(device)
    return UNKNOWN if peak is None else 6 * multiplied_parameters(network) * tokens_per_second / (peak * devices)


@attrs.frozen(kw_only=True)
class Usage:
    """Hook: `memory_gib`, the most that was in use, and `mfu` where the device is known.

    Attributes:
        every: steps.
    """

    every: int = attrs.field(default=10, validator=at_least(1))

    def after_step(self, state: TrainState[Any]) -> Mapping[str, int | float]:
        """Look at the device."""
        if not state.is_due(self.every):
            return {}
        device = state.optimizers.device
        name = name_of(device)
        share = mfu(state.model.network, state.figures.get("tokens_per_second", 0.0), name, state.ranks.world)
        return {"memory_gib": memory_gib(device)} | ({} if isinstance(share, str) else {"mfu": share})


def memory_gib(device: torch.device) -> float:
    """The most memory used so far: of the GPU, or of the process where that computes on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**30 if sys.platform == "darwin" else most / 2**20
