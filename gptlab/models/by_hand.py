"""Parts of a training step with gradients written by hand, because so they touch memory less often.

Autograd over single operations is the definition of each, and `tests/models/test_by_hand.py` holds them to it. What
each gives of a step is measured by switching it off, in `experiments/step_speed`.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gptlab.models.onednn import matmul, product, suits_onednn


def relu_squared(x: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
    """`relu(x) ** 2`, whose gradient is `2 relu(x)`.

    >>> relu_squared(torch.tensor([[-1.0, 3.0]]))
    tensor([[0., 9.]])
    """
    out: Tensor = _ReluSquared.apply(x)  # type: ignore[no-untyped-call]
    return out


class _ReluSquared(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        above = torch.relu(x)
        ctx.save_for_backward(above)
        return above * above

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (above,) = ctx.saved_tensors
        of_x: Tensor = (grad * above).mul_(2)
        return of_x


class RmsNorm(nn.RMSNorm):
    """`nn.RMSNorm`, which has no kernel of its own on a CPU: there it is by hand."""

    def forward(self, x: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Each vector divided by the root of its mean square, times the weight."""
        if x.device.type != "cpu":
            normed: Tensor = super().forward(x)
            return normed
        out: Tensor = _RmsNorm.apply(x, self.weight, self.eps)  # type: ignore[no-untyped-call]
        return out


def _inverse_root_mean_square(x: Tensor, eps: float) -> Tensor:
    """In float32 whatever x is, which it is divided by."""
    wide = torch.promote_types(x.dtype, torch.float32)
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
    return length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()


class _RmsNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        scale = _inverse_root_mean_square(x, eps)
        ctx.save_for_backward(x, scale, weight)
        return (x * scale).mul_(weight).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, scale, weight = ctx.saved_tensors
        of_x = grad * scale
        of_weight = (of_x * x).flatten(0, -2).sum(dim=0)
        of_x.mul_(weight)
        along = (of_x * x).mean(dim=-1, keepdim=True).mul_(scale).mul_(scale)
        return of_x.addcmul_(x, along, value=-1).to(x.dtype), of_weight.to(weight.dtype), None


def crossings(documents: Int[Tensor, "batch seq"], most: int) -> list[Int[Tensor, "_"]]:
    """For each distance 1 to `most`: the tokens, counted through the batch, so far behind which is another document.

    Few they are, so that `short_conv` computes all tokens alike and then puts these right.

    >>> [found.tolist() for found in crossings(torch.tensor([[0, 0, 1], [0, 0, 0]]), 2)]
    [[2, 3], [2, 3, 4]]
    """
    rows, seq = documents.shape
    numbers = documents + torch.arange(rows, device=documents.device)[:, None] * (seq + 2)  # no two rows share one
    flat = numbers.flatten()
    return [(flat[back:] != flat[:-back]).nonzero()[:, 0] + back for back in range(1, min(most, len(flat) - 1) + 1)]


def short_conv(
    x: Float[Tensor, "batch seq width"],
    weight: Float[Tensor, "taps 1 width"],
    crossing: list[Int[Tensor, "_"]],
) -> Float[Tensor, "batch seq width"]:
    """`x` and, channel by channel, `weight[back]` times the token `back` before it in its document.

    Args:
        crossing: of `crossings(documents, taps - 1)`.
    """
    out: Tensor = _ShortConv.apply(x, weight, crossing)  # type: ignore[no-untyped-call]
    return out


class _ShortConv(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, crossing: list[Tensor]) -> Tensor:
        flat, taps = x.flatten(0, 1), weight[:, 0]
        out = flat * (1 + taps[0])
        for back, (tap, cut) in enumerate(zip(taps[1:], crossing, strict=False), start=1):
            before = out[cut]
            out[back:].addcmul_(flat[:-back], tap)
            out[cut] = before  # put back, not subtracted: another document must not even change the rounding
        ctx.save_for_backward(x, weight, *crossing)
        return out.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, *crossing = ctx.saved_tensors
        flat, down, taps = x.flatten(0, 1), grad.flatten(0, 1), weight[:, 0]
        of_x, of_taps = down * (1 + taps[0]), torch.zeros_like(taps)
        of_taps[0] = (down * flat).sum(dim=0)
        for back, (tap, cut) in enumerate(zip(taps[1:], crossing, strict=False), start=1):
            before = of_x[cut - back]
            of_x[:-back].addcmul_(down[back:], tap)
            of_x[cut - back] = before
            of_taps[back] = (down[back:] * flat[:-back]).index_fill_(0, cut - back, 0).sum(dim=0)
        return of_x.view_as(x), of_taps[:, None], None


def linear_losses(
    x: Float[Tensor, "tokens width"],
    weight: Float[Tensor, "vocab width"],
    targets: Int[Tensor, "tokens"],
    most: int,
) -> Float[Tensor, "tokens"]:
    """Cross-entropy in nats of the logits `x @ weight.T`, which are never given out; 0 where the target is -1.

    Logits turn into probabilities and those into the gradient in one and the same memory.

    Args:
        most: numbers of logits that may be kept for the gradient; more are made again, as many at a time.

    >>> linear_losses(torch.ones(2, 1), torch.zeros(4, 1), torch.tensor([3, -1]), most=100)
    tensor([1.3863, 0.0000])
    """
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    losses: Tensor = _LinearLosses.apply(x, weight, targets.long(), most)  # type: ignore[no-untyped-call]
    return losses


class _LinearLosses(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, most: int) -> Tensor:
        size = max(1, most // len(weight))
        losses, kept = [], []
        for part, wanted in zip(torch.split(x, size), torch.split(targets, size), strict=True):
            loss, probabilities = _losses_and_probabilities(part, weight, wanted)
            losses.append(loss)
            kept.append(probabilities)
        ctx.size = size
        ctx.save_for_backward(x, weight, targets, *(kept if len(kept) == 1 else ()))
        return torch.cat(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        x, weight, targets, *kept = ctx.saved_tensors
        of_x, of_weight = torch.empty_like(x), None
        for at in range(0, len(x), ctx.size):
            rows = slice(at, at + ctx.size)
            part, wanted = x[rows], targets[rows]
            found = kept[0] if kept else _losses_and_probabilities(part, weight, wanted)[1]
            scale = torch.where(wanted >= 0, grad[rows], 0.0)[:, None]
            of_logits = found.mul_(scale)  # in place: a second backward pass through it is refused by torch
            of_logits.scatter_add_(1, wanted.clamp(min=0)[:, None], -scale)
            of_logits = of_logits.to(x.dtype)
            of_x[rows] = matmul(of_logits, weight)
            of_part = of_logits.t() @ part
            of_weight = of_part if of_weight is None else of_weight.add_(of_part)
        return of_x, of_weight, None, None


@torch.no_grad()
def _losses_and_probabilities(
    x: Float[Tensor, "tokens width"], weight: Float[Tensor, "vocab width"], targets: Int[Tensor, "tokens"]
) -> tuple[Float[Tensor, "tokens"], Float[Tensor, "tokens vocab"]]:
    logits = (product(x, weight) if suits_onednn(x, weight) else functional.linear(x, weight)).float()
    of_target = logits.gather(1, targets.clamp(min=0)[:, None])[:, 0]
    largest = logits.amax(dim=1)
    probabilities = torch.softmax(logits, dim=1, out=logits)
    # log of the sum of exponentials: the largest probability is never so small that its logarithm is lost
    losses = largest - probabilities.amax(dim=1).log() - of_target
    return torch.where(targets >= 0, losses, 0.0), probabilities


Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, each `[batch 1 seq size/2]`."""


def split_heads(
    qkv: Float[Tensor, "batch seq heads size"],
    norms: tuple[nn.RMSNorm, nn.RMSNorm] | None,
    rotation: Rotation | None,
    heads: int,
    key_heads: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values `[batch heads seq size]`; of queries and keys each head normed and rotated.

    Args:
        qkv: heads of queries, then of keys, then of values.
        norms: of queries and of keys.
        rotation: see `gptlab.models.transformer.rotate`.
    """
    turned = heads + key_heads
    weight, eps = None, 0.0
    if norms is not None:
        weights = (norms[0].weight.expand(heads, -1), norms[1].weight.expand(key_heads, -1))
        weight, eps = torch.cat(weights), norms[0].eps or 0.0
    if weight is None and rotation is None:
        mixed, values = qkv[:, :, :turned], qkv[:, :, turned:]
    else:
        mixed, values = _NormAndTurn.apply(qkv, weight, rotation, (turned, eps))  # type: ignore[no-untyped-call]
    queries, keys = torch.split(mixed.transpose(1, 2), [heads, key_heads], dim=1)
    return queries, keys, values.transpose(1, 2)


class _NormAndTurn(Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, weight: Tensor | None, rotation: Rotation | None, how: tuple[int, float]
    ) -> tuple[Tensor, Tensor]:
        turned, eps = how
        out, values = qkv[:, :, :turned], qkv[:, :, turned:]
        unit = scale = None
        if weight is not None:
            scale = _inverse_root_mean_square(out, eps)
            unit = out * scale
            out = unit * weight
        if rotation is not None:
            out = _turn(out, rotation, 1)
        ctx.rotation = rotation
        ctx.save_for_backward(unit, scale, weight)
        return out.to(qkv.dtype), values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor, of_values: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        unit, scale, weight = ctx.saved_tensors
        grad = of_out if ctx.rotation is None else _turn(of_out, ctx.rotation, -1)
        of_weight = None
        if weight is not None:
            of_weight = (grad * unit).sum(dim=(0, 1))
            grad = grad * weight
            along = (grad * unit).mean(dim=-1, keepdim=True)
            grad = grad.sub_(unit * along).mul_(scale)
        return torch.cat((grad.to(of_values.dtype), of_values), dim=2), of_weight, None, None


def _turn(x: Float[Tensor, "batch seq heads size"], rotation: Rotation, sense: int) -> Tensor:
    """Turn the pairs (i, i + size/2) by their angles, or back."""
    cosine, sine = (part.transpose(1, 2) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    out = torch.empty(x.shape, dtype=torch.promote_types(x.dtype, cosine.dtype), device=x.device)
    out_first, out_second = out.chunk(2, dim=-1)
    torch.mul(first, cosine, out=out_first).addcmul_(second, sine, value=-sense)
    torch.mul(second, cosine, out=out_second).addcmul_(first, sine, value=sense)
    return out
