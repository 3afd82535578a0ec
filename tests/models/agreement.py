"""What is fast against its definition."""

from collections.abc import Callable

import torch
from torch import Tensor


def agree(
    fast: Callable[..., Tensor], slow: Callable[..., Tensor], *inputs: Tensor, atol: float = 1e-5, rtol: float = 1e-4
) -> None:
    """Equal outputs, and equal gradients of a random weighting of them."""
    results = []
    for function in (fast, slow):
        own = [tensor.clone().requires_grad_() for tensor in inputs]
        out = function(*own)
        weights = torch.linspace(-1, 1, out.numel()).view_as(out)
        (out * weights).sum().backward()
        results.append([out.detach(), *(tensor.grad for tensor in own)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=rtol)
