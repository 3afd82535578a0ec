"""Which attention kernel computes: chosen by name, or by the device; all compute the same numbers."""

from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Tensor

from gptlab.models.attention import Attend, dense_attention
from gptlab.models.config import Attention
from gptlab.models.flex import flex_attention_along_links
from gptlab.models.gathered import gathered_attention
from gptlab.models.mask import MaskSpec
from gptlab.models.varlen import varlen_attention
from gptlab.types.errors import refusal

Kernel = Callable[[Int[Tensor, "batch seq"], Int[Tensor, "batch edges 3"], MaskSpec], Attend]
"""From a batch's documents and edges to attention under their mask; called once per batch."""

KERNELS: dict[str, Kernel] = {
    "dense": dense_attention,
    "gathered": gathered_attention,
    "flex": flex_attention_along_links,
    "varlen": varlen_attention,
}
ON_CUDA_ONLY = frozenset({"flex", "varlen"})


def kernel_for(attention: Attention, device: torch.device) -> Kernel:
    """The kernel of that name; `auto` is `flex` on CUDA and `gathered` elsewhere.

    Raises:
        ValueError: the kernel cannot compute on that device.

    >>> kernel_for("auto", torch.device("cpu")).__name__
    'gathered_attention'
    """
    if attention == "auto":
        return KERNELS["flex" if device.type == "cuda" else "gathered"]
    if attention in ON_CUDA_ONLY and device.type != "cuda":
        raise refusal(
            "DagTransformerConfig.attention",
            got=f"{attention!r} for a model on {device}",
            wanted="a CUDA device, for which alone this kernel is made",
            do="Move the network to CUDA, or take attention='auto', which is 'gathered' here.",
        )
    return KERNELS[attention]
