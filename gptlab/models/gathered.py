"""The `gathered` kernel: each rectangle of the plan by itself, all in one autograd function. The default on a CPU.

One function, because slices under autograd cost O(seq) each in the backward pass; here the gradients of keys
and values are added where they belong. It has two forms, which compute the same:

- *products*: plain matrix products that keep the probabilities for the backward pass (as many numbers as pairs are
  computed, by heads and layers), on any device.
- *flash*: the CPU's flash kernel for each rectangle, which keeps nothing and computes the probabilities again.

Measured on one core (`experiments/attention_speed`), flash takes 1.04 times as long as products at 512 tokens, 1.15
at 2048, 1.20 at 8192. So products it is, until what they keep gets large (`MOST_KEPT`).
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from gptlab.models.attention import Attend, dense_attention
from gptlab.models.mask import MaskSpec
from gptlab.models.plan import Plan, Range, Rectangle, make_plan

MOST_KEPT = 2**26
"""Probabilities of one layer (256 MiB in float32) above which they are computed again instead: 11 million pairs for 6
heads, which rows of linked documents have from about 10 thousand tokens on."""


def gathered_attention(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Attend:
    """Attention that computes what is seen, and little else. The same numbers as `dense_attention`.

    >>> documents, no_edges = torch.tensor([[0, 1]]), torch.zeros(1, 0, 3, dtype=torch.int32)
    >>> values = torch.tensor([[[[1.0], [3.0]]]])
    >>> gathered_attention(documents, no_edges, MaskSpec("document"))(values, values, values).flatten().tolist()
    [1.0, 3.0]
    """
    plan = make_plan(documents, edges, spec)
    whole_row = dense_attention(documents, edges, spec) if spec.kind == "causal" else None

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        if queries.shape[1] * plan.pairs <= MOST_KEPT or (queries.device.type != "cpu" and whole_row is None):
            out: Tensor = _Products.apply(queries, keys, values, plan)  # type: ignore[no-untyped-call]
        elif whole_row is not None:  # nothing to be left out: PyTorch's own causal kernel
            out = whole_row(queries, keys, values)
        else:
            out = _Flash.apply(queries, keys, values, plan)  # type: ignore[no-untyped-call]
        return out

    return attend


class _Products(Function):
    """softmax(queries keys^T / sqrt(size) + bias) values, rectangle by rectangle, and its gradient by hand."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Float[Tensor, "batch heads seq size"],
        keys: Float[Tensor, "batch key_heads seq size"],
        values: Float[Tensor, "batch key_heads seq size"],
        plan: Plan,
    ) -> Float[Tensor, "batch heads seq size"]:
        group, scale = queries.shape[1] // keys.shape[1], queries.shape[3] ** -0.5
        out = _empty_like_output(queries)
        kept = []
        for block, query, key, value in _blocks(plan, queries, keys, values):
            scores = query.new_empty(*query.shape[:2], key.shape[1])
            torch.baddbmm(scores, query, key.transpose(1, 2), beta=0, alpha=scale, out=scores)
            by_head = scores.view(len(scores), group, -1, scores.shape[2])
            by_head[..., by_head.shape[-1] - block.bias.shape[1] :].add_(block.bias)
            probabilities = torch.softmax(scores, dim=-1, out=scores)
            _place(out, block, torch.bmm(probabilities, value))
            kept.append(probabilities)
        _let_padding_see_itself(out, values, plan)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(queries, keys, values, out, *kept)
            ctx.plan = plan
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "batch heads seq size"]) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, values, out, *kept = ctx.saved_tensors
        plan: Plan = ctx.plan
        scale = queries.shape[3] ** -0.5
        along_out = (grad * out).sum(dim=-1, keepdim=True)
        grads = _empty_gradients(queries, keys, values, grad, plan)
        blocks = _blocks(plan, queries, keys, values)
        for (block, query, key, value), probabilities in zip(blocks, kept, strict=True):
            down = _of(grad, block, len(key))
            of_scores = torch.bmm(down, value.transpose(1, 2))
            of_scores.sub_(_of(along_out, block, len(key))).mul_(probabilities)
            _place(grads[0], block, torch.baddbmm(query, of_scores, key, beta=0, alpha=scale))
            of_keys = torch.baddbmm(key, of_scores.transpose(1, 2), query, beta=0, alpha=scale)
            _scatter(grads[1][block.row], block.keys, of_keys)
            _scatter(grads[2][block.row], block.keys, torch.bmm(probabilities.transpose(1, 2), down))
        return *grads, None


class _Flash(Function):
    """The same by `_scaled_dot_product_flash_attention_for_cpu`, which keeps one number per query and head."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Float[Tensor, "batch heads seq size"],
        keys: Float[Tensor, "batch key_heads seq size"],
        values: Float[Tensor, "batch key_heads seq size"],
        plan: Plan,
    ) -> Float[Tensor, "batch heads seq size"]:
        out = _empty_like_output(queries)
        kept = []
        for block, query, key, value in _blocks(plan, queries, keys, values):
            mixed, normaliser = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query[None], key[None], value[None], attn_mask=_whole_bias(block, query, key)
            )
            _place(out, block, mixed[0])
            kept.append(normaliser)
        _let_padding_see_itself(out, values, plan)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(queries, keys, values, out, *kept)
            ctx.plan = plan
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "batch heads seq size"]) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, values, out, *kept = ctx.saved_tensors
        plan: Plan = ctx.plan
        grads = _empty_gradients(queries, keys, values, grad, plan)
        blocks = _blocks(plan, queries, keys, values)
        for (block, query, key, value), normaliser in zip(blocks, kept, strict=True):
            tensors = (_of(grad, block, len(key)), query, key, value, _of(out, block, len(key)))
            of_block = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                *(tensor[None] for tensor in tensors),
                normaliser,
                0.0,
                False,
                attn_mask=_whole_bias(block, query, key),
            )
            _place(grads[0], block, of_block[0][0])
            _scatter(grads[1][block.row], block.keys, of_block[1][0])
            _scatter(grads[2][block.row], block.keys, of_block[2][0])
        return *grads, None


def _blocks(
    plan: Plan, queries: Tensor, keys: Tensor, values: Tensor
) -> Iterator[tuple[Rectangle, Tensor, Tensor, Tensor]]:
    """Each rectangle with its queries `[key_heads group*queries size]`, and its keys and values gathered."""
    for block in plan.rectangles:
        key, value = _gather(keys[block.row], block.keys), _gather(values[block.row], block.keys)
        yield block, _of(queries, block, len(key)), key, value


def _of(tensor: Float[Tensor, "batch heads seq size"], block: Rectangle, key_heads: int) -> Tensor:
    """The rectangle's queries; heads that share keys one below the other, so that one product serves them."""
    start, stop = block.queries
    part = tensor[block.row, :, start:stop]
    return part if len(part) == key_heads else part.reshape(key_heads, -1, tensor.shape[3])


def _place(out: Float[Tensor, "batch heads seq size"], block: Rectangle, part: Float[Tensor, "..."]) -> None:
    start, stop = block.queries
    out[block.row, :, start:stop] = part.reshape(out.shape[1], stop - start, -1)


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


def _whole_bias(block: Rectangle, query: Tensor, key: Tensor) -> Float[Tensor, "queries keys"]:
    """The bias with its zeros on the left, once for each head of a group."""
    count, columns = block.bias.shape
    bias = query.new_zeros(count, key.shape[1])
    bias[:, key.shape[1] - columns :] = block.bias
    return bias.repeat(query.shape[1] // count, 1)


def _empty_like_output(queries: Float[Tensor, "batch heads seq size"]) -> Float[Tensor, "batch heads seq size"]:
    """Laid out token by token, so that joining the heads afterwards is no copy."""
    return torch.empty_like(queries.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)


def _let_padding_see_itself(out: Tensor, values: Tensor, plan: Plan) -> None:
    for row, length in enumerate(plan.lengths):
        out[row, :, length:] = values[row, :, length:].repeat_interleave(out.shape[1] // values.shape[1], dim=0)


def _empty_gradients(
    queries: Tensor, keys: Tensor, values: Tensor, grad: Tensor, plan: Plan
) -> tuple[Tensor, Tensor, Tensor]:
    """Zeros to add to, but for padding, whose values are its output."""
    group = queries.shape[1] // keys.shape[1]
    grad_queries = _empty_like_output(queries)
    grad_keys, grad_values = _empty_like_output(keys).zero_(), _empty_like_output(values).zero_()
    for row, length in enumerate(plan.lengths):
        grad_queries[row, :, length:] = 0
        shared = grad[row, :, length:].reshape(keys.shape[1], group, grad.shape[2] - length, grad.shape[3])
        grad_values[row, :, length:] = shared.sum(dim=1)
    return grad_queries, grad_keys, grad_values
