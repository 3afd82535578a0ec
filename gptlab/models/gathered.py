"""The `gathered` kernel: each rectangle of the plan as plain matrix products, in one autograd function.

One function, because slices under autograd cost O(seq) each in the backward pass; here the gradients of keys
and values are added where they belong. The probabilities are kept for the backward pass (as many numbers as
pairs are computed, by heads and layers), which is faster than computing them again at the lengths of a CPU's rows.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from gptlab.models.attention import Attend, dense_attention
from gptlab.models.mask import MaskSpec
from gptlab.models.plan import Plan, Range, make_plan


def gathered_attention(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Attend:
    """Attention that computes what is seen, and little else. The same numbers as `dense_attention`.

    The kind `causal` sees everything, so nothing is to be gained and PyTorch's causal kernel is used.

    >>> documents, no_edges = torch.tensor([[0, 1]]), torch.zeros(1, 0, 3, dtype=torch.int32)
    >>> values = torch.tensor([[[[1.0], [3.0]]]])
    >>> gathered_attention(documents, no_edges, MaskSpec("document"))(values, values, values).flatten().tolist()
    [1.0, 3.0]
    """
    if spec.kind == "causal":
        return dense_attention(documents, edges, spec)
    plan = make_plan(documents, edges, spec)

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        out: Tensor = _Gathered.apply(queries, keys, values, plan)  # type: ignore[no-untyped-call]
        return out

    return attend


class _Gathered(Function):
    """softmax(queries keys^T / sqrt(size) + bias) values, rectangle by rectangle, and its gradient by hand."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Float[Tensor, "batch heads seq size"],
        keys: Float[Tensor, "batch key_heads seq size"],
        values: Float[Tensor, "batch key_heads seq size"],
        plan: Plan,
    ) -> Float[Tensor, "batch heads seq size"]:
        key_heads, size = keys.shape[1], keys.shape[3]
        group = queries.shape[1] // key_heads
        queries = queries * size**-0.5
        out = torch.empty_like(queries)
        kept = []
        for block in plan.rectangles:
            start, stop = block.queries
            query = queries[block.row, :, start:stop].reshape(key_heads, -1, size)
            key, value = _gather(keys[block.row], block.keys), _gather(values[block.row], block.keys)
            scores = torch.bmm(query, key.transpose(1, 2))
            by_head = scores.view(key_heads, group, stop - start, -1)
            by_head[..., by_head.shape[-1] - block.bias.shape[1] :].add_(block.bias)
            probabilities = torch.softmax(scores, dim=-1)
            out[block.row, :, start:stop] = torch.bmm(probabilities, value).view(-1, stop - start, size)
            kept.append(probabilities)
        for row, length in enumerate(plan.lengths):  # padding sees itself alone
            out[row, :, length:] = values[row, :, length:].repeat_interleave(group, dim=0)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(queries, keys, values, out, *kept)
            ctx.plan = plan
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "batch heads seq size"]) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, values, out, *kept = ctx.saved_tensors
        plan: Plan = ctx.plan
        key_heads, size = keys.shape[1], keys.shape[3]
        group = queries.shape[1] // key_heads
        along_out = (grad * out).sum(dim=-1, keepdim=True)
        grad_queries = torch.zeros_like(queries)
        grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
        for block, probabilities in zip(plan.rectangles, kept, strict=True):
            row, (start, stop) = block.row, block.queries
            query = queries[row, :, start:stop].reshape(key_heads, -1, size)
            down = grad[row, :, start:stop].reshape(key_heads, -1, size)
            key, value = _gather(keys[row], block.keys), _gather(values[row], block.keys)
            _scatter(grad_values[row], block.keys, torch.bmm(probabilities.transpose(1, 2), down))
            scores = torch.bmm(down, value.transpose(1, 2))
            scores.sub_(along_out[row, :, start:stop].reshape(key_heads, -1, 1)).mul_(probabilities)
            grad_queries[row, :, start:stop] = torch.bmm(scores, key).view(-1, stop - start, size)
            _scatter(grad_keys[row], block.keys, torch.bmm(scores.transpose(1, 2), query))
        for row, length in enumerate(plan.lengths):
            grad_values[row, :, length:] = grad[row, :, length:].reshape(key_heads, group, -1, size).sum(dim=1)
        return grad_queries * size**-0.5, grad_keys, grad_values, None


def _gather(of_row: Float[Tensor, "heads seq size"], ranges: tuple[Range, ...]) -> Float[Tensor, "heads keys size"]:
    parts = [of_row[:, start:stop] for start, stop in ranges]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _scatter(
    of_row: Float[Tensor, "heads seq size"], ranges: tuple[Range, ...], gradient: Float[Tensor, "heads keys size"]
) -> None:
    at = 0
    for start, stop in ranges:
        of_row[:, start:stop] += gradient[:, at : at + stop - start]
        at += stop - start
