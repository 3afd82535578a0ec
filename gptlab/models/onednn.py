"""Products of a linear layer by oneDNN, on a CPU and in float32; everywhere else PyTorch's own.

PyTorch takes its BLAS library for these, and keeps oneDNN's product for its compiler. It is taken here for a layer's
output and for the gradient of its input. For the gradient of its weight it was no faster in five shapes tried at 512
and 2048 rows, so that stays with BLAS. What it gives of a step is in `experiments/step_speed`: 1 %, less than that
run's noise.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

FEWEST_ROWS = 32
"""Rows from which on it is taken: rows of a batch, not the single ones of generation."""


def _has_onednn() -> bool:
    return bool(torch._C._has_mkldnn) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


HAS_ONEDNN = _has_onednn()


class Linear(nn.Linear):
    """`nn.Linear`, whose products on a CPU are oneDNN's where PyTorch would take its BLAS library.

    PyTorch has the operation for its compiler (`torch.ops.mkldnn._linear_pointwise`); without it, on other devices
    and types, and for a few rows, this is `nn.Linear`.
    """

    def forward(self, input: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows outputs"]:
        """Each row times the weight, plus the bias."""
        if not suits_onednn(input, self.weight):
            return super().forward(input)
        out: Tensor = _OneDnnLinear.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return out


def suits_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is to multiply them."""
    return (
        HAS_ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() >= FEWEST_ROWS * x.shape[-1]
        and not torch.is_autocast_enabled("cpu")
    )


def product(
    left: Float[Tensor, "rows inner"], right: Float[Tensor, "columns inner"]
) -> Float[Tensor, "rows columns"]:
    """`left @ right.T`, either of them transposed in memory or not."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return out


def matmul(left: Float[Tensor, "rows inner"], right: Float[Tensor, "inner columns"]) -> Float[Tensor, "rows columns"]:
    """`left @ right`, by whichever suits."""
    out: Tensor = product(left, right.t()) if suits_onednn(left, right) else left @ right
    return out


class _OneDnnLinear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        flat = grad.flatten(0, -2)
        of_x = product(flat, weight.t()).view_as(x) if ctx.needs_input_grad[0] else None
        of_weight = flat.t() @ x.flatten(0, -2) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, flat.sum(dim=0) if ctx.needs_input_grad[2] else None
