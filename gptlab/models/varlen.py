"""The `varlen` kernel: one call of PyTorch's variable-length flash attention, each segment with its own keys. CUDA.

`varlen_attn` aligns queries and keys at their ends: the last key is the last query's own. A segment's keys are the
documents it sees and then its own up to its end, so the causal rule within it is the whole mask, and the kernel
computes no pair outside. Keys and values are laid side by side by one `index_select`.
"""

import inspect
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import attrs
import numpy as np
import torch
from jaxtyping import Int, Int32, Int64
from torch import Tensor
from torch.nn.attention import varlen

from gptlab.models.attention import Attend
from gptlab.models.mask import MaskSpec
from gptlab.models.plan import segments_of_row
from gptlab.types.errors import refusal


@attrs.frozen(eq=False)
class VarlenPlan:
    """The arguments of `varlen_attn` for a batch; queries are all its tokens in order.

    Attributes:
        key_index: tokens of the batch, counted through, in the order of the keys.
        query_ends, key_ends: where each segment's queries and keys end, after a 0.
        most_queries, most_keys: of one segment.
    """

    key_index: Int64[np.ndarray, "keys"]
    query_ends: Int32[np.ndarray, "ends"]
    key_ends: Int32[np.ndarray, "ends"]
    most_queries: int
    most_keys: int


def varlen_plan(
    documents: Int[np.ndarray, "batch seq"], edges: Int[np.ndarray, "batch edges 3"], spec: MaskSpec
) -> VarlenPlan:
    """Every segment of every row, and each padding token by itself.

    >>> plan = varlen_plan(np.array([[0, 0, 1, 1, -1]]), np.array([[[1, 0, 3]]]), MaskSpec())
    >>> plan.query_ends.tolist(), plan.key_ends.tolist(), plan.key_index.tolist()
    ([0, 2, 3, 4, 5], [0, 2, 3, 7, 8], [0, 1, 2, 0, 1, 2, 3, 4])
    """
    rows, seq = documents.shape
    queries: list[int] = []
    keys: list[np.ndarray] = []
    for row in range(rows):
        segments = segments_of_row(documents[row], edges[row], spec, max(seq, 1))
        for segment in segments:
            queries.append(segment.queries[1] - segment.queries[0])
            keys.append(np.concatenate([np.arange(*span) for span in segment.keys]) + row * seq)
        for token in range(segments[-1].queries[1] if segments else 0, seq):
            queries.append(1)
            keys.append(np.array([row * seq + token]))
    lengths = [len(of_segment) for of_segment in keys]
    return VarlenPlan(
        key_index=np.concatenate([np.zeros(0, np.int64), *keys]),
        query_ends=np.array([0, *accumulate(queries)], np.int32),
        key_ends=np.array([0, *accumulate(lengths)], np.int32),
        most_queries=max(queries, default=0),
        most_keys=max(lengths, default=0),
    )


def varlen_attention(
    documents: Int[Tensor, "batch seq"], edges: Int[Tensor, "batch edges 3"], spec: MaskSpec
) -> Attend:
    """Attention in one call per layer, in bfloat16 or float16.

    Raises:
        ValueError: from the attention: queries are in another type.
    """
    plan = varlen_plan(documents.cpu().numpy(), edges.cpu().numpy(), spec)
    index, query_ends, key_ends = (
        torch.from_numpy(array).to(documents.device) for array in (plan.key_index, plan.query_ends, plan.key_ends)
    )

    def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        if queries.dtype not in (torch.bfloat16, torch.float16):
            raise refusal(
                "attention='varlen'",
                got=f"queries in {queries.dtype}",
                wanted="bfloat16 or float16, which flash attention computes in",
                do="Train with TrainerConfig(dtype='bfloat16'), or take attention='flex'.",
            )
        heads, key_heads = queries.shape[1], keys.shape[1]
        flat = queries.transpose(1, 2).flatten(0, 1)
        key, value = (part.transpose(1, 2).flatten(0, 1).index_select(0, index) for part in (keys, values))
        out = call_varlen_attn(
            flat, key, value, query_ends, key_ends, plan.most_queries, plan.most_keys, has_groups=heads != key_heads
        )
        return out.view(*documents.shape, heads, queries.shape[3]).transpose(1, 2)

    return attend


def call_varlen_attn(query: Tensor, key: Tensor, value: Tensor, *where: Any, has_groups: bool) -> Tensor:
    """`varlen_attn` with the causal rule, however this torch (2.10 to 2.13) wants that said.

    Up to 2.10 it is `is_causal=True`, then `window_size=(-1, 0)`; heads that share keys are repeated where it has no
    `enable_gqa` yet.
    """
    known = _known_parameters()
    said: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    if has_groups and "enable_gqa" in known:
        said["enable_gqa"] = True
    elif has_groups:
        key, value = (part.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for part in (key, value))
    attend: Callable[..., Any] = varlen.varlen_attn
    out: Tensor = attend(query, key, value, *where, **said)
    return out


def _known_parameters() -> frozenset[str]:
    return frozenset(inspect.signature(varlen.varlen_attn).parameters)
