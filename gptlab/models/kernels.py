"""Which attention kernel computes: chosen by name, or by the device; all compute the same numbers."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from gptlab.models.attention import Attend, dense_attention
from gptlab.models.config import Attention
from gptlab.models.gathered import gathered_attention
from gptlab.models.mask import MaskSpec

Kernel = Callable[[Int[Tensor, "batch seq"], Int[Tensor, "batch edges 3"], MaskSpec], Attend]
"""From a batch's documents and edges to attention under their mask; called once per batch."""

KERNELS: dict[str, Kernel] = {"dense": dense_attention, "gathered": gathered_attention}


def kernel_for(attention: Attention, device: torch.device) -> Kernel:
    """The kernel of that name.

    >>> kernel_for("auto", torch.device("cpu")).__name__
    'gathered_attention'
    """
    return KERNELS["gathered" if attention == "auto" else attention]
