"""Matrix products for a few rows, where writing spends its time: the weights once more, laid out for them.

One token at a time, a product only reads its weights. PyTorch's CPU product does that at half the speed of memory
for one row and wide outputs, and worse for some rows. Measured 2026-11-24, torch 2.13, one core, microseconds:

    rows  outputs x inputs  nn.Linear  here
    1     8192 x 384        1332       569   the weight transposed
    1     3072 x 384        509        229   the same
    1     384 x 1536        126        126   `nn.Linear`: transposed it would be 258
    8     8192 x 384        2241       950   oneDNN, the weight in blocks of its own
    8     384 x 1536        302        184   the same

A layout is made when it is first needed, and takes as much memory as the weights. It is a copy: weights that change
afterwards are not followed, which `Library` forbids.
"""

import copy
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gptlab.models.onednn import FEWEST_ROWS, HAS_ONEDNN, Linear

M = TypeVar("M", bound=nn.Module)


def with_few_rows(network: M) -> M:
    """The same network for few rows: its parameters are shared, its linear layers replaced."""
    other = copy.copy(network)
    other._modules = {name: _replaced(child) for name, child in network._modules.items()}
    return other


def _replaced(child: nn.Module | None) -> nn.Module | None:
    if child is None:
        return None
    return FewRows(child) if isinstance(child, Linear) else with_few_rows(child)


class FewRows(nn.Module):
    """A linear layer that is fast for fewer than `FEWEST_ROWS` rows, on a CPU and in float32; else as it was.

    >>> layer = Linear(2, 3)
    >>> rows = torch.ones(1, 2)
    >>> torch.allclose(FewRows(layer)(rows), layer(rows))
    True
    """

    def __init__(self, linear: Linear) -> None:
        """Nothing is laid out yet."""
        super().__init__()
        self.linear = linear
        weight = linear.weight
        self.suits = weight.device.type == "cpu" and weight.dtype == torch.float32
        self.is_wide = weight.shape[0] >= weight.shape[1]
        self._transposed: Tensor | None = None
        self._packed: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """As the layer has it."""
        return self.linear.weight

    @property
    def bias(self) -> Tensor | None:
        """As the layer has it; None where it has none."""
        return self.linear.bias

    def forward(self, input: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Each row times the weight, plus the bias."""
        rows, bias = input.numel() // input.shape[-1], self.bias
        if self.suits and rows == 1 and self.is_wide:
            if self._transposed is None:
                self._transposed = self.linear.weight.detach().t().contiguous()
            out = input @ self._transposed
            return out if bias is None else out + bias
        if self.suits and HAS_ONEDNN and 1 < rows < FEWEST_ROWS:
            if self._packed is None:
                self._packed = torch.ops.mkldnn._reorder_linear_weight(self.linear.weight.detach(), rows)
            mixed: Tensor = torch.ops.mkldnn._linear_pointwise(input, self._packed, bias, "none", [], "")
            return mixed
        kept: Tensor = self.linear(input)
        return kept
